//! The families of a snapshot, written line by line into a sink.
//!
//! The sink gets chunks of [`CHUNK`] bytes, so a page of tens of megabytes is never held whole on its way into a
//! compressor. The text is the same for both formats (see [`super`]); what it lacks is the end of an OpenMetrics page.

use super::{Options, RepositoryMetric, escape, number};
use crate::catalog::{self, Family};
use crate::model::{Repository, Snapshot, Timestamp, Visibility};
use std::io::{self, Write};

/// Fits the second-level cache beside the compressor's own tables, and makes calls into the sink rare.
const CHUNK: usize = 64 * 1024;

/// How much was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sample lines; each is a series, as no sample repeats.
    pub series: usize,
    /// Bytes before compression.
    pub bytes: usize,
}

/// Writes every family of the snapshot that has a sample.
///
/// # Errors
/// Only those of the sink.
pub fn write_snapshot(snapshot: &Snapshot, options: &Options, sink: impl Write) -> io::Result<Counts> {
    let mut writer = Writer { sink, buffer: Vec::with_capacity(CHUNK + CHUNK / 8), counts: Counts::default() };
    for metric in options.repository_metrics.iter() {
        writer.repository_metric(metric, snapshot)?;
    }
    writer.namespaces(&catalog::NAMESPACE_REPOSITORIES, snapshot, |rows| Some(Value::Integer(rows.len() as u64)))?;
    writer.namespaces(&catalog::NAMESPACE_SIZE, snapshot, |rows| sum(rows, |row| row.size))?;
    writer.namespaces(&catalog::NAMESPACE_IMAGES, snapshot, |rows| sum(rows, |row| row.images))?;
    writer.namespaces(&catalog::NAMESPACE_DOWNLOADS, snapshot, |rows| sum(rows, |row| row.downloads))?;
    let reads = &snapshot.namespaces;
    writer.family(&catalog::NAMESPACE_UP, reads, |read| (&read.name, Some(Value::Integer(read.complete.into()))))?;
    writer.family(&catalog::NAMESPACE_SNAPSHOT, reads, |read| (&read.name, read.read_at.map(Value::Time)))?;
    writer.single(&catalog::REPOSITORIES, Value::Integer(snapshot.repositories.len() as u64))?;
    writer.finish()
}

/// A sample value. Floats are absent: nothing that the API counts is one.
#[derive(Clone, Copy)]
enum Value {
    Integer(u64),
    Sum(u128),
    Time(Timestamp),
}

/// The sum over the rows that have the field; `None` where no row has it.
fn sum(rows: &[Repository], field: impl Fn(&Repository) -> Option<u64>) -> Option<Value> {
    rows.iter().filter_map(field).map(u128::from).reduce(|a, b| a + b).map(Value::Sum)
}

struct Writer<W> {
    sink: W,
    buffer: Vec<u8>,
    counts: Counts,
}

impl<W: Write> Writer<W> {
    fn repository_metric(&mut self, metric: RepositoryMetric, snapshot: &Snapshot) -> io::Result<()> {
        let (family, value): (_, fn(&Repository) -> Option<Value>) = match metric {
            RepositoryMetric::Size => (&catalog::REPOSITORY_SIZE, |row| row.size.map(Value::Integer)),
            RepositoryMetric::Images => (&catalog::REPOSITORY_IMAGES, |row| row.images.map(Value::Integer)),
            RepositoryMetric::Downloads => (&catalog::REPOSITORY_DOWNLOADS, |row| row.downloads.map(Value::Integer)),
            RepositoryMetric::Created => (&catalog::REPOSITORY_CREATED, |row| row.created.map(Value::Time)),
            RepositoryMetric::Updated => (&catalog::REPOSITORY_UPDATED, |row| row.updated.map(Value::Time)),
            RepositoryMetric::Info => {
                return self.repositories(
                    &catalog::REPOSITORY_INFO,
                    snapshot,
                    |_| Some(Value::Integer(1)),
                    |row| [row.category.as_deref().unwrap_or_default(), visibility(row)],
                );
            }
        };
        self.repositories(family, snapshot, value, |_| [])
    }

    /// A family with a sample per repository; `more` are the values of its labels after namespace and repository.
    fn repositories<const MORE: usize>(
        &mut self,
        family: &Family,
        snapshot: &Snapshot,
        value: impl Fn(&Repository) -> Option<Value>,
        more: impl Fn(&Repository) -> [&str; MORE],
    ) -> io::Result<()> {
        let [namespace_label, repository_label, more_labels @ ..] = family.labels else { return Ok(()) };
        debug_assert_eq!(more_labels.len(), MORE);
        let start = self.open(family);
        // What the lines of one namespace have in common is put together once.
        let mut common = Vec::new();
        for rows in snapshot.by_namespace() {
            common.clear();
            common.extend_from_slice(family.name.as_bytes());
            open_label(b'{', namespace_label, &mut common);
            escape::label_value(&rows[0].namespace, &mut common);
            common.push(b'"');
            open_label(b',', repository_label, &mut common);
            for row in rows {
                let Some(value) = value(row) else { continue };
                self.buffer.extend_from_slice(&common);
                escape::label_value(&row.name, &mut self.buffer);
                for (label, value) in more_labels.iter().zip(more(row)) {
                    self.buffer.push(b'"');
                    open_label(b',', label, &mut self.buffer);
                    escape::label_value(value, &mut self.buffer);
                }
                self.buffer.extend_from_slice(b"\"}");
                self.end(value)?;
            }
        }
        self.close(start);
        Ok(())
    }

    fn namespaces(
        &mut self,
        family: &Family,
        snapshot: &Snapshot,
        value: impl Fn(&[Repository]) -> Option<Value>,
    ) -> io::Result<()> {
        self.family(family, snapshot.by_namespace(), |rows| (&rows[0].namespace, value(rows)))
    }

    /// A family with one label and a sample per item that has a value.
    fn family<'a, T>(
        &mut self,
        family: &Family,
        items: impl IntoIterator<Item = T>,
        sample: impl Fn(T) -> (&'a str, Option<Value>),
    ) -> io::Result<()> {
        let [label] = family.labels else { return Ok(()) };
        let start = self.open(family);
        for (text, value) in items.into_iter().map(sample) {
            let Some(value) = value else { continue };
            self.buffer.extend_from_slice(family.name.as_bytes());
            open_label(b'{', label, &mut self.buffer);
            escape::label_value(text, &mut self.buffer);
            self.buffer.extend_from_slice(b"\"}");
            self.end(value)?;
        }
        self.close(start);
        Ok(())
    }

    /// A family of one sample without labels.
    fn single(&mut self, family: &Family, value: Value) -> io::Result<()> {
        self.open(family);
        self.buffer.extend_from_slice(family.name.as_bytes());
        self.end(value)
    }

    /// Writes the metadata, in the order that OpenMetrics recommends; returns what [`Self::close`] needs.
    fn open(&mut self, family: &Family) -> Opened {
        let opened = Opened { position: self.buffer.len(), series: self.counts.series };
        let mut line = |keyword: &str, text: &str| {
            for part in [keyword, family.name, " ", text, "\n"] {
                self.buffer.extend_from_slice(part.as_bytes());
            }
        };
        line("# TYPE ", family.kind.as_str());
        if let Some(unit) = family.unit {
            line("# UNIT ", unit);
        }
        // Not escaped: a test of the catalog sees to it that there is nothing to escape.
        line("# HELP ", family.help);
        opened
    }

    /// Takes the metadata back if no sample followed.
    fn close(&mut self, opened: Opened) {
        if self.counts.series == opened.series {
            // Still in the buffer: only the end of a sample empties it.
            self.buffer.truncate(opened.position);
        }
    }

    /// Ends a sample whose name and labels are written.
    fn end(&mut self, value: Value) -> io::Result<()> {
        self.buffer.push(b' ');
        match value {
            Value::Integer(value) => number::integer(value, &mut self.buffer),
            Value::Sum(value) => number::integer(value, &mut self.buffer),
            Value::Time(value) => number::seconds(value, &mut self.buffer),
        }
        self.buffer.push(b'\n');
        self.counts.series += 1;
        if self.buffer.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.write_all(&self.buffer)?;
        self.counts.bytes += self.buffer.len();
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Counts> {
        self.flush()?;
        Ok(self.counts)
    }
}

/// Where a family began.
#[derive(Clone, Copy)]
struct Opened {
    position: usize,
    series: usize,
}

fn open_label(separator: u8, name: &str, out: &mut Vec<u8>) {
    out.push(separator);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
}

fn visibility(row: &Repository) -> &'static str {
    match row.visibility {
        Some(Visibility::Public) => "public",
        Some(Visibility::Private) => "private",
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::RepositoryMetrics;
    use crate::exposition::testing::{Sample, bare_row, parse, row};
    use crate::model::NamespaceRead;
    use proptest::prelude::*;

    fn page(snapshot: &Snapshot, options: &Options) -> Vec<u8> {
        let mut body = Vec::new();
        let counts = write_snapshot(snapshot, options, &mut body).unwrap();
        assert_eq!(counts, Counts { series: parse(&body).len(), bytes: body.len() });
        body
    }

    fn snapshot(rows: Vec<Repository>) -> Snapshot {
        Snapshot::new(Timestamp(0), rows).0
    }

    fn samples(rows: Vec<Repository>) -> Vec<Sample> {
        parse(&page(&snapshot(rows), &Options::default()))
    }

    fn values<'a>(samples: &'a [Sample], family: &Family) -> Vec<&'a str> {
        samples.iter().filter(|sample| sample.name == family.name).map(|sample| sample.value.as_str()).collect()
    }

    #[test]
    fn a_small_snapshot_gives_this_page() {
        let mut snapshot = snapshot(vec![row("apps", "web/front"), bare_row("base", "alpine")]);
        snapshot.namespaces = vec![
            NamespaceRead { name: "apps".into(), read_at: Some(Timestamp(1_500_000_000)), complete: true },
            NamespaceRead { name: "gone".into(), read_at: None, complete: false },
        ];
        let want = r#"# TYPE swr_repository_size_bytes gauge
# UNIT swr_repository_size_bytes bytes
# HELP swr_repository_size_bytes Size of the repository in bytes (API field size), as of swr_snapshot_timestamp_seconds.
swr_repository_size_bytes{namespace="apps",repository="web/front"} 1024
# TYPE swr_repository_updated_timestamp_seconds gauge
# UNIT swr_repository_updated_timestamp_seconds seconds
# HELP swr_repository_updated_timestamp_seconds Unix time at which the repository was last updated (API field updated_at), as of swr_snapshot_timestamp_seconds.
swr_repository_updated_timestamp_seconds{namespace="apps",repository="web/front"} 1505098802.542841141
# TYPE swr_repository_info gauge
# HELP swr_repository_info Constant 1 with the category and visibility of the repository (API fields category and is_public), as of swr_snapshot_timestamp_seconds.
swr_repository_info{namespace="apps",repository="web/front",category="linux",visibility="private"} 1
swr_repository_info{namespace="base",repository="alpine",category="",visibility=""} 1
# TYPE swr_namespace_repositories gauge
# HELP swr_namespace_repositories Number of listed repositories in the organisation, as of swr_snapshot_timestamp_seconds.
swr_namespace_repositories{namespace="apps"} 1
swr_namespace_repositories{namespace="base"} 1
# TYPE swr_namespace_size_bytes gauge
# UNIT swr_namespace_size_bytes bytes
# HELP swr_namespace_size_bytes Sum of the sizes of the listed repositories of the organisation in bytes (API field size), as of swr_snapshot_timestamp_seconds.
swr_namespace_size_bytes{namespace="apps"} 1024
# TYPE swr_namespace_images gauge
# HELP swr_namespace_images Sum of the image tags of the listed repositories of the organisation (API field num_images), as of swr_snapshot_timestamp_seconds.
swr_namespace_images{namespace="apps"} 3
# TYPE swr_namespace_downloads gauge
# HELP swr_namespace_downloads Sum of the downloads of the listed repositories of the organisation (API field num_download), as of swr_snapshot_timestamp_seconds.
swr_namespace_downloads{namespace="apps"} 7
# TYPE swr_namespace_up gauge
# HELP swr_namespace_up Whether the latest listing of the organisation was complete, where organisations are listed one by one; if 0, its series are those of an earlier read.
swr_namespace_up{namespace="apps"} 1
swr_namespace_up{namespace="gone"} 0
# TYPE swr_namespace_snapshot_timestamp_seconds gauge
# UNIT swr_namespace_snapshot_timestamp_seconds seconds
# HELP swr_namespace_snapshot_timestamp_seconds Unix time at which the read behind the organisation's series began, where organisations are listed one by one.
swr_namespace_snapshot_timestamp_seconds{namespace="apps"} 1.5
# TYPE swr_repositories gauge
# HELP swr_repositories Number of repositories in the listing, as of swr_snapshot_timestamp_seconds.
swr_repositories 2
"#;
        let options = Options { repository_metrics: "size,updated,info".parse().unwrap() };
        assert_eq!(String::from_utf8(page(&snapshot, &options)).unwrap(), want);
    }

    #[test]
    fn only_the_chosen_repository_families_are_written() {
        let snapshot = snapshot(vec![row("a", "b")]);
        for metric in RepositoryMetric::ALL {
            let options = Options { repository_metrics: RepositoryMetrics::NONE.with(metric) };
            let samples = parse(&page(&snapshot, &options));
            let mut names = samples.iter().filter(|sample| sample.name.starts_with("swr_repository_"));
            assert!(names.next().unwrap().name.contains(metric.name()) && names.next().is_none());
        }
        let none = Options { repository_metrics: RepositoryMetrics::NONE };
        assert_eq!(parse(&page(&snapshot, &none)).len(), 5, "namespace sums and the total stay");
    }

    #[test]
    fn absent_is_not_zero() {
        let zero = Repository { size: Some(0), ..bare_row("a", "zero") };
        let samples = samples(vec![zero, bare_row("a", "absent"), bare_row("b", "absent")]);
        assert_eq!(values(&samples, &catalog::REPOSITORY_SIZE), ["0"]);
        assert_eq!(values(&samples, &catalog::NAMESPACE_SIZE), ["0"], "namespace b has no row with a size");
        for family in [catalog::REPOSITORY_IMAGES, catalog::REPOSITORY_CREATED, catalog::NAMESPACE_DOWNLOADS] {
            assert!(values(&samples, &family).is_empty());
        }
        assert_eq!(values(&samples, &catalog::NAMESPACE_REPOSITORIES), ["2", "1"]);
    }

    #[test]
    fn an_empty_listing_says_so() {
        let page = page(&snapshot(Vec::new()), &Options::default());
        assert!(page.ends_with(b"\nswr_repositories 0\n") && page.starts_with(b"# TYPE swr_repositories gauge\n"));
    }

    #[test]
    fn integers_are_exact_and_sums_do_not_overflow() {
        let sizes = [0, (1 << 53) + 1, (1 << 63) - 1, u64::MAX];
        let rows = sizes.iter().enumerate();
        let rows = rows.map(|(index, size)| Repository { size: Some(*size), ..bare_row("a", &index.to_string()) });
        let samples = samples(rows.collect());
        let want = ["0", "9007199254740993", "9223372036854775807", "18446744073709551615"];
        assert_eq!(values(&samples, &catalog::REPOSITORY_SIZE), want);
        let total: u128 = sizes.into_iter().map(u128::from).sum();
        assert_eq!(values(&samples, &catalog::NAMESPACE_SIZE), [total.to_string()]);
    }

    #[test]
    fn evil_names_stay_one_series_each_and_read_back() {
        let long = "x".repeat(10_000);
        let forged = "a\\b\"} 1\nup{job=\"fake\"} 0\n#";
        let evil = [
            "",
            "\n",
            "\r",
            "\r\n",
            "\"",
            "\\",
            "\\n",
            "\0",
            "\u{2028}",
            "\u{1f433}\u{10ffff}",
            "}",
            "# EOF",
            forged,
            &long,
        ];
        let mut rows = Vec::new();
        for name in evil {
            rows.push(row(name, "plain"));
            rows.push(Repository { category: Some(name.into()), ..row("plain", name) });
        }
        let samples = samples(rows);
        for family in [catalog::REPOSITORY_SIZE, catalog::REPOSITORY_INFO] {
            let of_family: Vec<_> = samples.iter().filter(|sample| sample.name == family.name).collect();
            assert_eq!(of_family.len(), 2 * evil.len());
            for name in evil {
                let found = |label, other: (&str, &str)| {
                    of_family.iter().any(|s| s.label(label) == Some(name) && s.label(other.0) == Some(other.1))
                };
                assert!(found("namespace", ("repository", "plain")), "{name:?}");
                assert!(found("repository", ("namespace", "plain")), "{name:?}");
                assert!(family != catalog::REPOSITORY_INFO || found("category", ("namespace", "plain")), "{name:?}");
            }
        }
        assert!(samples.iter().all(|sample| sample.name.starts_with("swr_")));
    }

    fn any_name() -> impl Strategy<Value = String> {
        let character = prop_oneof![Just('"'), Just('\\'), Just('\n'), Just('a'), any::<char>()];
        proptest::collection::vec(character, 0..6).prop_map(String::from_iter)
    }

    fn any_row() -> impl Strategy<Value = Repository> {
        (any_name(), any_name(), any::<Option<u64>>(), any::<Option<u64>>(), any::<Option<i64>>()).prop_map(
            |(namespace, name, size, images, created)| Repository {
                size,
                images,
                created: created.map(Timestamp),
                ..bare_row(&namespace, &name)
            },
        )
    }

    /// Exact nanoseconds of a decimal, by text.
    fn nanoseconds(value: &str) -> i128 {
        let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
        format!("{whole}{fraction:0<9}").parse().unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(rows in proptest::collection::vec(any_row(), 0..20)) {
            let snapshot = snapshot(rows);
            let samples = parse(&page(&snapshot, &Options::default()));
            let read = |family: &Family| {
                let of_family = samples.iter().filter(|sample| sample.name == family.name);
                let labels = |s: &Sample, label| s.label(label).unwrap().to_owned();
                of_family.map(|s| (labels(s, "namespace"), labels(s, "repository"), nanoseconds(&s.value))).collect::<Vec<_>>()
            };
            let written = |field: fn(&Repository) -> Option<i128>| {
                let rows = snapshot.repositories.iter();
                rows.filter_map(|row| Some((row.namespace.to_string(), row.name.to_string(), field(row)?))).collect::<Vec<_>>()
            };
                        prop_assert_eq!(read(&catalog::REPOSITORY_SIZE), written(|row| Some(i128::from(row.size?) * 1_000_000_000)));
            prop_assert_eq!(read(&catalog::REPOSITORY_IMAGES), written(|row| Some(i128::from(row.images?) * 1_000_000_000)));
            prop_assert_eq!(read(&catalog::REPOSITORY_CREATED), written(|row| Some(i128::from(row.created?.0))));
            prop_assert_eq!(read(&catalog::REPOSITORY_INFO), written(|_| Some(1_000_000_000)));
        }
    }
}
