//! Numbers, times and texts for an HTML page.

use crate::base::words::{bytes, number};
use crate::logging::is_formatting;
use std::fmt::{self, Write};
use std::time::Duration;

/// Escapes a text for element content and quoted attributes. Characters that change how the text around them is shown become
/// visible.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            character if is_formatting(character) => write!(f, "\\u{:04x}", u32::from(character)),
            character => f.write_char(character),
        })
    }
}

/// A duration in its largest sensible unit.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        0..120 => (seconds, "s"),
        120..7_200 => (seconds / 60, "min"),
        7_200..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{} {unit}", number(count))
}

/// Makes a sentence of words that begin in small letters and have no full stop.
pub(super) fn sentence(words: &str) -> String {
    let mut characters = words.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['.']).collect()
}

/// A growth or, with a minus sign, a decrease in bytes.
pub(super) fn change(change: i128) -> String {
    let sign = match change {
        ..0 => "\u{2212}",
        0 => "",
        1.. => "+",
    };
    format!("{sign}{}", bytes(change.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_become_markup() {
        assert_eq!(
            Escaped("<b a=\"1\" c='2'>&\u{fc}").to_string(),
            "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;\u{fc}"
        );
        assert_eq!(Escaped("").to_string(), "");
        assert_eq!(Escaped("a\u{202e}b\u{2066}c\u{61c}\n").to_string(), "a\\u202eb\\u2066c\\u061c\\u000a");
    }

    #[test]
    fn times_and_changes_are_short() {
        for (seconds, words) in [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 days")] {
            assert_eq!(duration(Duration::from_secs(seconds)), words);
        }
        assert_eq!(sentence("lower --swr.rate-limit"), "Lower --swr.rate-limit.");
        assert_eq!([-2_048, 0, 2_048].map(change), ["\u{2212}2.00 KiB", "0 B", "+2.00 KiB"]);
    }
}
