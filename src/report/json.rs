//! The report for programs: its structs as serde writes them.

use super::Report;
use super::layout::rfc3339;
use crate::model::Timestamp;
use serde::Serializer;
use std::fmt::Display;
use std::io::{self, Write};

pub(super) fn render(report: &Report, sink: &mut dyn Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(sink);
    serde_json::to_writer_pretty(&mut out, report)?;
    out.write_all(b"\n")?;
    out.flush()
}

pub(super) fn text<S: Serializer>(value: &impl Display, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(value)
}

pub(super) fn optional_text<S: Serializer>(value: &Option<impl Display>, out: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => out.collect_str(value),
        None => out.serialize_none(),
    }
}

pub(super) fn time<S: Serializer>(time: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&rfc3339(*time))
}

pub(super) fn optional_time<S: Serializer>(time: &Option<Timestamp>, out: S) -> Result<S::Ok, S::Error> {
    optional_text(&time.map(rfc3339), out)
}
