//! The subject alternative names of a certificate.
//!
//! Neither rustls nor webpki exposes IP addresses and mailboxes. The input is untrusted: this only slices it, and returns
//! `None` for anything unexpected.

use std::net::IpAddr;

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
const BOOLEAN: u8 = 0x01;
/// `[3] EXPLICIT Extensions`; no other field of a certificate has this tag (RFC 5280, 4.1).
const EXTENSIONS: u8 = 0xa3;
/// 2.5.29.17, subjectAltName.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// The kinds of GeneralName that we read (RFC 5280, 4.2.1.6).
const MAILBOX: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const ADDRESS: u8 = 0x87;

/// DNS names, mailboxes and URIs verbatim, IP addresses in their usual notation. `None` if this is no certificate.
pub fn subject_alternative_names(certificate: &[u8]) -> Option<Vec<String>> {
    let mut certificate = expect(&mut { certificate }, SEQUENCE)?;
    let mut fields = expect(&mut certificate, SEQUENCE)?;
    let mut names = Vec::new();
    while !fields.is_empty() {
        let (tag, mut content) = next(&mut fields)?;
        if tag != EXTENSIONS {
            continue;
        }
        let mut extensions = expect(&mut content, SEQUENCE)?;
        while !extensions.is_empty() {
            let mut extension = expect(&mut extensions, SEQUENCE)?;
            let id = expect(&mut extension, OBJECT_IDENTIFIER)?;
            let (tag, mut value) = next(&mut extension)?;
            if tag == BOOLEAN {
                value = expect(&mut extension, OCTET_STRING)?;
            } else if tag != OCTET_STRING {
                return None;
            }
            if id == SUBJECT_ALT_NAME {
                let mut general_names = expect(&mut value, SEQUENCE)?;
                while !general_names.is_empty() {
                    let (kind, name) = next(&mut general_names)?;
                    names.extend(text_of(kind, name));
                }
            }
        }
    }
    Some(names)
}

fn text_of(kind: u8, name: &[u8]) -> Option<String> {
    match kind {
        DNS | MAILBOX | URI => String::from_utf8(name.to_vec()).ok(),
        ADDRESS => <[u8; 4]>::try_from(name)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(name).map(IpAddr::from))
            .ok()
            .map(|address| address.to_string()),
        _ => None,
    }
}

/// The content of the next element, which must have this tag.
fn expect<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    next(input).and_then(|(found, content)| (found == tag).then_some(content))
}

/// Tag and content of the next element; `input` becomes the rest.
fn next<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        // The number of length bytes. 0 is the indefinite form, which DER forbids; more than 4 exceeds any certificate.
        let (bytes, after) =
            rest.split_at_checked(usize::from(first - 0x80)).filter(|(bytes, _)| (1..=4).contains(&bytes.len()))?;
        length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        rest = after;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some((tag, content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn certificate(names: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn every_kind_of_name_is_read() {
        let many = |number| SanType::DnsName(format!("host-{number}.example").try_into().unwrap());
        let mut names = vec![
            SanType::DnsName("prometheus.example".try_into().unwrap()),
            SanType::Rfc822Name("ops@example.org".try_into().unwrap()),
            SanType::URI("spiffe://example/prometheus".try_into().unwrap()),
            SanType::IpAddress("192.0.2.7".parse().unwrap()),
            SanType::IpAddress("2001:db8::7".parse().unwrap()),
        ];
        let read = subject_alternative_names(&certificate(names.clone())).unwrap();
        let expected =
            ["prometheus.example", "ops@example.org", "spiffe://example/prometheus", "192.0.2.7", "2001:db8::7"];
        assert_eq!(read, expected);
        // Lengths of two bytes and more.
        names.extend((0..3000).map(many));
        assert_eq!(subject_alternative_names(&certificate(names)).unwrap().len(), 3005);
        assert_eq!(subject_alternative_names(&certificate(Vec::new())), Some(Vec::new()));
    }

    #[test]
    fn a_certificate_that_ends_early_or_is_none_gives_nothing() {
        let whole = certificate(vec![SanType::DnsName("prometheus.example".try_into().unwrap())]);
        for end in 0..whole.len() {
            assert_eq!(subject_alternative_names(&whole[..end]), None, "{end} bytes");
        }
        // Whatever a byte is changed to, nothing worse than another answer comes of it.
        for at in 0..whole.len() {
            for value in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                let _ = subject_alternative_names(&changed);
            }
        }
        assert_eq!(subject_alternative_names(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
