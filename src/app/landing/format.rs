//! Numbers, times and texts for an HTML page.

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

/// A number and its noun, in the singular or the plural.
pub(super) fn counted(count: u64, [one, many]: [&str; 2]) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

/// A number with thousands separators.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in binary units, to three digits.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut unit = 0;
    let mut value = bytes as f64;
    // 999.5 would be rounded to four digits.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = match value {
        _ if unit == 0 => 0,
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// A growth or, with a minus sign, a decrease in bytes.
pub(super) fn change(change: i128) -> String {
    let sign = match change {
        ..0 => "\u{2212}",
        0 => "",
        1.. => "+",
    };
    format!("{sign}{}", bytes(u64::try_from(change.unsigned_abs()).unwrap_or(u64::MAX)))
}

/// A time in seconds since the epoch, to the minute.
pub(super) fn minute(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| "an unknown time".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
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
    fn numbers_have_the_precision_that_matters() {
        for (seconds, words) in [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 days")] {
            assert_eq!(duration(Duration::from_secs(seconds)), words);
        }
        assert_eq!(sentence("lower --swr.rate-limit"), "Lower --swr.rate-limit.");
        for (value, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(value), text);
        }
        assert_eq!([1, 2_000].map(|count| counted(count, ["mouse", "mice"])), ["1 mouse", "2,000 mice"]);
        for (size, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "0.98 KiB"),
            (1_536, "1.50 KiB"),
            (10 * 1_024 * 1_024, "10.0 MiB"),
            (150 << 30, "150 GiB"),
            (1_023 << 30, "1.00 TiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(size), text);
        }
        assert_eq!([-2_048, 0, 2_048].map(change), ["\u{2212}2.00 KiB", "0 B", "+2.00 KiB"]);
        assert_eq!(minute(1_505_098_802), "2017-09-11 03:00 UTC");
        assert_eq!(minute(i64::MAX), "an unknown time");
    }
}
