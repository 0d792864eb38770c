//! Log lines: logfmt or JSON, one per line, on standard error, without ever delaying a scrape.
//!
//! Lines go into a bounded queue that a thread of its own writes. If standard error is slow or closed, lines are dropped.
//! Levels say who must act: ERROR somebody, now; WARN degraded but serving; INFO a change of state. Fields of spans, such
//! as the account of a task, appear in every line within the span.

use serde_json::Value;
use std::fmt::Debug;
use std::io;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Settings of the log.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The most verbose level that is written. At TRACE, libraries log everything too; otherwise from WARN.
    pub level: LevelFilter,
    /// The format of lines.
    pub format: Format,
}

/// The names of the levels, the most verbose first.
pub const LEVELS: [(&str, LevelFilter); 5] = [
    ("trace", LevelFilter::TRACE),
    ("debug", LevelFilter::DEBUG),
    ("info", LevelFilter::INFO),
    ("warn", LevelFilter::WARN),
    ("error", LevelFilter::ERROR),
];

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object per line.
    Json,
}

/// The names of the formats.
pub const FORMATS: [(&str, Format); 2] = [("logfmt", Format::Logfmt), ("json", Format::Json)];

/// The most lines that wait to be written; more are dropped.
const QUEUE_LINES: usize = 4096;

/// Starts logging to standard error. Dropping the guard writes what is in the queue.
///
/// # Errors
/// If logging was started before.
pub fn start(options: Options) -> Result<WorkerGuard, Box<dyn std::error::Error + Send + Sync>> {
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(QUEUE_LINES).lossy(true).finish(io::stderr());
    tracing_subscriber::fmt()
        .with_max_level(options.level)
        .with_writer(writer)
        .fmt_fields(SpanFormat(options.format))
        .event_format(EventFormat {
            format: options.format,
            ours: env!("CARGO_CRATE_NAME"),
            libraries: if options.level == LevelFilter::TRACE { tracing::Level::TRACE } else { tracing::Level::WARN },
        })
        .try_init()?;
    Ok(guard)
}

/// Writes events of our own crate, and those of libraries that are severe enough.
struct EventFormat {
    format: Format,
    ours: &'static str,
    /// The most verbose level of libraries that is written.
    libraries: tracing::Level,
}

impl<S, N> FormatEvent<S, N> for EventFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        let metadata = event.metadata();
        let ours = metadata.target().starts_with(self.ours);
        if !ours && *metadata.level() > self.libraries {
            return Ok(());
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let pairs = head(*metadata.level(), fields.message).into_iter().chain(fields.others);
        self.format.write(&mut out, pairs)?;
        let spans = context.event_scope().into_iter().flatten();
        for span in spans.filter(|span| span.metadata().target().starts_with(self.ours)) {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                out.write_str(&fields.fields)?;
            }
        }
        out.write_str(self.format.end())
    }
}

/// The fields that every line begins with.
fn head(level: tracing::Level, message: String) -> [(&'static str, Value); 3] {
    let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    let level = level.as_str().to_ascii_lowercase();
    [("ts", Value::from(time)), ("level", Value::from(level)), ("msg", Value::from(message))]
}

/// Writes the fields of spans as a continuation of the event's.
struct SpanFormat(Format);

impl<'writer> FormatFields<'writer> for SpanFormat {
    fn format_fields<R: RecordFields>(&self, mut out: Writer<'writer>, recorded: R) -> std::fmt::Result {
        let mut fields = Fields::default();
        recorded.record(&mut fields);
        fields.others.into_iter().try_for_each(|pair| self.0.write_next(&mut out, pair))
    }
}

impl Format {
    /// A line of level ERROR, for errors before the log is started.
    pub fn error(self, message: &str) -> String {
        let mut line = String::new();
        let pairs = head(tracing::Level::ERROR, message.to_owned());
        self.write(&mut Writer::new(&mut line), pairs.into_iter()).expect("writing to memory cannot fail");
        line + self.end()
    }

    /// The end of a line.
    const fn end(self) -> &'static str {
        match self {
            Self::Logfmt => "\n",
            Self::Json => "}\n",
        }
    }

    /// Writes the pairs of a line, without its end.
    fn write(self, out: &mut Writer<'_>, mut pairs: impl Iterator<Item = (&'static str, Value)>) -> std::fmt::Result {
        if let Some(first) = pairs.next() {
            out.write_str(if self == Self::Json { "{" } else { "" })?;
            self.write_pair(out, first)?;
        }
        pairs.try_for_each(|pair| self.write_next(out, pair))
    }

    fn write_next(self, out: &mut Writer<'_>, pair: (&'static str, Value)) -> std::fmt::Result {
        out.write_char(if self == Self::Json { ',' } else { ' ' })?;
        self.write_pair(out, pair)
    }

    fn write_pair(self, out: &mut Writer<'_>, (key, value): (&'static str, Value)) -> std::fmt::Result {
        match (self, value) {
            (Self::Json, value) => write!(out, "\"{key}\":{}", escaped_json(&value)),
            (Self::Logfmt, Value::String(text)) if is_plain(&text) => write!(out, "{key}={text}"),
            // Readers of logfmt know the escapes of JSON.
            (Self::Logfmt, value) => write!(out, "{key}={}", escaped_json(&value)),
        }
    }
}

/// Whether a character controls how a terminal or browser shows the text around it: control characters, line separators and
/// bidirectional marks.
pub fn is_formatting(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// As JSON, with formatting characters escaped that JSON leaves alone.
fn escaped_json(value: &Value) -> String {
    let mut text = String::new();
    for character in value.to_string().chars() {
        if is_formatting(character) {
            // All of them have four hexadecimal digits at the most.
            text.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            text.push(character);
        }
    }
    text
}

/// Whether a text needs no quotes in logfmt.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"=\\".contains(&byte))
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, Value::from(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::from(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: Format, pairs: &[(&'static str, Value)]) -> String {
        let mut text = String::new();
        format.write(&mut Writer::new(&mut text), pairs.iter().cloned()).unwrap();
        text
    }

    #[test]
    fn quoted_text_cannot_forge_a_line() {
        let pairs = [("level", "info".into()), ("msg", "a \"b\"\nlevel=error \u{1b}[31m".into()), ("n", 3.into())];
        assert_eq!(line(Format::Logfmt, &pairs), "level=info msg=\"a \\\"b\\\"\\nlevel=error \\u001b[31m\" n=3");
        for format in [Format::Logfmt, Format::Json] {
            let text = line(format, &[("msg", "\u{9b}2J\u{7f}\u{202e}\u{2028}\u{2069}\u{fc}".into())]);
            assert!(text.contains("\"\\u009b2J\\u007f\\u202e\\u2028\\u2069\u{fc}\""), "{text}");
        }
        let object: Value = serde_json::from_str(&(line(Format::Json, &pairs) + "}")).unwrap();
        assert_eq!((object["n"].as_i64(), object["level"].as_str()), (Some(3), Some("info")));
    }
}
