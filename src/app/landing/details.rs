//! The details of one account: what failed and what to do, its facts, its collectors and its lists.

use super::format::Escaped;
use super::{AccountStatus, Condition, format, lists, repositories};
use crate::base::words;
use crate::cache::PastFailure;
use crate::collect::CollectorState;
use crate::collect::fetch_task::FetchKind;
use crate::failure::{Failure, Reason};
use crate::swr::advice;
use std::fmt::{self, Write};
use std::time::Duration;

/// Every collector, by its name.
const COLLECTORS: [&str; 7] =
    ["repositories", "account", "tags", "details", "retention", "enterprise", "enterprise.artifacts"];

/// Whether a sentence or a total of the account is already on the page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Above {
    /// The age of the data and the number of repositories, in the totals of the page.
    Totals,
    /// The sentence on the failure, in the line of the account.
    Failure,
}

pub(super) fn write(page: &mut String, condition: Condition, account: &AccountStatus<'_>, above: Above) -> fmt::Result {
    writeln!(page, "<p>{} {}.</p>", condition.meaning(), next_refresh(account))?;
    let served = account.served();
    if let Some(PastFailure { failure, ago }) = &account.cache.last_failure {
        if account.is_failing() {
            if above == Above::Totals {
                writeln!(page, "<p>{}</p>", Escaped(failure.reason.sentence()))?;
            }
            advise(page, failure)?;
            error(page, &format!("The error, {} ago", format::duration(*ago)), failure)?;
        } else {
            let sentence = failure.reason.sentence();
            error(page, &format!("Latest failure, {} ago: {sentence} It is over.", format::duration(*ago)), failure)?;
        }
    }
    if condition == Condition::Empty {
        writeln!(page, "<p>{}</p>", format::sentence(advice::ON_EMPTY_LIST))?;
    }
    if served.is_some_and(|(exposition, _)| repositories(exposition) > 0 && exposition.selected_repositories() == 0) {
        page.push_str(
            "<p>No repository has series: --repositories.include and --repositories.exclude leave none.</p>\n",
        );
    }
    figures(page, account)?;
    // What failed comes before what is there.
    if condition == Condition::Incomplete {
        collectors(page, account)?;
    }
    if let Some((exposition, _)) = served {
        lists::write(page, exposition.top_repositories())?;
    }
    if condition != Condition::Incomplete {
        collectors(page, account)?;
    }
    let name = Escaped(account.name);
    writeln!(page, "<p><a href=\"./probe?account={name}\">Metrics of {name}</a></p>")
}

/// What an operator of the exporter wants to know, in small print.
fn figures(page: &mut String, account: &AccountStatus<'_>) -> fmt::Result {
    page.push_str("<p class=\"minor\">");
    if let Some((exposition, _)) = account.served() {
        let series = words::number(exposition.series() as u64);
        let repositories = words::things(exposition.selected_repositories() as u64, "repository");
        write!(page, "{series} series of {repositories}, ")?;
    }
    let calls = words::things(account.calls_since_start, "API call");
    writeln!(page, "{calls} since start, {} in the latest refresh</p>", words::number(account.calls_latest_refresh))
}

fn advise(page: &mut String, failure: &Failure) -> fmt::Result {
    if failure.advice.is_empty() {
        writeln!(page, "<p>Run <code>swr-exporter check</code> with the same settings to narrow it down.</p>")
    } else {
        writeln!(page, "<p>{}</p>", Escaped(&format::sentence(&failure.advice)))
    }
}

/// The error itself, folded: it may be long.
fn error(page: &mut String, summary: &str, failure: &Failure) -> fmt::Result {
    let (summary, error) = (Escaped(summary), failure.to_string());
    writeln!(page, "<details class=\"error\"><summary>{summary}</summary><code>{}</code></details>", Escaped(&error))
}

/// When the next refresh starts, as a sentence without its full stop.
fn next_refresh(account: &AccountStatus<'_>) -> String {
    if account.cache.running {
        return "A refresh is under way".to_owned();
    }
    let failed = account.cache.last_failure.as_ref().filter(|_| account.is_failing());
    // The credential may be held back for longer than the refresh.
    let held = failed.and_then(|past| Some(past.failure.held_for?.saturating_sub(past.ago))).unwrap_or_default();
    let when = match account.cache.next_in.max(held) {
        wait if wait < Duration::from_secs(1) => "with the next scrape".to_owned(),
        wait => format!("in {} at the earliest", format::duration(wait)),
    };
    match failed.map(|past| past.failure.reason) {
        Some(Reason::Auth) => format!("Next attempt {when}, or when the credential changes"),
        Some(_) => format!("Next attempt {when}"),
        None => format!("Next refresh {when}"),
    }
}

/// A line for each enabled collector, and the names of the others. The state of the listing alone is that of the account.
fn collectors(page: &mut String, account: &AccountStatus<'_>) -> fmt::Result {
    if account.collectors.len() > 1 {
        collector_table(page, account)?;
    }
    let off: Vec<_> = COLLECTORS.into_iter().filter(|name| !account.collectors.contains_key(name)).collect();
    if !off.is_empty() {
        writeln!(page, "<p class=\"minor\">Collectors that are off: {}</p>", off.join(", "))?;
    }
    Ok(())
}

fn collector_table(page: &mut String, account: &AccountStatus<'_>) -> fmt::Result {
    page.push_str(
        "<table class=\"collectors\"><caption>Collectors</caption><thead><tr><th scope=\"col\">Collector</th>\
         <th scope=\"col\">State</th></tr></thead><tbody>\n",
    );
    for name in COLLECTORS {
        let Some(state) = account.collectors.get(name) else { continue };
        write!(page, "<tr><th scope=\"row\">{name}</th><td>")?;
        let kind = FetchKind::ALL.into_iter().find(|kind| kind.collector() == name);
        let unread = kind.map_or(0, |kind| account.unread[kind] as u64);
        let left = words::things(unread, "repository");
        match state {
            CollectorState::Pending => page.push_str("not read yet"),
            CollectorState::Complete if unread > 0 => write!(page, "reading, {left} to go")?,
            CollectorState::Complete => page.push_str("complete"),
            CollectorState::Incomplete(failure) => {
                page.push_str("<span class=\"incomplete\">failed</span>");
                if unread > 0 {
                    write!(page, ", {left} to go")?;
                }
                // What the listing failed of is said above.
                if let Some(failure) = failure.as_ref().filter(|_| name != "repositories") {
                    writeln!(page, "<p>{}</p>", Escaped(failure.reason.sentence()))?;
                    advise(page, failure)?;
                    error(page, "The error", failure)?;
                }
            }
        }
        page.push_str("</td></tr>\n");
    }
    page.push_str("</tbody></table>\n");
    Ok(())
}
