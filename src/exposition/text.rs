//! The lines of the text formats: metadata and samples.
//!
//! They are compressed in chunks of about [`CHUNK`] bytes, so an exposition of tens of megabytes is never held whole.

use super::compress::Deflater;
use super::constant_labels::{ConstantLabels, end_labels};
use super::{escape, number};
use crate::catalog::Family;
use crate::model::Timestamp;

/// Bytes that are compressed at a time: few enough for the second-level cache beside the compressor's tables.
pub(super) const CHUNK: usize = 64 * 1024;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Value {
    Integer(u64),
    Signed(i64),
    Sum(u128),
    Time(Timestamp),
    /// A finite number that the API gives in a unit of its own.
    Fraction(f64),
}

/// Compresses families and counts their samples.
pub(super) struct Writer<'a> {
    deflater: &'a mut Deflater,
    buffer: Vec<u8>,
    /// The number of samples.
    pub(super) series: usize,
    /// The constant labels, encoded.
    constant: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(deflater: &'a mut Deflater, labels: &ConstantLabels) -> Self {
        Self { deflater, buffer: Vec::with_capacity(CHUNK), series: 0, constant: labels.encode() }
    }

    /// Writes a family: a sample for each item that has a value, with a value for each of the family's labels. A family
    /// without samples is left out.
    pub(super) fn family<'l, T: Copy, const N: usize>(
        &mut self,
        family: &Family,
        items: impl IntoIterator<Item = T>,
        value: impl Fn(T) -> Option<Value>,
        labels: impl Fn(T) -> [&'l str; N],
    ) {
        let mut samples = items.into_iter().filter_map(|item| Some((item, value(item)?))).peekable();
        if samples.peek().is_none() {
            return;
        }
        metadata(family, &mut self.buffer);
        for (item, value) in samples {
            self.buffer.extend_from_slice(family.name.as_bytes());
            let start = self.buffer.len();
            for (index, (name, value)) in family.labels.iter().zip(labels(item)).enumerate() {
                label(if index == 0 { b'{' } else { b',' }, name, value, &mut self.buffer);
            }
            end_labels(start, &self.constant, &mut self.buffer);
            write_value(value, &mut self.buffer);
            self.series += 1;
            if self.buffer.len() >= CHUNK {
                self.flush();
            }
        }
        self.flush();
    }

    fn flush(&mut self) {
        self.deflater.push(&self.buffer);
        self.buffer.clear();
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
