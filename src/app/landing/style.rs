//! The stylesheet of the landing page, and the security policy that allows nothing else.
//!
//! Colours are variables with a light and a dark value; a test computes that each has enough contrast. No state is shown by
//! colour alone.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// Nothing may be loaded or run; only the stylesheet below applies, by its hash.
pub(super) static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--back:#ffffff;--panel:#f3f5f7;--text:#1b1f24;--muted:#4f5964;--line:#c9d1d9;--link:#0b57b0;--bar:#3f7fca;\
--working:#176b2c;--waiting:#4f5964;--degraded:#855000;--failing:#b3161b}
@media(prefers-color-scheme:dark){:root{--back:#0f1318;--panel:#191f26;--text:#e6eaef;--muted:#a3afbb;--line:#36404b;--link:#7db7ff;\
--bar:#5b9be6;--working:#6fce85;--waiting:#a3afbb;--degraded:#f0b357;--failing:#ff918c}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:64rem;padding:1rem;background:var(--back);color:var(--text);font:1rem/1.5 system-ui,sans-serif}
h1{margin:0;font-size:1.5rem}h1 small{color:var(--muted);font-size:1rem;font-weight:400}
h2{margin:0 0 .75rem;font-size:1.25rem}h3{display:inline;margin:0;font-size:1rem;overflow-wrap:anywhere}
p{margin:.25rem 0}a{color:var(--link)}section{margin-top:1.5rem}footer{margin-top:2rem;color:var(--muted)}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:.5rem 0 0;padding:0;list-style:none}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:.75rem;margin:.5rem 0}
dt,caption,thead,.minor{color:var(--muted)}dd{margin:0;font-variant-numeric:tabular-nums}.minor{font-size:.875rem}
section:first-child>dl dd{font-size:1.75rem;line-height:1.2}
.shape{width:.875em;height:.875em;margin-right:.375em;fill:currentColor}
.working{color:var(--working)}.waiting{color:var(--waiting)}.degraded,.incomplete,.empty{color:var(--degraded)}.failing{color:var(--failing)}
.account{margin-bottom:.25rem;padding:.25rem .75rem;background:var(--panel);border:1px solid var(--line);border-radius:.375rem}
summary{cursor:pointer}summary span{margin-left:.75rem;white-space:nowrap}summary p{margin-left:1rem}.error{color:var(--muted)}
code{overflow-wrap:anywhere}
.lists{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr));gap:.5rem 2rem}
table{width:100%;margin-top:.75rem;border-collapse:collapse;align-self:start}caption{padding-bottom:.25rem;text-align:left}
th,td{padding:.25rem 0;border-top:1px solid var(--line);text-align:left;vertical-align:top;font-weight:400}
tr{position:relative}th[scope=row]{padding-right:1rem;overflow-wrap:anywhere}.collectors th:first-child{width:11.5rem}
.number{width:7.5rem;text-align:right;font-variant-numeric:tabular-nums}
.bar{position:absolute;left:0;bottom:0;width:100%;height:.1875rem}.bar rect{fill:var(--bar)}footer a{margin-right:1rem}
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The variables of one `:root` block.
    fn colours(block: &str) -> BTreeMap<&str, [u8; 3]> {
        let block = block.split_once('{').unwrap().1.split_once('}').unwrap().0;
        let pairs = block.split(';').filter_map(|pair| pair.trim().strip_prefix("--")?.split_once(":#"));
        let channel = |hex: &str, at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        pairs.map(|(name, hex)| (name, [0, 2, 4].map(|at| channel(hex, at)))).collect()
    }

    /// Relative luminance by WCAG 2.2.
    fn luminance(colour: [u8; 3]) -> f64 {
        let linear = colour.map(|channel| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_colour_has_enough_contrast_with_its_background() {
        assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 1e-9 && contrast([0x77; 3], [255; 3]) < 4.5);
        let roots: Vec<_> = STYLE.match_indices(":root").map(|(at, _)| colours(&STYLE[at..])).collect();
        let [light, dark] = roots.as_slice() else { panic!("a scheme for light and one for dark") };
        assert_eq!(light.keys().collect::<Vec<_>>(), dark.keys().collect::<Vec<_>>(), "each has every colour");
        for scheme in [light, dark] {
            // Lines are decoration.
            for (name, colour) in scheme.iter().filter(|(name, _)| !["back", "panel", "line"].contains(name)) {
                // WCAG 2.2, 1.4.3 for text, 1.4.11 for what is drawn.
                let least = if *name == "bar" { 3.0 } else { 4.5 };
                for ground in ["back", "panel"] {
                    let contrast = contrast(*colour, scheme[ground]);
                    assert!(contrast >= least, "{name} on {ground}: {contrast:.2}");
                }
            }
        }
        // Every colour is a variable, so that the test above sees it.
        for (at, _) in STYLE.match_indices('#') {
            assert!(STYLE[..at].rsplit([';', '{']).next().unwrap().starts_with("--"), "{}", &STYLE[at..at + 8]);
        }
        assert_eq!(
            STYLE.matches("var(--").count(),
            STYLE.split("var(--").skip(1).filter(|rest| light.contains_key(rest.split(')').next().unwrap())).count()
        );
    }
}
