//! The families of tags and details. Those of a repository may have any number of samples per repository.

use super::columns::Source::{self, Images as OfImages, Reclaimable as OfRules, Tags as OfTags};
use super::columns::{Column, Lines, Row};
use super::text::{Value, Writer, label, open_label};
use crate::catalog::{self, Family};
use crate::model::Images;
use crate::model::tags::{AGE_LABELS, Details, ManifestKind, ReclaimableHere, TagFigures, TagSeries};
use std::io::{self, Write};

/// Writes the sums over organizations and the account.
pub(super) fn write_sums(images: &Images, writer: &mut Writer<impl Write>) -> io::Result<()> {
    let family = &catalog::NAMESPACE_UNIQUE_LAYERS;
    let namespaces = images.namespaces.iter();
    writer.family(
        family,
        namespaces,
        |(_, bytes)| Some(Value::Sum(*bytes)),
        |(name, _), out| {
            label(b'{', family.labels[0], name, out);
        },
    )?;
    writer.family(&catalog::UNIQUE_LAYERS, [()], |()| images.unique_bytes.map(Value::Sum), |(), _| {})?;
    let rules: Vec<String> = images.reclaimable.iter().map(|of_rule| of_rule.rule.to_string()).collect();
    let of_rules = || rules.iter().zip(&images.reclaimable);
    let family = &catalog::NAMESPACE_RECLAIMABLE_LAYERS;
    writer.family(
        family,
        of_rules().flat_map(|(rule, of_rule)| of_rule.namespaces.iter().map(move |namespace| (rule, namespace))),
        |(_, (_, bytes))| Some(Value::Sum(*bytes)),
        |(rule, (name, _)), out| {
            label(b'{', family.labels[0], name, out);
            label(b',', family.labels[1], rule, out);
        },
    )?;
    let family = &catalog::RECLAIMABLE_LAYERS;
    writer.family(
        family,
        of_rules(),
        |(_, of_rule)| of_rule.bytes.map(Value::Sum),
        |(rule, _), out| label(b'{', family.labels[0], rule, out),
    )
}

/// The families with samples per repository, in their order.
pub(super) const COLUMNS: &[Column] = &[
    column(&catalog::REPOSITORY_TAGS, OfTags(|new, old| new.totals.tags == old.totals.tags), |row, lines| {
        lines.tags_figure(row, |tags| Some(Value::Integer(tags.totals.tags.into())));
    }),
    column(
        &catalog::REPOSITORY_UNLAYERED_TAGS,
        OfTags(|new, old| new.totals.unlayered == old.totals.unlayered),
        |row, lines| {
            lines.tags_figure(row, |tags| {
                (tags.totals.unlayered > 0).then(|| Value::Integer(tags.totals.unlayered.into()))
            });
        },
    ),
    column(
        &catalog::REPOSITORY_UNIQUE_LAYERS,
        OfTags(|new, old| new.unique_bytes == old.unique_bytes),
        |row, lines| {
            lines.tags_figure(row, |tags| Some(Value::Sum(tags.unique_bytes)));
        },
    ),
    column(
        &catalog::REPOSITORY_EXCLUSIVE_LAYERS,
        OfTags(|new, old| new.exclusive_bytes == old.exclusive_bytes),
        |row, lines| {
            lines.tags_figure(row, |tags| tags.exclusive_bytes.map(Value::Sum));
        },
    ),
    column(&catalog::REPOSITORY_NEWEST_TAG, OfTags(|new, old| new.totals.newest == old.totals.newest), |row, lines| {
        lines.tags_figure(row, |tags| tags.totals.newest.map(Value::Time));
    }),
    column(&catalog::REPOSITORY_OLDEST_TAG, OfTags(|new, old| new.totals.oldest == old.totals.oldest), |row, lines| {
        lines.tags_figure(row, |tags| tags.totals.oldest.map(Value::Time));
    }),
    column(&catalog::REPOSITORY_TAGS_BY_AGE, OfTags(|new, old| new.by_age == old.by_age), |row, lines| {
        let name = lines.family.labels[2];
        for (age, count) in tags(row).into_iter().flat_map(|tags| AGE_LABELS.into_iter().zip(tags.by_age)) {
            lines.sample(Value::Integer(count.into()), |out| {
                out.extend_from_slice(row.prefix);
                label(b',', name, age, out);
            });
        }
    }),
    column(&catalog::REPOSITORY_RECLAIMABLE_LAYERS, OfRules(|new, old| new.bytes == old.bytes), |row, lines| {
        lines.rule_figures(row, |here| here.bytes.filter(|bytes| *bytes > 0).map(Value::Sum));
    }),
    column(&catalog::REPOSITORY_RECLAIMABLE_TAGS, OfRules(|new, old| new.tags == old.tags), |row, lines| {
        lines.rule_figures(row, |here| Some(Value::Integer(here.tags.into())));
    }),
    column(&catalog::DETAILS_INFO, OfImages(|new, old| new.details == old.details), |row, lines| {
        if let Some(details) = details(row) {
            lines.sample(Value::Integer(1), |out| details_labels(details, row.prefix, out));
        }
    }),
    column(&catalog::PRIORITY, OfImages(|new, old| new.details == old.details), |row, lines| {
        lines.figure(row, details(row).and_then(|details| details.priority).map(Value::Signed));
    }),
    column(
        &catalog::REPOSITORY_RETENTION,
        OfImages(|new, old| new.retention_rules == old.retention_rules),
        |row, lines| {
            let rules = row.images.and_then(|images| images.retention_rules);
            lines.figure(row, rules.map(|rules| Value::Integer(rules.into())));
        },
    ),
    column(&catalog::TAG_SIZE, OfTags(|new, old| new.series == old.series), |row, lines| {
        lines.tag_figures(row, |tag| tag.size.map(Value::Integer));
    }),
    column(&catalog::TAG_CREATED, OfTags(|new, old| new.series == old.series), |row, lines| {
        lines.tag_figures(row, |tag| tag.created.map(Value::Time));
    }),
    column(&catalog::TAG_UPDATED, OfTags(|new, old| new.series == old.series), |row, lines| {
        lines.tag_figures(row, |tag| tag.updated.map(Value::Time));
    }),
    column(&catalog::TAG_INFO, OfTags(|new, old| new.series == old.series), |row, lines| {
        for tag in series(row) {
            lines.sample(Value::Integer(1), |out| tag_labels(tag, row.prefix, out));
        }
    }),
];

const fn column(family: &'static Family, source: Source, write: fn(&Row<'_>, &mut Lines<'_>)) -> Column {
    Column { family, source, write }
}

fn tags<'a>(row: &Row<'a>) -> Option<&'a TagFigures> {
    row.images?.tags.as_ref()
}

fn details<'a>(row: &Row<'a>) -> Option<&'a Details> {
    row.images?.details.as_deref()
}

fn series<'a>(row: &Row<'a>) -> &'a [TagSeries] {
    tags(row).and_then(|tags| tags.series.as_deref()).unwrap_or_default()
}

impl Lines<'_> {
    /// Writes a figure of the repository's tags.
    fn tags_figure(&mut self, row: &Row<'_>, value: fn(&TagFigures) -> Option<Value>) {
        self.figure(row, tags(row).and_then(value));
    }

    /// Writes a figure of each clean-up rule that picks tags of the repository.
    fn rule_figures(&mut self, row: &Row<'_>, value: fn(&ReclaimableHere) -> Option<Value>) {
        let name = self.family.labels[2];
        for of_rule in row.reclaimable {
            let found = of_rule.repositories.binary_search_by_key(&row.index, |here| here.index as usize);
            if let Some(value) = found.ok().and_then(|found| value(&of_rule.repositories[found])) {
                self.sample(value, |out| {
                    out.extend_from_slice(row.prefix);
                    label(b',', name, &of_rule.rule.to_string(), out);
                });
            }
        }
    }

    /// Writes a figure of each tag that has series of its own.
    fn tag_figures(&mut self, row: &Row<'_>, value: fn(&TagSeries) -> Option<Value>) {
        let name = self.family.labels[2];
        for tag in series(row) {
            if let Some(value) = value(tag) {
                self.sample(value, |out| {
                    out.extend_from_slice(row.prefix);
                    label(b',', name, &tag.name, out);
                });
            }
        }
    }
}

fn details_labels(details: &Details, prefix: &[u8], out: &mut Vec<u8>) {
    let labels = catalog::DETAILS_INFO.labels;
    out.extend_from_slice(prefix);
    number_label(labels[2], details.id, out);
    label(b',', labels[3], details.creator.as_deref().unwrap_or_default(), out);
    label(b',', labels[4], details.domain_id.as_deref().unwrap_or_default(), out);
}

fn tag_labels(tag: &TagSeries, prefix: &[u8], out: &mut Vec<u8>) {
    let labels = catalog::TAG_INFO.labels;
    let kind = match tag.contents {
        ManifestKind::Image => "image",
        ManifestKind::Index => "index",
        ManifestKind::Unknown => "",
    };
    let truth = |value: Option<bool>| value.map_or("", |value| if value { "true" } else { "false" });
    out.extend_from_slice(prefix);
    label(b',', labels[2], &tag.name, out);
    label(b',', labels[3], &tag.digest, out);
    label(b',', labels[4], kind, out);
    number_label(labels[5], tag.schema, out);
    label(b',', labels[6], truth(tag.trusted), out);
    label(b',', labels[7], truth(tag.scanned), out);
}

/// Appends a label whose value is a number, or empty if it is not known.
fn number_label(name: &str, value: Option<u64>, out: &mut Vec<u8>) {
    open_label(b',', name, out);
    if let Some(value) = value {
        super::number::integer(value, out);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use crate::exposition::testing::{parse, row};
    use crate::exposition::{Options, write_snapshot};
    use crate::model::reclaim::Rule;
    use crate::model::tags::{
        Details, Images, ManifestKind, Reclaimable, ReclaimableHere, RepositoryImages, TagFigures, TagSeries, TagTotals,
    };
    use crate::model::{Snapshot, Timestamp};
    use std::sync::Arc;

    #[test]
    fn every_family_of_tags_and_details_is_written() {
        let digest = format!("sha256:{:064x}", 3);
        let tag = |name: &str| TagSeries {
            name: name.into(),
            digest: digest.as_str().into(),
            contents: ManifestKind::Index,
            schema: Some(2),
            trusted: Some(false),
            scanned: None,
            size: Some(3),
            created: None,
            updated: Some(Timestamp(3)),
        };
        let figures = TagFigures {
            totals: TagTotals { tags: 3, newest: Some(Timestamp(3)), ..TagTotals::default() },
            by_age: [1, 2, 3, 4, 5],
            unique_bytes: 3000,
            exclusive_bytes: Some(30),
            series: Some([tag("latest"), tag("a\"b")].into_iter().collect()),
        };
        let details = Details { id: Some(3), creator: Some("me".into()), domain_id: None, priority: Some(-3) };
        let unlayered = TagFigures {
            totals: TagTotals { tags: 1, unlayered: 1, ..figures.totals },
            exclusive_bytes: None,
            series: None,
            ..figures.clone()
        };
        let rows = ["1", "2", "3"].map(|name| row("team", name)).into();
        let snapshot = Snapshot {
            images: Some(Arc::new(Images {
                repositories: vec![
                    RepositoryImages {
                        tags: Some(figures),
                        details: Some(Arc::new(details)),
                        retention_rules: Some(0),
                    },
                    RepositoryImages { tags: Some(unlayered), details: None, retention_rules: Some(2) },
                    RepositoryImages::default(),
                ],
                namespaces: vec![("team".into(), 77)],
                unique_bytes: Some(u128::from(u64::MAX) * 2),
                reclaimable: vec![
                    Reclaimable {
                        rule: Rule::OlderThan { days: 90 },
                        repositories: vec![
                            ReclaimableHere { index: 0, tags: 2, bytes: Some(20) },
                            ReclaimableHere { index: 1, tags: 1, bytes: Some(0) },
                        ],
                        namespaces: vec![("team".into(), 25)],
                        bytes: Some(26),
                    },
                    Reclaimable {
                        rule: Rule::BeyondNewest { count: 10 },
                        repositories: Vec::new(),
                        namespaces: vec![("team".into(), 0)],
                        bytes: None,
                    },
                ],
            })),
            ..Snapshot::new(Timestamp(0), rows).0
        };
        let options = Options { repository_metrics: "".parse().unwrap(), ..Options::default() };
        let mut text = Vec::new();
        let counts = write_snapshot(&snapshot, &options, &mut text).unwrap();
        assert_eq!((counts.series, counts.bytes), (parse(&text).len(), text.len()));
        let text = String::from_utf8(text).unwrap();
        let one = r#"{namespace="team",repository="1""#;
        for line in [
            format!("swr_repository_tags_read{one}}} 3"),
            format!("swr_repository_unique_layer_bytes{one}}} 3000"),
            format!("swr_repository_exclusive_layer_bytes{one}}} 30"),
            format!("swr_repository_newest_tag_timestamp_seconds{one}}} 0.000000003"),
            format!("swr_repository_tags_by_age{one},age=\"7d\"}} 1"),
            format!("swr_repository_tags_by_age{one},age=\"older\"}} 5"),
            format!("swr_repository_details_info{one},id=\"3\",creator=\"me\",domain_id=\"\"}} 1"),
            format!("swr_repository_priority{one}}} -3"),
            format!("swr_tag_size_bytes{one},tag=\"a\\\"b\"}} 3"),
            format!("swr_tag_updated_timestamp_seconds{one},tag=\"latest\"}} 0.000000003"),
            format!(
                "swr_tag_info{one},tag=\"latest\",digest=\"{digest}\",type=\"index\",schema=\"2\",trusted=\"false\",scanned=\"\"}} 1"
            ),
            "swr_repository_unlayered_tags{namespace=\"team\",repository=\"2\"} 1".to_owned(),
            format!("swr_repository_retention_rules{one}}} 0"),
            "swr_repository_retention_rules{namespace=\"team\",repository=\"2\"} 2".to_owned(),
            "swr_namespace_unique_layer_bytes{namespace=\"team\"} 77".to_owned(),
            "swr_unique_layer_bytes 36893488147419103230".to_owned(),
            format!("swr_repository_reclaimable_layer_bytes{one},rule=\"older_than_90d\"}} 20"),
            format!("swr_repository_reclaimable_tags{one},rule=\"older_than_90d\"}} 2"),
            "swr_repository_reclaimable_tags{namespace=\"team\",repository=\"2\",rule=\"older_than_90d\"} 1".to_owned(),
            "swr_namespace_reclaimable_layer_bytes{namespace=\"team\",rule=\"older_than_90d\"} 25".to_owned(),
            "swr_namespace_reclaimable_layer_bytes{namespace=\"team\",rule=\"beyond_newest_10\"} 0".to_owned(),
            "swr_reclaimable_layer_bytes{rule=\"older_than_90d\"} 26".to_owned(),
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
        for absent in [
            "swr_repository_oldest",
            "swr_tag_created",
            "repository=\"3\"",
            "swr_repository_unlayered_tags{namespace=\"team\",repository=\"1\"",
            "swr_repository_reclaimable_layer_bytes{namespace=\"team\",repository=\"2\"",
            "swr_reclaimable_layer_bytes{rule=\"beyond",
        ] {
            assert!(!text.contains(absent), "{absent}: absent is not zero");
        }
    }
}
