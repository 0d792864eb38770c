//! `metrics.lock`: type, unit, labels and stability of the families, which users rely on.
//!
//! A change of the catalog shows as a change of this file, which a person reviews and records in the changelog.
//! `REGENERATE=1 cargo test --test tidy contract` writes it again; new families begin as `alpha`.

use super::{read, root};
use std::collections::BTreeMap;
use swr_exporter::catalog;

const HEAD: &str = "# name type unit labels stability. `stable`: changes with a major version alone, and the changelog says so\n\
                    # a version before. `alpha`: may still change with a minor version.\n";

#[test]
fn the_lock_holds_what_the_catalog_has() {
    let kept = if root().join("metrics.lock").exists() { read("metrics.lock") } else { String::new() };
    let rows = kept.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    let stability: BTreeMap<&str, &str> =
        rows.map(|(row, stability)| (row.split(' ').next().unwrap(), stability)).collect();
    let mut text = HEAD.to_owned();
    for family in catalog::ALL {
        let unit = family.unit.unwrap_or("-");
        let labels = if family.labels.is_empty() { "-".to_owned() } else { family.labels.join(",") };
        let stability = stability.get(family.name).copied().unwrap_or("alpha");
        assert!(["stable", "alpha"].contains(&stability), "{}: {stability}", family.name);
        text += &format!("{} {} {unit} {labels} {stability}\n", family.name, family.kind.as_str());
    }
    if std::env::var_os("REGENERATE").is_some() {
        return std::fs::write(root().join("metrics.lock"), &text).unwrap();
    }
    for (line, now) in kept.lines().zip(text.lines()) {
        assert_eq!(
            line, now,
            "left: metrics.lock; right: src/catalog.rs. Is it meant? Then REGENERATE=1, and the changelog"
        );
    }
    assert_eq!(kept.lines().count(), text.lines().count(), "a family came or went: REGENERATE=1, and the changelog");
}
