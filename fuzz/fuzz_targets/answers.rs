//! Responses with one JSON object: listing by markers, Enterprise Edition, account totals. No panic, no invented rows, and
//! names that are valid as labels.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_exporter::model::label_value::MAX_LENGTH;
use swr_exporter::swr::row_reader::{FingerprintKey, KnownRows};
use swr_exporter::swr::wire::DroppedFields;
use swr_exporter::swr::{account, enterprise, markers};

fn is_fit(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_LENGTH
}

fuzz_target!(|text: &str| {
    let mut omissions = DroppedFields::default();
    if let Ok(page) = markers::page(text, &KnownRows::none(FingerprintKey::random()), &mut omissions) {
        assert!(page.rows.len() as u64 <= page.received && page.next.is_none_or(|next| !next.is_empty()));
        assert!(page.rows.iter().map(|row| row.get()).all(|row| is_fit(row.namespace) && is_fit(row.name)));
    }
    let _ = markers::gate(text, &mut omissions);
    if let Ok(page) = enterprise::instances(text, &mut omissions) {
        assert!(page.rows.len() as u64 <= page.received);
        // An id becomes part of a path.
        let is_plain = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        assert!(page.rows.iter().all(|row| is_fit(&row.id) && is_plain(&row.id)));
    }
    if let Ok(statistics) = enterprise::statistics(text, &mut omissions) {
        assert!(statistics.quotas.iter().all(|quota| quota.limit.is_some() || quota.used.is_some()));
    }
    if let Ok(page) = enterprise::repositories(text, &mut omissions) {
        assert!(page.rows.len() as u64 <= page.received);
        assert!(page.rows.iter().all(|row| is_fit(&row.instance) && is_fit(&row.namespace) && is_fit(&row.name)));
    }
    if let Ok(organizations) = account::organizations(text, &mut omissions) {
        assert!(organizations.is_sorted_by(|a, b| a.name < b.name));
    }
    if let Ok(quotas) = account::quotas(text, &mut omissions) {
        assert!(quotas.is_sorted_by(|a, b| a.name < b.name));
    }
    let _ = account::overview(text, &mut omissions);
});
