//! The lines of the text formats: metadata and samples. The sink gets chunks of about [`CHUNK`] bytes, never the whole.

use super::constant_labels::{ConstantLabels, end_labels};
use super::{escape, number};
use crate::catalog::Family;
use crate::model::Timestamp;
use std::io::{self, Write};
use std::ops::AddAssign;

/// Bytes per write into a sink: few enough for the second-level cache, enough to make writes rare.
pub(super) const CHUNK: usize = 64 * 1024;

/// Capacity above [`CHUNK`] for the line that crosses it; enough for names of legal length.
const LAST_LINE: usize = 4 * 1024;

/// How much was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sample lines. Each is a series, because no sample repeats.
    pub series: usize,
    /// Bytes before compression.
    pub bytes: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.series += other.series;
        self.bytes += other.bytes;
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Value {
    Integer(u64),
    Signed(i64),
    Sum(u128),
    Time(Timestamp),
    /// A finite number that the API gives in a unit of its own.
    Fraction(f64),
}

/// Writes families into a sink and counts.
pub(super) struct Writer<W> {
    sink: W,
    buffer: Vec<u8>,
    counts: Counts,
    /// The constant labels, encoded.
    constant: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// All samples get these labels.
    pub(super) fn new(sink: W, labels: &ConstantLabels) -> Self {
        let buffer = Vec::with_capacity(CHUNK + LAST_LINE);
        Self { sink, buffer, counts: Counts::default(), constant: labels.encode() }
    }

    /// Writes a family, if it has samples: one for each item with a value, with a value for each of the family's labels.
    pub(super) fn family<'a, T: Copy, const N: usize>(
        &mut self,
        family: &Family,
        items: impl IntoIterator<Item = T>,
        value: impl Fn(T) -> Option<Value>,
        labels: impl Fn(T) -> [&'a str; N],
    ) -> io::Result<()> {
        let mut samples = items.into_iter().filter_map(|item| Some((item, value(item)?))).peekable();
        if samples.peek().is_some() {
            metadata(family, &mut self.buffer);
        }
        for (item, value) in samples {
            self.buffer.extend_from_slice(family.name.as_bytes());
            let start = self.buffer.len();
            for (index, (name, value)) in family.labels.iter().zip(labels(item)).enumerate() {
                label(if index == 0 { b'{' } else { b',' }, name, value, &mut self.buffer);
            }
            end_labels(start, &self.constant, &mut self.buffer);
            self.value(value)?;
        }
        Ok(())
    }

    fn value(&mut self, value: Value) -> io::Result<()> {
        write_value(value, &mut self.buffer);
        self.counts.series += 1;
        if self.buffer.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.write_all(&self.buffer)?;
        self.counts.bytes += self.buffer.len();
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is buffered.
    pub(super) fn finish(mut self) -> io::Result<Counts> {
        self.flush()?;
        Ok(self.counts)
    }
}

/// Appends a value, after a space, and the end of its line.
pub(super) fn write_value(value: Value, out: &mut Vec<u8>) {
    out.push(b' ');
    match value {
        Value::Integer(value) => number::integer(value, out),
        Value::Signed(value) => number::integer(value, out),
        Value::Sum(value) => number::integer(value, out),
        Value::Time(value) => number::seconds(value, out),
        Value::Fraction(value) => number::float(value, out),
    }
    out.push(b'\n');
}

/// Appends the metadata lines of a family of the catalog.
pub(super) fn metadata(family: &Family, out: &mut Vec<u8>) {
    metadata_of(family.name, family.kind.as_str(), family.unit, family.help, out);
}

/// Appends metadata lines in the order that OpenMetrics recommends. HELP is not escaped: tests make sure that none needs it.
pub(super) fn metadata_of(name: &str, kind: &str, unit: Option<&str>, help: &str, out: &mut Vec<u8>) {
    for (keyword, text) in [("# TYPE ", Some(kind)), ("# UNIT ", unit), ("# HELP ", Some(help))] {
        for part in text.into_iter().flat_map(|text| [keyword, name, " ", text, "\n"]) {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// Appends a label after a separator, `{` or `,`.
pub(super) fn label(separator: u8, name: &str, value: &str, out: &mut Vec<u8>) {
    open_label(separator, name, out);
    escape::label_value(value, out);
    out.push(b'"');
}

/// Appends a label up to its value.
pub(super) fn open_label(separator: u8, name: &str, out: &mut Vec<u8>) {
    out.push(separator);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    /// Keeps the length of every write.
    #[derive(Default)]
    struct Chunks(Vec<usize>);

    impl Write for &mut Chunks {
        fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
            self.0.push(chunk.len());
            Ok(chunk.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_sink_gets_chunks_and_every_byte_is_counted() {
        let mut chunks = Chunks::default();
        let mut writer = Writer::new(&mut chunks, &ConstantLabels::default());
        let name = "x".repeat(1_000);
        writer.family(&catalog::NAMESPACE_IMAGES, 0..500, |_| Some(Value::Integer(1)), |_| [&name]).unwrap();
        let counts = writer.finish().unwrap();
        assert_eq!((counts.series, counts.bytes), (500, chunks.0.iter().sum()));
        assert!(chunks.0.len() > 5 && chunks.0.iter().all(|length| *length < CHUNK + LAST_LINE));
    }

    #[test]
    fn a_family_without_samples_leaves_no_trace() {
        let mut body = Vec::new();
        let mut writer = Writer::new(&mut body, &ConstantLabels::default());
        writer.family(&catalog::REPOSITORY_SIZE, [1, 2], |_| None, |_| []).unwrap();
        assert_eq!(writer.finish().unwrap(), Counts::default());
        assert!(body.is_empty());
    }
}
