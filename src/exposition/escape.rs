//! The escaping rules of the two formats.
//!
//! Only a backslash, a line feed and, in quoted text, a double quote are escaped. Every other character is written as it
//! is, including NUL, carriage return and U+2028.

use memchr::{memchr2_iter, memchr3_iter};

/// Appends a label value, without its quotes; both formats escape it alike.
pub(super) fn label_value(value: &str, out: &mut Vec<u8>) {
    escape(value.as_bytes(), memchr3_iter(b'\\', b'"', b'\n', value.as_bytes()), out);
}

/// Appends a HELP text for text format 0.0.4, where a double quote is not escaped.
pub(super) fn text_help(help: &str, out: &mut Vec<u8>) {
    escape(help.as_bytes(), memchr2_iter(b'\\', b'\n', help.as_bytes()), out);
}

/// Appends a HELP text for OpenMetrics, which escapes it like a label value.
pub(super) fn open_metrics_help(help: &str, out: &mut Vec<u8>) {
    label_value(help, out);
}

/// Copies the runs between special bytes whole: most values have none and are one copy.
fn escape(value: &[u8], specials: impl Iterator<Item = usize>, out: &mut Vec<u8>) {
    let mut copied = 0;
    for special in specials {
        out.extend_from_slice(&value[copied..special]);
        out.push(b'\\');
        out.push(if value[special] == b'\n' { b'n' } else { value[special] });
        copied = special + 1;
    }
    out.extend_from_slice(&value[copied..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_backslash_quote_and_line_feed_change() {
        let escaped = |with: fn(&str, &mut Vec<u8>), value: &str| {
            let mut out = Vec::new();
            with(value, &mut out);
            String::from_utf8(out).unwrap()
        };
        for (value, label, help) in [
            ("", "", ""),
            ("library/nginx", "library/nginx", "library/nginx"),
            (r#"\"#, r"\\", r"\\"),
            (r#"a"b""#, r#"a\"b\""#, r#"a"b""#),
            ("\n\n", r"\n\n", r"\n\n"),
            ("\r\0\u{2028}\u{1f600}", "\r\0\u{2028}\u{1f600}", "\r\0\u{2028}\u{1f600}"),
            (r"\n", r"\\n", r"\\n"),
        ] {
            assert_eq!(escaped(label_value, value), label);
            assert_eq!(escaped(open_metrics_help, value), label);
            assert_eq!(escaped(text_help, value), help);
        }
    }
}
