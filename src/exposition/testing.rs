//! For tests: a parser of both formats that shares no code with the writers, repositories to write, and decoders.

use super::{Encoding, Exposition, Format, Options, PlainTextRoom, response};
use crate::model::{Repository, Snapshot, Timestamp, Visibility};
use std::collections::HashSet;
use std::io::Read as _;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: String,
}

impl Sample {
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

/// Parses an exposition. Panics if it breaks a rule that the formats share: each line of a family's metadata comes once,
/// before its samples; the samples of a family are consecutive; no series repeats; every line ends.
pub(super) fn parse(text: &[u8]) -> Vec<Sample> {
    let text = std::str::from_utf8(text).expect("an exposition is UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end");
    let mut samples: Vec<Sample> = Vec::new();
    let (mut families, mut metadata, mut series) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut current = String::new();
    let mut sampled = true;
    for line in text.split_terminator('\n') {
        if line == "# EOF" {
            continue;
        }
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (keyword, family, value) =
                (words.next().expect("keyword"), words.next().expect("family"), words.next().expect("text"));
            assert!(["TYPE", "UNIT", "HELP"].contains(&keyword) && !value.is_empty(), "{line}");
            if family != current {
                assert!(sampled, "{current} has metadata but no samples");
                assert!(families.insert(family.to_owned()), "{family} comes twice");
                family.clone_into(&mut current);
                sampled = false;
            }
            assert!(!sampled, "metadata after samples: {line}");
            assert!(metadata.insert((keyword.to_owned(), family.to_owned())), "twice: {line}");
            continue;
        }
        let sample = parse_sample(line);
        let suffix = sample.name.strip_prefix(&current).unwrap_or_else(|| panic!("{line} stands below {current}"));
        assert!(["", "_total", "_bucket", "_sum", "_count"].contains(&suffix), "{line} stands below {current}");
        assert!(series.insert((sample.name.clone(), sample.labels.clone())), "twice: {line}");
        sampled = true;
        samples.push(sample);
    }
    assert!(sampled, "{current} has metadata but no samples");
    samples
}

fn parse_sample(line: &str) -> Sample {
    let mut rest = line.chars();
    let mut name = String::new();
    let mut labels = Vec::new();
    let mut more = loop {
        match rest.next().expect("a value") {
            ' ' => break false,
            '{' => break true,
            c => name.push(c),
        }
    };
    assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
    while more {
        let label: String = rest.by_ref().take_while(|c| *c != '=').collect();
        assert_eq!(rest.next(), Some('"'), "{line}");
        let mut value = String::new();
        loop {
            match rest.next().expect("a closing quote") {
                '"' => break,
                '\\' => value.push(match rest.next() {
                    Some('n') => '\n',
                    Some(c @ ('\\' | '"')) => c,
                    other => panic!("escaped {other:?}: {line}"),
                }),
                c => value.push(c),
            }
        }
        labels.push((label, value));
        more = match rest.next() {
            Some(',') => true,
            Some('}') => false,
            other => panic!("{other:?} after a label: {line}"),
        };
        assert!(more || rest.next() == Some(' '), "{line}");
    }
    let value = rest.as_str().to_owned();
    assert!(value.parse::<f64>().is_ok(), "{line}");
    Sample { name, labels, value }
}

pub(super) fn decode(body: &[u8], encoding: Encoding) -> Vec<u8> {
    let mut plain = Vec::new();
    match encoding {
        Encoding::Identity => plain.extend_from_slice(body),
        Encoding::Gzip => {
            // One member and nothing after it, which is what every client reads; one frame likewise.
            let mut member = flate2::bufread::GzDecoder::new(body);
            member.read_to_end(&mut plain).unwrap();
            assert!(member.into_inner().is_empty());
        }
        Encoding::Zstd => {
            let mut frame = zstd::Decoder::with_buffer(body).unwrap().single_frame();
            frame.read_to_end(&mut plain).unwrap();
            assert!(frame.finish().is_empty());
        }
    }
    plain
}

/// The exposition of a snapshot as plain text. Panics if that breaks a rule of [`parse`] or is not what was counted.
pub(super) fn text(snapshot: &Snapshot, options: &Options) -> String {
    let exposition = Exposition::build(Arc::new(snapshot.clone()), options, None);
    let room = PlainTextRoom::new(0);
    let text = response(b"", Some(&exposition), Format::Text, Encoding::Identity, &room).concat();
    assert_eq!((exposition.series(), exposition.bytes()), (parse(&text).len(), text.len()));
    String::from_utf8(text).unwrap()
}

pub(super) fn row(namespace: &str, name: &str) -> Repository {
    Repository {
        namespace: namespace.into(),
        name: name.into(),
        category: Some("linux".into()),
        visibility: Some(Visibility::Private),
        size: Some(1_024),
        images: Some(3),
        downloads: Some(7),
        created: Some(Timestamp(1_483_228_800_000_000_000)),
        updated: Some(Timestamp(1_505_098_802_542_841_141)),
    }
}

/// A repository without any optional field.
pub(super) fn bare_row(namespace: &str, name: &str) -> Repository {
    Repository { name: name.into(), ..Repository::unknown(namespace.into()) }
}
