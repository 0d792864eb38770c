//! The short lists of an account: what is large, what grows, what is stale.

use super::format::Escaped;
use crate::base::words;
use crate::exposition::{STALE_DAYS, TopEntry, TopRepositories};
use std::fmt::{self, Write};

pub(super) fn write(page: &mut String, top: &TopRepositories) -> fmt::Result {
    if top.largest.is_empty() {
        return Ok(());
    }
    page.push_str("<div class=\"lists\">");
    table(page, "Largest organizations", ["Organization", "Size"], &top.organizations, "")?;
    table(page, "Largest repositories", ["Repository", "Size"], &top.largest, "")?;
    let since = top.since.format("%Y-%m-%d %H:%M UTC");
    let growth = ["Repository", "Growth"];
    table(page, &format!("Grown most since {since}"), growth, &top.grown, "No repository has grown")?;
    let stale = format!("Not updated for {STALE_DAYS} days ({} in all)", words::number(top.stale_count));
    let none = "No repository is stale";
    table(page, &stale, ["Repository", "Size"], &top.stale, none)?;
    if !top.reclaimable.is_empty() {
        table(page, "What deleting a stale repository frees", ["Repository", "Frees"], &top.reclaimable, none)?;
    }
    page.push_str("</div>\n");
    Ok(())
}

/// A table of names and bytes with a bar under each row, or what it means that there are none.
#[expect(clippy::cast_precision_loss, reason = "the length of a bar")]
fn table(page: &mut String, caption: &str, [name, value]: [&str; 2], rows: &[TopEntry], if_empty: &str) -> fmt::Result {
    writeln!(
        page,
        "<table><caption>{caption}</caption><thead><tr><th scope=\"col\">{name}</th>\
         <th scope=\"col\" class=\"number\">{value}</th></tr></thead><tbody>"
    )?;
    if rows.is_empty() {
        writeln!(page, "<tr><th scope=\"row\" colspan=\"2\">{if_empty}</th></tr>")?;
    }
    let largest = rows.first().map_or(1, |row| row.bytes) as f64;
    for TopEntry { name, bytes } in rows {
        writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td class=\"number\">{}<svg class=\"bar\" viewBox=\"0 0 100 1\" \
             preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect width=\"{:.1}\" height=\"1\"/></svg></td></tr>",
            Escaped(name),
            words::bytes(*bytes),
            *bytes as f64 / largest * 100.0,
        )?;
    }
    page.push_str("</tbody></table>");
    Ok(())
}
