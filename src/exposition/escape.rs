//! The escaping of label values, which is the same in both formats.
//!
//! Only a backslash, a line feed and a double quote are escaped. Every other character is written as it is, including NUL,
//! carriage return and U+2028.

/// Appends a label value, without its quotes. Most values have nothing to escape and are one copy.
pub(super) fn label_value(value: &str, out: &mut Vec<u8>) {
    let value = value.as_bytes();
    let mut copied = 0;
    for special in memchr::memchr3_iter(b'\\', b'"', b'\n', value) {
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
        for (value, want) in [
            ("", ""),
            ("library/nginx", "library/nginx"),
            (r#"\"#, r"\\"),
            (r#"a"b""#, r#"a\"b\""#),
            ("\n\n", r"\n\n"),
            ("\r\0\u{2028}\u{1f600}", "\r\0\u{2028}\u{1f600}"),
            (r"\n", r"\\n"),
        ] {
            let mut out = Vec::new();
            label_value(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }
}
