//! JSON rows of both API versions of the listing, written by hand: a page of a thousand takes about a millisecond.

use super::context::{ACCOUNT, REGISTRY};
use super::repository_row::RepositoryRow;
use super::response::quoted;
use super::timestamp::write_rfc3339;
use super::world::World;

/// Writes the keys that both API versions have.
pub(super) fn write_common(out: &mut Vec<u8>, world: &World, row: &RepositoryRow) {
    string(out, "\"name\":", &row.name);
    string(out, ",\"category\":", world.category(row));
    string(out, ",\"description\":", row.description.as_deref().unwrap_or_default());
    number(out, ",\"size\":", row.size);
    out.extend_from_slice(if row.is_public { b",\"is_public\":true" } else { b",\"is_public\":false" });
    number(out, ",\"num_images\":", row.tags.count());
    number(out, ",\"num_download\":", row.downloads);
    out.extend_from_slice(b",\"created_at\":\"");
    write_rfc3339(out, row.created);
    out.extend_from_slice(b"\",\"updated_at\":\"");
    write_rfc3339(out, row.updated);
    out.push(b'"');
    string(out, ",\"domain_name\":", ACCOUNT);
}

/// Writes one row with all keys that are documented.
pub(super) fn write_row(out: &mut Vec<u8>, world: &World, row: &RepositoryRow, total: usize) {
    let namespace = world.organization_name(row);
    out.push(b'{');
    write_common(out, world, row);
    out.extend_from_slice(b",\"logo\":\"\",\"url\":\"\"");
    for key in [",\"path\":\"", ",\"internal_path\":\""] {
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(REGISTRY.as_bytes());
        for part in [namespace, &row.name] {
            out.push(b'/');
            escaped(out, part);
        }
        out.push(b'"');
    }
    string(out, ",\"namespace\":", namespace);
    out.extend_from_slice(b",\"tags\":[");
    let mut between = "";
    row.tags.each(row.id, |tag, _| {
        string(out, between, tag);
        between = ",";
    });
    number(out, "],\"status\":false,\"total_range\":", total as u64);
    out.push(b'}');
}

pub(super) fn string(out: &mut Vec<u8>, before: &str, text: &str) {
    out.extend_from_slice(before.as_bytes());
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Writes the inside of a JSON string. Names rarely need escaping, so the fast path copies them.
fn escaped(out: &mut Vec<u8>, text: &str) {
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        let quoted = quoted(text);
        out.extend_from_slice(&quoted.as_bytes()[1..quoted.len() - 1]);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

pub(super) fn number(out: &mut Vec<u8>, before: &str, value: u64) {
    out.extend_from_slice(before.as_bytes());
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}
