//! Content negotiation by RFC 9110, 12.5.1 and 12.5.3, as pure functions of the headers.
//!
//! Whatever the headers contain, the result is a response or 406. Elements that cannot be parsed are ignored.

use crate::exposition::{Encoding, Format};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};

/// The format and encoding to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Negotiated {
    /// From `Accept`.
    pub(super) format: Format,
    /// From `Accept-Encoding`.
    pub(super) encoding: Encoding,
}

/// The client refuses all our encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAcceptable;

/// A weight in thousandths, 0 to 1000.
type Quality = u16;

const MAX_QUALITY: Quality = 1000;

/// One element of a list header, with its weight.
struct Item<'a> {
    /// In small letters.
    name: String,
    version: Option<&'a str>,
    quality: Quality,
}

/// How an `Accept` header matches one of our formats.
#[derive(Clone, Copy)]
struct Match {
    /// The most specific range decides (RFC 9110, 12.5.1). 0 and 1 are wildcards, from 2 on the format is named.
    specificity: u8,
    quality: Quality,
    place: usize,
}

/// Negotiates; see [`format`](fn@format) and [`encoding`].
pub(super) fn negotiate(headers: &HeaderMap) -> Result<Negotiated, NotAcceptable> {
    Ok(Negotiated { format: format(headers), encoding: encoding(headers)? })
}

/// The format for an `Accept` header:
/// 1. OpenMetrics must be named: a wildcard means text, as in Prometheus' own libraries.
/// 2. The higher quality wins; among equals a named format before a wildcard, then the first in the list.
/// 3. Formats of versions that we do not have are ignored.
/// 4. If nothing is acceptable, or there is no header: text, as other exporters do.
fn format(headers: &HeaderMap) -> Format {
    let (mut text, mut open) = (None::<Match>, None::<Match>);
    for (place, item) in items(headers, &ACCEPT).enumerate() {
        let (slot, specificity) = match (item.name.as_str(), item.version) {
            ("application/openmetrics-text", Some("1.0.0")) => (&mut open, 4),
            ("application/openmetrics-text", None) => (&mut open, 3),
            // The draft has the same syntax, and its readers accept 1.0.0.
            ("application/openmetrics-text", Some("0.0.1")) => (&mut open, 2),
            ("text/plain", Some("0.0.4")) => (&mut text, 3),
            ("text/plain", None) => (&mut text, 2),
            ("text/*", _) => (&mut text, 1),
            ("*/*", _) => (&mut text, 0),
            _ => continue,
        };
        if slot.is_none_or(|kept| kept.specificity < specificity) {
            *slot = Some(Match { specificity, quality: item.quality, place });
        }
    }
    let Some(open) = open.filter(|open| open.quality > 0) else { return Format::Text };
    let Some(text) = text else { return Format::OpenMetrics };
    match open.quality.cmp(&text.quality) {
        std::cmp::Ordering::Greater => Format::OpenMetrics,
        std::cmp::Ordering::Less => Format::Text,
        std::cmp::Ordering::Equal if text.specificity < 2 || open.place < text.place => Format::OpenMetrics,
        std::cmp::Ordering::Equal => Format::Text,
    }
}

/// The encoding for an `Accept-Encoding` header:
/// 1. The higher quality wins; among equals gzip before zstd before identity, because gzip is made with each snapshot.
/// 2. Identity is acceptable unless refused by name or by `*`, but listed encodings come first.
/// 3. No header means identity.
fn encoding(headers: &HeaderMap) -> Result<Encoding, NotAcceptable> {
    let (mut gzip, mut zstd, mut identity, mut any) = (None, None, None, None);
    for item in items(headers, &ACCEPT_ENCODING) {
        let slot = match item.name.as_str() {
            "gzip" | "x-gzip" => &mut gzip,
            "zstd" => &mut zstd,
            "identity" => &mut identity,
            "*" => &mut any,
            _ => continue,
        };
        slot.get_or_insert(item.quality);
    }
    // Doubled, so that an unlisted identity (1) fits between refused (0) and the lowest weight (2).
    let weight = |listed: Option<Quality>, unlisted| listed.or(any).map_or(unlisted, |quality| 2 * quality);
    let offers = [
        (Encoding::Gzip, weight(gzip, 0)),
        (Encoding::Zstd, weight(zstd, 0)),
        (Encoding::Identity, weight(identity, 1)),
    ];
    // Of equals, the last one of the reversed list.
    let best = offers.into_iter().rev().max_by_key(|(_, weight)| *weight).filter(|(_, weight)| *weight > 0);
    best.map(|(encoding, _)| encoding).ok_or(NotAcceptable)
}

/// The elements of a list header over all its lines, without those whose weight cannot be parsed.
fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Item<'a>> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| split(line, b',')).filter_map(item)
}

fn item(element: &str) -> Option<Item<'_>> {
    let mut pieces = split(element, b';').map(|piece| piece.trim_matches([' ', '\t']));
    let name = pieces.next().filter(|name| !name.is_empty())?;
    let mut item = Item { name: name.to_ascii_lowercase(), version: None, quality: MAX_QUALITY };
    for piece in pieces {
        let Some((key, value)) = piece.split_once('=') else { continue };
        if key.eq_ignore_ascii_case("q") {
            item.quality = quality(value)?;
        } else if key.eq_ignore_ascii_case("version") {
            item.version = Some(value.trim_matches('"'));
        }
    }
    Some(item)
}

/// Parses a weight such as `0`, `1` or `0.5`; any number of digits, and more than 1 is 1.
fn quality(text: &str) -> Option<Quality> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    if whole.bytes().any(|byte| byte != b'0') {
        return Some(MAX_QUALITY);
    }
    let places = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    Some(places.fold(0, |sum, digit| 10 * sum + Quality::from(digit - b'0')))
}

fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = text.bytes().position(|byte| {
            let literal = escaped;
            escaped = quoted && byte == b'\\' && !literal;
            quoted ^= byte == b'"' && !literal;
            byte == separator && !quoted
        });
        let (element, next) = end.map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])));
        rest = next;
        Some(element)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_bytes(line.as_bytes()).unwrap())).collect()
    }

    #[test]
    fn content_negotiation() {
        use Format::{OpenMetrics, Text};
        let cases = [
            // Prometheus 2.x, with the default protocols, and with native histograms.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
            // Prometheus 3: default, text 1.0.0 alone, text 0.0.4 alone.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                OpenMetrics,
            ),
            ("text/plain;version=1.0.0;escaping=allow-utf-8;q=0.2,*/*;q=0.1", Text),
            ("text/plain;version=0.0.4;q=0.2,*/*;q=0.1", Text),
            ("application/openmetrics-text;version=0.0.1;q=0.2,*/*;q=0.1", OpenMetrics),
            // Protobuf alone: we have none, so text.
            ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", Text),
            // A browser, curl, nothing.
            ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", Text),
            ("*/*", Text),
            ("", Text),
            // Weights and order.
            ("application/openmetrics-text", OpenMetrics),
            ("application/openmetrics-text;q=0.1", OpenMetrics),
            ("application/openmetrics-text;q=0", Text),
            ("application/openmetrics-text,text/plain", OpenMetrics),
            ("text/plain,application/openmetrics-text", Text),
            ("*/*,application/openmetrics-text", OpenMetrics),
            ("text/plain;q=0.9,application/openmetrics-text;q=0.8", Text),
            ("text/plain;q=0,application/openmetrics-text;q=0.001", OpenMetrics),
            ("text/*;q=0.4,application/openmetrics-text;q=0.5", OpenMetrics),
            // The specific range decides for its format, whatever a wider one says.
            (
                "application/openmetrics-text;version=1.0.0;q=0.2,application/openmetrics-text;q=0.9,text/plain;q=0.5",
                Text,
            ),
            ("text/plain;version=0.0.4;q=0.2,text/plain;q=0.9,application/openmetrics-text;q=0.5", OpenMetrics),
            // Wildcards, versions that we do not have, quotes, case, garbage.
            ("application/*", Text),
            ("application/openmetrics-text;version=2.0.0", Text),
            ("application/openmetrics-text; version=\"1.0.0\" ; charset=utf-8", OpenMetrics),
            ("Application/OpenMetrics-Text;Version=1.0.0;Q=1.0", OpenMetrics),
            ("x/y;a=\"application/openmetrics-text,\\\",application/openmetrics-text\"", Text),
            ("application/openmetrics-text;q=nonsense", Text),
            ("application/openmetrics-text;q=-1", Text),
            (",;=;,,q=;\"", Text),
        ];
        for (accept, expected) in cases {
            assert_eq!(format(&headers(&ACCEPT, &[accept])), expected, "{accept}");
        }
        assert_eq!(format(&HeaderMap::new()), Text);
        let two_lines = headers(&ACCEPT, &["text/plain;q=0.5", "application/openmetrics-text"]);
        assert_eq!(format(&two_lines), OpenMetrics, "the lines of a header are one list");
    }

    #[test]
    fn encodings_are_chosen_by_weight() {
        use Encoding::{Gzip, Identity, Zstd};
        let long = "x".repeat(8000);
        let cases = [
            ("", Ok(Identity)),
            ("gzip", Ok(Gzip)),
            ("GZip", Ok(Gzip)),
            ("x-gzip", Ok(Gzip)),
            ("zstd", Ok(Zstd)),
            ("gzip, zstd", Ok(Gzip)),
            ("zstd, gzip", Ok(Gzip)),
            ("gzip;q=0.5, zstd", Ok(Zstd)),
            ("gzip, deflate, br, zstd", Ok(Gzip)),
            ("br, deflate", Ok(Identity)),
            ("identity", Ok(Identity)),
            ("identity, gzip;q=0.9", Ok(Identity)),
            ("identity, gzip", Ok(Gzip)),
            ("gzip;q=0.001", Ok(Gzip)),
            ("gzip;q=0", Ok(Identity)),
            ("gzip;q=0.0000", Ok(Identity)),
            ("gzip;q=0, *", Ok(Zstd)),
            ("*", Ok(Gzip)),
            ("*;q=0.1, identity", Ok(Identity)),
            ("*;q=0, gzip", Ok(Gzip)),
            ("*;q=0, identity;q=0.1", Ok(Identity)),
            ("identity;q=0, zstd;q=0.2", Ok(Zstd)),
            ("identity;q=0", Err(NotAcceptable)),
            ("identity;q=0, br", Err(NotAcceptable)),
            ("*;q=0", Err(NotAcceptable)),
            ("gzip;q=x", Ok(Identity)),
            ("\"gzip", Ok(Identity)),
            (";;;,,,q=1", Ok(Identity)),
            (&long, Ok(Identity)),
        ];
        for (accepted, expected) in cases {
            assert_eq!(encoding(&headers(&ACCEPT_ENCODING, &[accepted])), expected, "{accepted}");
        }
        assert_eq!(encoding(&HeaderMap::new()), Ok(Identity));
    }

    proptest! {
        #[test]
        fn any_header_can_be_negotiated(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let map = HeaderMap::from_iter([(ACCEPT, value.clone()), (ACCEPT_ENCODING, value)]);
                let _ = negotiate(&map);
            }
        }

        #[test]
        fn an_encoding_refused_by_name_is_never_chosen(
            gzip in 0..=2u16, zstd in 0..=2u16, identity in 0..=2u16, any in 0..=2u16,
        ) {
            let line = format!("*;q=0.{any}, gzip;q=0.{gzip}, identity;q=0.{identity}, zstd;q=0.{zstd}");
            let refused = |encoding| match encoding {
                Encoding::Gzip => gzip == 0,
                Encoding::Zstd => zstd == 0,
                Encoding::Identity => identity == 0,
            };
            match encoding(&headers(&ACCEPT_ENCODING, &[&line])) {
                Ok(encoding) => prop_assert!(!refused(encoding), "{line}"),
                Err(NotAcceptable) => prop_assert!(gzip + zstd + identity == 0, "{line}"),
            }
        }
    }
}
