//! The families of tags and details. Those of a repository may have any number of samples per repository.

use super::columns::Column;
use super::columns::Samples::{self, Ages, Images as OfImages, Rules, Series, SeriesInfo, Tags};
use super::text::{Value, Writer};
use crate::catalog::{self, Family};
use crate::model::Images;

pub(super) fn write_sums(images: &Images, writer: &mut Writer<'_>) {
    let sum = |(_, bytes): &(_, u128)| Some(Value::Sum(*bytes));
    writer.family(&catalog::NAMESPACE_UNIQUE_LAYERS, &images.namespaces, sum, |(name, _)| [name]);
    writer.family(&catalog::UNIQUE_LAYERS, images.unique_bytes, |bytes| Some(Value::Sum(bytes)), |_| []);
    let rules: Vec<String> = images.reclaimable.iter().map(|of_rule| of_rule.rule.to_string()).collect();
    let of_rules = || rules.iter().zip(&images.reclaimable);
    let of_namespaces =
        of_rules().flat_map(|(rule, of_rule)| of_rule.namespaces.iter().map(move |namespace| (rule, namespace)));
    let family = &catalog::NAMESPACE_RECLAIMABLE_LAYERS;
    writer.family(family, of_namespaces, |(_, namespace)| sum(namespace), |(rule, (name, _))| [name, rule]);
    let family = &catalog::RECLAIMABLE_LAYERS;
    writer.family(family, of_rules(), |(_, of_rule)| of_rule.bytes.map(Value::Sum), |(rule, _)| [rule]);
}

/// The families with samples per repository, in their order.
pub(super) const COLUMNS: &[Column] = &[
    column(&catalog::REPOSITORY_TAGS, Tags(|tags| Some(Value::Integer(tags.totals.tags.into())))),
    column(
        &catalog::REPOSITORY_UNLAYERED_TAGS,
        Tags(|tags| Some(tags.totals.unlayered).filter(|tags| *tags > 0).map(|tags| Value::Integer(tags.into()))),
    ),
    column(&catalog::REPOSITORY_UNIQUE_LAYERS, Tags(|tags| Some(Value::Sum(tags.unique_bytes)))),
    column(&catalog::REPOSITORY_EXCLUSIVE_LAYERS, Tags(|tags| tags.exclusive_bytes.map(Value::Sum))),
    column(&catalog::REPOSITORY_NEWEST_TAG, Tags(|tags| tags.totals.newest.map(Value::Time))),
    column(&catalog::REPOSITORY_OLDEST_TAG, Tags(|tags| tags.totals.oldest.map(Value::Time))),
    column(&catalog::REPOSITORY_TAGS_BY_AGE, Ages),
    column(
        &catalog::REPOSITORY_RECLAIMABLE_LAYERS,
        Rules(|here| here.bytes.filter(|bytes| *bytes > 0).map(Value::Sum)),
    ),
    column(&catalog::REPOSITORY_RECLAIMABLE_TAGS, Rules(|here| Some(Value::Integer(here.tags.into())))),
    column(&catalog::DETAILS_INFO, Samples::Details),
    column(&catalog::PRIORITY, OfImages(|images| images.details.as_ref()?.priority.map(Value::Signed))),
    column(
        &catalog::REPOSITORY_RETENTION,
        OfImages(|images| images.retention_rules.map(|rules| Value::Integer(rules.into()))),
    ),
    column(&catalog::TAG_SIZE, Series(|tag| tag.size.map(Value::Integer))),
    column(&catalog::TAG_CREATED, Series(|tag| tag.created.map(Value::Time))),
    column(&catalog::TAG_UPDATED, Series(|tag| tag.updated.map(Value::Time))),
    column(&catalog::TAG_INFO, SeriesInfo),
];

const fn column(family: &'static Family, samples: Samples) -> Column {
    Column { family, samples }
}

#[cfg(test)]
mod tests {
    use crate::exposition::Options;
    use crate::exposition::testing::{row, text};
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
        let text = text(&snapshot, &options);
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
