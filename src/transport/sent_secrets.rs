//! Secrets that an upstream repeats. Gateways, filters and error pages quote requests; texts of others are therefore searched
//! for what we sent, in any spelling, before they are logged or shown.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use hyper::http::{HeaderMap, header};
use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use zeroize::Zeroizing;

/// Shorter secrets, in bytes, are not searched for: they occur in texts by chance. IAM's passwords have six characters or
/// more.
const MIN_SECRET: usize = 6;

/// The length of the pieces, in bytes, that are searched for of a secret of [`MIN_CUT`] or more: texts quote tokens cut off.
const PIECE: usize = 12;

/// See [`PIECE`]. A shorter secret is searched for as a whole.
const MIN_CUT: usize = 16;

/// How often a text is decoded: a text inside a JSON text inside a URL.
const MAX_LAYERS: usize = 3;

/// How many characters beside a secret are hidden with it. In base64 four characters hold the bytes at its ends together
/// with others, so they cannot be searched for.
const BESIDE: usize = 4;

const HIDDEN: &str = "<secret>";

/// The secrets of one request.
#[derive(Clone, Default)]
pub struct SentSecrets(Vec<Zeroizing<String>>);

impl SentSecrets {
    /// Adds the secrets in the headers of a request: the values that are marked sensitive. Of a signature those are the
    /// access key and the signature itself.
    pub fn add_headers(&mut self, headers: &HeaderMap) {
        for (name, value) in headers {
            let Some(value) = value.to_str().ok().filter(|_| value.is_sensitive()) else { continue };
            let signed = value.split_once(" Access=").filter(|_| name == header::AUTHORIZATION);
            match signed {
                Some((_, parts)) => {
                    self.add(parts.split(',').next().unwrap_or_default());
                    self.add(parts.rsplit('=').next().unwrap_or_default());
                }
                None => self.add(value),
            }
        }
    }

    /// Adds a secret.
    pub fn add(&mut self, secret: &str) {
        if secret.len() >= MIN_SECRET {
            self.0.push(Zeroizing::new(secret.to_owned()));
        }
    }

    /// The text without the secrets.
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let spellings = Spellings::new(&self.0);
        let mut found = vec![false; text.len()];
        let mut layer: Vec<Decoded> =
            text.bytes().enumerate().map(|(at, byte)| Decoded { byte, start: at, end: at + 1 }).collect();
        for _ in 0..=MAX_LAYERS {
            spellings.mark(&layer, &mut found);
            spellings.mark(&without_breaks(&layer), &mut found);
            let inner = decode(&layer);
            if inner.len() == layer.len() {
                break;
            }
            layer = inner;
        }
        if !found.contains(&true) {
            return Cow::Borrowed(text);
        }
        widen(text.as_bytes(), &mut found);
        let mut shown = String::with_capacity(text.len());
        let mut in_secret = false;
        for (at, character) in text.char_indices() {
            let is_secret = found[at..at + character.len_utf8()].contains(&true);
            match (is_secret, in_secret) {
                (true, false) => shown.push_str(HIDDEN),
                (true, true) => {}
                (false, _) => shown.push(character),
            }
            in_secret = is_secret;
        }
        Cow::Owned(shown)
    }
}

/// What is searched for, in lower case. Of pieces the hash is kept: they would stay in memory after use.
struct Spellings {
    whole: Vec<Zeroizing<Vec<u8>>>,
    pieces: HashSet<u64>,
    hasher: RandomState,
}

impl Spellings {
    fn new(secrets: &[Zeroizing<String>]) -> Self {
        let mut spellings = Self { whole: Vec::new(), pieces: HashSet::new(), hasher: RandomState::new() };
        for secret in secrets {
            spellings.add(secret.to_string());
            spellings.add(secret.replace(' ', "+"));
            spellings.add(secret.split_whitespace().collect());
            spellings.add(hex::encode(secret.as_bytes()));
            // In base64 a text looks different at each of three alignments. Incomplete groups depend on what follows.
            for skipped in 0..3 {
                let bytes = &secret.as_bytes()[skipped..];
                let groups = &bytes[..bytes.len() / 3 * 3];
                spellings.add(STANDARD_NO_PAD.encode(groups));
                spellings.add(URL_SAFE_NO_PAD.encode(groups));
            }
        }
        spellings
    }

    fn add(&mut self, spelling: String) {
        let mut spelling = Zeroizing::new(spelling.into_bytes());
        spelling.make_ascii_lowercase();
        if spelling.len() >= MIN_CUT {
            self.pieces.extend(spelling.windows(PIECE).map(|piece| self.hasher.hash_one(piece)));
        } else if spelling.len() >= MIN_SECRET {
            self.whole.push(spelling);
        }
    }

    fn mark(&self, layer: &[Decoded], found: &mut [bool]) {
        let bytes: Vec<u8> = layer.iter().map(|decoded| decoded.byte.to_ascii_lowercase()).collect();
        let mut hide = |from: usize, length: usize| {
            found[layer[from].start..layer[from + length - 1].end].fill(true);
        };
        for (at, piece) in bytes.windows(PIECE).enumerate() {
            if self.pieces.contains(&self.hasher.hash_one(piece)) {
                hide(at, PIECE);
            }
        }
        for whole in &self.whole {
            for at in memchr::memmem::find_iter(&bytes, &**whole) {
                hide(at, whole.len());
            }
        }
    }
}

/// A byte of a decoded text, and the bytes of the original that it comes from.
#[derive(Clone, Copy)]
struct Decoded {
    byte: u8,
    start: usize,
    end: usize,
}

/// The text without line breaks and other characters that cannot be seen: long values are wrapped.
fn without_breaks(layer: &[Decoded]) -> Vec<Decoded> {
    let mut kept = Vec::with_capacity(layer.len());
    let mut rest = layer;
    while let Some(first) = rest.first() {
        let head: Vec<u8> = rest.iter().take(3).map(|decoded| decoded.byte).collect();
        let length = match head[..] {
            [0..=b' ' | 0x7f, ..] => 1,
            // U+00A0 and U+00AD.
            [0xc2, 0xa0 | 0xad, ..] => 2,
            // U+200B to U+200F, U+2028 to U+202E, U+2060 and U+FEFF.
            [0xe2, 0x80, 0x8b..=0x8f | 0xa8..=0xae] | [0xe2, 0x81, 0xa0] | [0xef, 0xbb, 0xbf] => 3,
            _ => {
                kept.push(*first);
                1
            }
        };
        rest = &rest[length..];
    }
    kept
}

/// Marks the characters of base64 beside what was found.
fn widen(text: &[u8], found: &mut [bool]) {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
    for at in 0..text.len() {
        // What was marked here does not count: it is at most that far away.
        if !found[at] && at + 1 < text.len() && found[at + 1] {
            let beside = (0..=at).rev().take(BESIDE).take_while(|at| is_base64(text[*at])).count();
            found[at + 1 - beside..=at].fill(true);
        }
    }
    for at in (0..text.len()).rev() {
        if !found[at] && at > 0 && found[at - 1] {
            let rest = text[at..].iter().take(BESIDE);
            let beside = rest.take_while(|byte| is_base64(**byte) || **byte == b'=').count();
            found[at..at + beside].fill(true);
        }
    }
}

/// Undoes one layer of percent-encoding, of the escapes of JSON, C and JavaScript and of HTML's character references,
/// wherever there are any.
fn decode(layer: &[Decoded]) -> Vec<Decoded> {
    let mut decoded = Vec::with_capacity(layer.len());
    let mut rest = layer;
    while let Some(first) = rest.first() {
        let head: Vec<u8> = rest.iter().take(12).map(|decoded| decoded.byte).collect();
        let (length, bytes) = escape(&head).unwrap_or_else(|| (1, vec![first.byte]));
        let (start, end) = (first.start, rest[length - 1].end);
        decoded.extend(bytes.into_iter().map(|byte| Decoded { byte, start, end }));
        rest = &rest[length..];
    }
    decoded
}

/// The escape sequence at the beginning of a text: its length, and what it stands for.
fn escape(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    let number = |digits: &[u8], radix| u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok();
    let character =
        |digits: &[u8], radix| number(digits, radix).and_then(char::from_u32).map(|it| it.to_string().into_bytes());
    let byte = |digits: &[u8], radix| number(digits, radix).and_then(|it| u8::try_from(it).ok()).map(|it| vec![it]);
    let until = |end: u8| text.iter().position(|byte| *byte == end);
    match text {
        [b'%', b'u' | b'U', digits @ ..] => Some((6, character(digits.get(..4)?, 16)?)),
        [b'%', digits @ ..] => Some((3, byte(digits.get(..2)?, 16)?)),
        [b'\\', b'u', b'{', ..] => {
            let end = until(b'}')?;
            Some((end + 1, character(&text[3..end], 16)?))
        }
        [b'\\', b'u', digits @ ..] => Some((6, character(digits.get(..4)?, 16)?)),
        [b'\\', b'x' | b'X', digits @ ..] => Some((4, byte(digits.get(..2)?, 16)?)),
        [b'\\', b'0'..=b'3', b'0'..=b'7', b'0'..=b'7', ..] => Some((4, byte(&text[1..4], 8)?)),
        [b'\\', byte, ..] => Some((2, vec![*byte])),
        [b'&', b'#', rest @ ..] => {
            let (start, radix) = if matches!(rest, [b'x' | b'X', ..]) { (3, 16) } else { (2, 10) };
            let is_digit = |byte: &&u8| char::from(**byte).is_digit(radix);
            let end = start + text.get(start..)?.iter().take_while(is_digit).count();
            // Browsers do without the semicolon.
            Some((end + usize::from(text.get(end) == Some(&b';')), character(&text[start..end], radix)?))
        }
        [b'&', ..] => {
            let end = until(b';')?;
            let (_, byte) = NAMED.iter().find(|(name, _)| name.as_bytes() == &text[1..end])?;
            Some((end + 1, vec![*byte]))
        }
        _ => None,
    }
}

/// HTML's names of characters that occur in secrets.
const NAMED: [(&str, u8); 13] = [
    ("amp", b'&'),
    ("lt", b'<'),
    ("gt", b'>'),
    ("quot", b'"'),
    ("apos", b'\''),
    ("plus", b'+'),
    ("sol", b'/'),
    ("equals", b'='),
    ("percnt", b'%'),
    ("hyphen", b'-'),
    ("lowbar", b'_'),
    ("commat", b'@'),
    ("colon", b':'),
];

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    const TOKEN: &str = "MIIEPQYJKoZIhvcNAQcCoIIE/+canary==token<0123>\"x\"";

    fn hidden(secret: &str, text: &str) -> String {
        let mut secrets = SentSecrets::default();
        secrets.add(secret);
        secrets.hide(text).into_owned()
    }

    fn percent(text: &str) -> String {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    }

    #[test]
    fn a_secret_is_found_in_every_spelling_and_the_rest_is_kept() {
        let json = serde_json::to_string(TOKEN).unwrap();
        let json = &json[1..json.len() - 1];
        for spelled in [
            TOKEN.to_owned(),
            TOKEN.to_lowercase(),
            TOKEN.to_uppercase(),
            percent(TOKEN),
            percent(&percent(TOKEN)),
            json.to_owned(),
            json.replace('/', "\\/"),
            TOKEN.bytes().map(|byte| format!("\\u{byte:04x}")).collect(),
            TOKEN.replace('<', "&lt;").replace('"', "&quot;").replace('+', "&#43;").replace('/', "&#x2F;"),
            hex::encode(TOKEN),
            hex::encode_upper(TOKEN),
            TOKEN.bytes().map(|byte| format!("{byte:02x} ")).collect::<String>().trim_end().to_owned(),
            TOKEN.bytes().map(|byte| format!("\\x{byte:02X}")).collect(),
            TOKEN.bytes().map(|byte| format!("\\{byte:03o}")).collect(),
            TOKEN.bytes().map(|byte| format!("%u{byte:04x}")).collect(),
            TOKEN.bytes().map(|byte| format!("\\u{{{byte:x}}}")).collect(),
            TOKEN.bytes().map(|byte| format!("&#x{byte:X}")).collect(),
            TOKEN.replace('+', "&plus;").replace('/', "&sol;").replace('=', "&equals;"),
            wrapped(TOKEN, 8, "\r\n "),
            wrapped(&STANDARD_NO_PAD.encode(TOKEN), 8, "\n"),
            wrapped(TOKEN, 1, "\u{200b}"),
            wrapped(TOKEN, 5, "\u{ad}"),
        ] {
            assert_eq!(hidden(TOKEN, &format!("the token {spelled} é is wrong")), "the token <secret> é is wrong");
        }
        for before in ["", "a", "ab", "abc"] {
            let encoded = STANDARD.encode(format!("{before}{TOKEN}"));
            assert_eq!(hidden(TOKEN, &format!("Basic {encoded}, wrong")), "Basic <secret>, wrong");
        }
        assert_eq!(hidden(TOKEN, &format!("cut: {}...", &TOKEN[..20])), "cut: <secret>...");
        assert_eq!(hidden(TOKEN, &TOKEN.replace("Ihv", "Ihv\n ")), "<secret>");
    }

    fn wrapped(text: &str, length: usize, with: &str) -> String {
        let lines: Vec<String> =
            text.as_bytes().chunks(length).map(|line| String::from_utf8_lossy(line).into()).collect();
        lines.join(with)
    }

    #[test]
    fn a_short_secret_is_found_as_a_whole_and_a_tiny_one_is_not_searched_for() {
        assert_eq!(hidden("pa ss\"1", r#"{"password":"pa ss\"1"}"#), r#"{"password":"<secret>"}"#);
        assert_eq!(hidden("pa ss\"1", "password=pa+ss%221&x"), "password=<secret>&x");
        assert_eq!(hidden("pässword", r"b'p\xc3\xa4ssword'"), "b'<secret>'");
        assert_eq!(hidden("pa ss\"1", "pa\nss\"1"), "<secret>");
        assert_eq!(hidden("wrong", "The password is wrong."), "The password is wrong.");
    }

    #[test]
    fn the_secrets_of_a_request_are_its_sensitive_headers() {
        let mut headers = HeaderMap::new();
        let signature =
            "SDK-HMAC-SHA256 Access=CANARYACCESSKEY01, SignedHeaders=host;x-sdk-date, Signature=0123456789abcdef01";
        for (name, value, is_sensitive) in [
            ("authorization", signature, true),
            ("x-auth-token", TOKEN, true),
            ("content-type", "application/json", false),
        ] {
            let mut value = hyper::http::HeaderValue::from_str(value).unwrap();
            value.set_sensitive(is_sensitive);
            headers.insert(name, value);
        }
        let mut secrets = SentSecrets::default();
        secrets.add_headers(&headers);
        let shown = secrets.hide(signature);
        assert_eq!(shown, "SDK-HMAC-SHA256 Access=<secret>, SignedHeaders=host;x-sdk-date, Signature=<secret>");
        assert_eq!(secrets.hide(&format!("application/json {TOKEN}")), "application/json <secret>");
    }

    proptest! {
        #[test]
        fn any_text_without_the_secret_is_kept_and_none_with_it(
            before in "\\PC{0,20}", secret in "[!-~]{16,40}", after in "\\PC{0,20}", encoded: bool,
        ) {
            let spelled = if encoded { percent(&secret) } else { secret.clone() };
            let shown = hidden(&secret, &format!("{before}{spelled}{after}"));
            prop_assert!(!shown.contains(&spelled));
            prop_assert!(shown.contains(HIDDEN));
            prop_assert_eq!(hidden("0123456789abcdefghij", &before), before);
        }
    }
}
