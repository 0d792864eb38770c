//! The families of a snapshot without samples per repository, and where their samples come from.
//!
//! The text is the same for both formats (see [`super`]), without the end of an OpenMetrics exposition.

use super::Options;
use super::account_families;
use super::compress::Deflater;
use super::repository_selection::{Omitted, RepositorySelection};
use super::tag_families::write_sums;
use super::text::{Value, Writer};
use crate::catalog;
use crate::model::{NamespaceRead, NamespaceSums, Snapshot};

/// Writes the families without samples per repository. Returns the number of samples.
pub(super) fn write_totals(
    snapshot: &Snapshot,
    sums: &[NamespaceSums<'_>],
    selection: &RepositorySelection,
    options: &Options,
    deflater: &mut Deflater,
) -> usize {
    let mut writer = Writer::new(deflater, &options.labels);
    namespaces(snapshot, sums, &mut writer);
    if let Some(images) = &snapshot.images {
        write_sums(images, &mut writer);
    }
    let count = |(_, count)| Some(Value::Integer(count as u64));
    writer.family(&catalog::REPOSITORIES, [("", snapshot.repositories.len())], count, |_| []);
    let Omitted { filter, limit } = selection.omitted();
    let omitted = [("filter", filter), ("limit", limit)];
    writer.family(&catalog::REPOSITORIES_OMITTED, omitted, count, |(reason, _)| [reason]);
    account_families::account(snapshot, sums, &mut writer);
    account_families::enterprise(&snapshot.enterprise, &snapshot.artifacts, &mut writer);
    writer.series
}

/// The families with a sample per organization: sums over its repositories, and the state of its own listing if it has
/// one.
fn namespaces(snapshot: &Snapshot, all: &[NamespaceSums<'_>], writer: &mut Writer<'_>) {
    let mut sums =
        |family, value: fn(&NamespaceSums<'_>) -> Option<Value>| writer.family(family, all, value, |sums| [sums.name]);
    sums(&catalog::NAMESPACE_REPOSITORIES, |sums| Some(Value::Integer(sums.repositories)));
    sums(&catalog::NAMESPACE_SIZE, |sums| sums.size.map(Value::Sum));
    sums(&catalog::NAMESPACE_IMAGES, |sums| sums.images.map(Value::Sum));
    sums(&catalog::NAMESPACE_DOWNLOADS, |sums| sums.downloads.map(Value::Sum));
    let mut reads = |family, value: fn(&NamespaceRead) -> Option<Value>| {
        writer.family(family, &snapshot.namespaces, value, |read| [&read.name]);
    };
    reads(&catalog::NAMESPACE_UP, |read| Some(Value::Integer(read.complete.into())));
    reads(&catalog::NAMESPACE_SNAPSHOT, |read| read.read_at.map(Value::Time));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Family;
    use crate::exposition::testing::{Sample, bare_row, parse, row, text};
    use crate::exposition::{RepositoryMetric, RepositoryMetrics};
    use crate::model::{Repository, RepositoryRef, Timestamp};
    use proptest::prelude::*;

    fn snapshot(rows: Vec<Repository>) -> Snapshot {
        Snapshot::new(Timestamp(0), rows).0
    }

    fn samples(rows: Vec<Repository>) -> Vec<Sample> {
        parse(text(&snapshot(rows), &Options::default()).as_bytes())
    }

    fn values<'a>(samples: &'a [Sample], family: &Family) -> Vec<&'a str> {
        samples.iter().filter(|sample| sample.name == family.name).map(|sample| sample.value.as_str()).collect()
    }

    #[test]
    fn a_small_snapshot_gives_this_text() {
        let mut snapshot = snapshot(vec![row("apps", "web/front"), bare_row("base", "alpine")]);
        snapshot.namespaces = vec![
            NamespaceRead { name: "apps".into(), read_at: Some(Timestamp(1_500_000_000)), complete: true },
            NamespaceRead { name: "gone".into(), read_at: None, complete: false },
        ];
        let want = r#"swr_repository_size_bytes{namespace="apps",repository="web/front"} 1024
# TYPE swr_repository_updated_timestamp_seconds gauge
# UNIT swr_repository_updated_timestamp_seconds seconds
# HELP swr_repository_updated_timestamp_seconds Unix time at which the repository was last updated (API field updated_at), as of swr_snapshot_timestamp_seconds.
swr_repository_updated_timestamp_seconds{namespace="apps",repository="web/front"} 1505098802.542841141
swr_repository_info{namespace="apps",repository="web/front",category="linux",visibility="private"} 1
swr_repository_info{namespace="base",repository="alpine",category="",visibility=""} 1
swr_namespace_repositories{namespace="apps"} 1
swr_namespace_repositories{namespace="base"} 1
swr_namespace_size_bytes{namespace="apps"} 1024
swr_namespace_images{namespace="apps"} 3
swr_namespace_downloads{namespace="apps"} 7
swr_namespace_up{namespace="apps"} 1
swr_namespace_up{namespace="gone"} 0
swr_namespace_snapshot_timestamp_seconds{namespace="apps"} 1.5
swr_repositories 2
swr_repositories_omitted{reason="filter"} 0
swr_repositories_omitted{reason="limit"} 0
"#;
        let options = Options { repository_metrics: "size,updated,info".parse().unwrap(), ..Options::default() };
        let text = text(&snapshot, &options);
        // The metadata of one family stand for all.
        let shown = |line: &&str| !line.starts_with('#') || line.contains("swr_repository_updated");
        assert_eq!(text.split_inclusive('\n').filter(shown).collect::<String>(), want);
    }

    #[test]
    fn only_the_selected_repository_families_are_written() {
        let snapshot = snapshot(vec![row("a", "b")]);
        for metric in RepositoryMetric::ALL {
            let options = Options { repository_metrics: RepositoryMetrics::NONE.with(metric), ..Options::default() };
            let samples = parse(text(&snapshot, &options).as_bytes());
            let mut names = samples.iter().filter(|sample| sample.name.starts_with("swr_repository_"));
            assert!(names.next().unwrap().name.contains(metric.name()) && names.next().is_none());
        }
        let none = Options { repository_metrics: RepositoryMetrics::NONE, ..Options::default() };
        assert_eq!(parse(text(&snapshot, &none).as_bytes()).len(), 7, "namespace sums and the totals stay");
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
    fn an_empty_listing_has_a_count_of_zero() {
        let text = text(&snapshot(Vec::new()), &Options::default());
        let lines: Vec<_> = text.split_inclusive('\n').filter(|line| !line.starts_with('#')).collect();
        let want = "swr_repositories 0\nswr_repositories_omitted{reason=\"filter\"} 0\nswr_repositories_omitted{reason=\"limit\"} 0\n";
        assert_eq!(lines.concat(), want);
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
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn what_is_written_reads_back(rows in proptest::collection::vec(any_row(), 0..6)) {
            let snapshot = snapshot(rows);
            let samples = parse(text(&snapshot, &Options::default()).as_bytes());
            let read = |family: &Family| {
                let of_family = samples.iter().filter(|sample| sample.name == family.name);
                let labels = |s: &Sample, label| s.label(label).unwrap().to_owned();
                of_family.map(|s| (labels(s, "namespace"), labels(s, "repository"), nanoseconds(&s.value))).collect::<Vec<_>>()
            };
            let written = |field: fn(&RepositoryRef<'_>) -> Option<i128>| {
                let rows = snapshot.repositories.iter();
                rows.filter_map(|row| Some((row.namespace.to_string(), row.name.to_string(), field(&row)?))).collect::<Vec<_>>()
            };
            prop_assert_eq!(read(&catalog::REPOSITORY_SIZE), written(|row| Some(i128::from(row.size?) * 1_000_000_000)));
            prop_assert_eq!(read(&catalog::REPOSITORY_IMAGES), written(|row| Some(i128::from(row.images?) * 1_000_000_000)));
            prop_assert_eq!(read(&catalog::REPOSITORY_CREATED), written(|row| Some(i128::from(row.created?.0))));
            prop_assert_eq!(read(&catalog::REPOSITORY_INFO), written(|_| Some(1_000_000_000)));
        }
    }
}
