//! Pages that take over most of the page before hold what a page made from nothing would hold.
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]

use crate::exposition::testing::{decode, parse, row};
use crate::exposition::{Encoding, Exposition, Format, Options, response};
use crate::model::tags::{Details, Images, ManifestKind, RepositoryImages, TagFigures, TagSeries};
use crate::model::{Snapshot, Timestamp};
use proptest::prelude::*;
use std::sync::Arc;

fn images(number: u64) -> RepositoryImages {
    let tag = |name: &str| TagSeries {
        name: name.into(),
        digest: format!("sha256:{number:064x}").into(),
        kind: ManifestKind::Index,
        schema: Some(2),
        trusted: Some(false),
        scanned: None,
        size: Some(number),
        created: None,
        updated: Some(Timestamp(number as i64)),
    };
    let tags = TagFigures {
        tags: number as u32,
        unlayered: u32::from(number % 5 == 1),
        by_age: [1, 2, 3, 4, number as u32 % 7],
        unique_bytes: u128::from(number) * 1000,
        exclusive_bytes: Some(u128::from(number) * 10),
        newest: Some(Timestamp(number as i64)),
        oldest: None,
        series: (number % 11 == 3).then(|| [tag("latest"), tag("a\"b")].into_iter().collect()),
    };
    let details = Details { id: Some(number), creator: Some("me".into()), domain_id: None, priority: Some(-3) };
    RepositoryImages {
        tags: (number % 9 != 4).then_some(tags),
        details: number.is_multiple_of(3).then(|| Arc::new(details)),
    }
}

/// Rows by number, each with the version of its figures.
fn snapshot(rows: &[(u64, u64)]) -> Arc<Snapshot> {
    let of = |number: u64| row(&format!("team-{}", number / 500), &format!("app-{number:05}"));
    let mut snapshot = Snapshot::new(Timestamp(0), rows.iter().map(|(number, _)| of(*number)).collect()).0;
    snapshot.images = Some(Arc::new(Images {
        repositories: rows.iter().map(|(_, version)| images(*version)).collect(),
        namespaces: vec![("team-0".into(), 77)],
        unique_bytes: Some(u128::from(u64::MAX) * 2),
    }));
    Arc::new(snapshot)
}

fn body(page: &Exposition, encoding: Encoding) -> Vec<u8> {
    decode(&response(b"", Some(page), Format::Text, encoding).concat(), encoding)
}

/// The page holds the same in every encoding, which is what a page from nothing holds.
fn check(page: &Exposition, snapshot: &Arc<Snapshot>, options: &Options) {
    let plain = body(page, Encoding::Identity);
    assert!(body(page, Encoding::Gzip) == plain);
    assert!(body(&Exposition::build(snapshot.clone(), options, None), Encoding::Gzip) == plain);
    assert_eq!((page.bytes(), page.series()), (plain.len(), parse(&plain).len()));
}

#[test]
fn a_page_of_tags_and_details_has_every_family() {
    let options = Options { repository_metrics: "".parse().unwrap(), ..Options::default() };
    let snapshot = snapshot(&[(1, 3), (2, 6), (3, 4)]);
    let page = Exposition::build(snapshot.clone(), &options, None);
    check(&page, &snapshot, &options);
    let text = String::from_utf8(body(&page, Encoding::Gzip)).unwrap();
    let one = r#"{namespace="team-0",repository="app-00001"#;
    let digest = format!("sha256:{:064x}", 3);
    for line in [
        format!("swr_repository_tags{one}\"}} 3"),
        format!("swr_repository_unique_layer_bytes{one}\"}} 3000"),
        format!("swr_repository_exclusive_layer_bytes{one}\"}} 30"),
        format!("swr_repository_newest_tag_timestamp_seconds{one}\"}} 0.000000003"),
        format!("swr_repository_tags_by_age{one}\",age=\"7d\"}} 1"),
        format!("swr_repository_tags_by_age{one}\",age=\"older\"}} 3"),
        format!("swr_repository_details_info{one}\",id=\"3\",creator=\"me\",domain_id=\"\"}} 1"),
        format!("swr_repository_priority{one}\"}} -3"),
        format!("swr_tag_size_bytes{one}\",tag=\"a\\\"b\"}} 3"),
        format!(
            "swr_tag_info{one}\",tag=\"latest\",digest=\"{digest}\",type=\"index\",schema=\"2\",trusted=\"false\",scanned=\"\"}} 1"
        ),
        "swr_repository_unlayered_tags{namespace=\"team-0\",repository=\"app-00002\"} 1".to_owned(),
        "swr_namespace_unique_layer_bytes{namespace=\"team-0\"} 77".to_owned(),
        "swr_unique_layer_bytes 36893488147419103230".to_owned(),
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
    }
    assert!(!text.contains("swr_repository_oldest") && !text.contains("app-00003"), "absent is not zero");
}

#[test]
fn most_of_a_page_is_taken_from_the_one_before() {
    let options = Options::default();
    let mut rows: Vec<(u64, u64)> = (0..3_000).map(|number| (number, number)).collect();
    let first = snapshot(&rows);
    let before = Exposition::build(first, &options, None);
    rows[700].1 = 99_999;
    rows.remove(1_500);
    rows.insert(2_000, (2_000_000, 5));
    rows.sort_unstable();
    let second = snapshot(&rows);
    let page = Exposition::build(second.clone(), &options, Some(&before));
    check(&page, &second, &options);
    let segments = page.segments.as_ref().unwrap();
    let all = segments.segments.iter().filter(|segment| !segment.place.is_empty()).count();
    assert!(all > 100 && segments.taken_over > all * 3 / 4, "{} of {all}", segments.taken_over);
    // What has changed in one respect is written again in that respect alone.
    assert!(all - segments.taken_over <= 4 * TagFamily::ALL.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]
    #[test]
    fn a_row_of_pages_holds_what_pages_from_nothing_hold(
        changes in proptest::collection::vec(
            proptest::collection::vec((0u64..600, proptest::option::weighted(0.8, 0u64..50)), 0..40), 1..8
        ),
        limits in proptest::collection::vec(0usize..700, 8)
    ) {
        let mut rows: std::collections::BTreeMap<u64, u64> = (0..600).step_by(2).map(|number| (number, number)).collect();
        let mut before: Option<Exposition> = None;
        for (change, limit) in changes.into_iter().zip(limits) {
            for (number, version) in change {
                match version {
                    Some(version) => rows.insert(number, version),
                    None => rows.remove(&number),
                };
            }
            let listed: Vec<(u64, u64)> = rows.iter().map(|(number, version)| (*number, *version)).collect();
            let options = Options { most_repositories: limit, ..Options::default() };
            let snapshot = snapshot(&listed);
            let page = Exposition::build(snapshot.clone(), &options, before.as_ref());
            let plain = body(&page, Encoding::Identity);
            prop_assert!(body(&page, Encoding::Gzip) == plain);
            prop_assert_eq!((page.bytes(), page.series()), (plain.len(), parse(&plain).len()));
            before = Some(page);
        }
    }
}

use super::TagFamily;
