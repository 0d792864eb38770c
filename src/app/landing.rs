//! The landing page: whether all is well, the status of each account in plain words, and links to the other pages.
//!
//! One document without scripts or external resources. Everything from outside is escaped. Rendering computes nothing
//! expensive: rankings were made with the exposition. Accounts with problems come first, each as an expandable line.

mod condition;
mod style;
mod words;

use crate::cache::{self, PastFailure};
use crate::exposition::{Exposition, TopRepositories, TopRepository};
use crate::web::HtmlPage;
use condition::Condition;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;
use words::Escaped;

/// An account and its status.
pub(super) struct AccountStatus<'a> {
    pub(super) name: &'a str,
    pub(super) cache: cache::Status<Exposition>,
    pub(super) calls_since_start: u64,
    pub(super) calls_latest_refresh: u64,
}

impl AccountStatus<'_> {
    /// The data that is served, and its age.
    fn served(&self) -> Option<(&Arc<Exposition>, Duration)> {
        let (exposition, _) = self.cache.held.as_ref()?;
        Some((exposition, self.cache.age?))
    }
}

/// Renders the page.
pub(super) fn page(accounts: Vec<AccountStatus<'_>>, telemetry_path: &str) -> HtmlPage {
    let mut rows: Vec<Row<'_>> = accounts.into_iter().map(|account| (Condition::of(&account), account)).collect();
    // Stable: among equals the order of the settings.
    rows.sort_by_key(|(condition, _)| *condition);
    let mut body = String::with_capacity(8 << 10);
    document(&mut body, telemetry_path, &rows).expect("writing to a string cannot fail");
    HtmlPage { body, security_policy: style::POLICY }
}

type Row<'a> = (Condition, AccountStatus<'a>);

fn document(page: &mut String, telemetry_path: &str, accounts: &[Row<'_>]) -> fmt::Result {
    let (condition, headline) = headline(accounts);
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{headline} - swr-exporter</title><style>{style}</style></head><body>\n\
         <header><h1>swr-exporter <small>{version}</small></h1>\n<p>Metrics of Huawei Cloud SWR, for Prometheus.</p>\n\
         <nav aria-label=\"Pages\"><ul><li><a href=\"{path}\">Metrics</a></li>\
         <li><a href=\"/sd\">Service discovery</a></li><li><a href=\"/config\">Settings</a></li>\
         <li><a href=\"/-/healthy\">Health</a></li><li><a href=\"/-/ready\">Readiness</a></li></ul></nav></header>\n\
         <main><section aria-labelledby=\"summary\"><h2 id=\"summary\" class=\"{class}\">{shape}{headline}</h2>\n",
        style = style::STYLE,
        version = env!("CARGO_PKG_VERSION"),
        path = Escaped(telemetry_path),
        class = condition.word(),
        shape = Shape(condition),
    )?;
    summary(page, accounts)?;
    page.push_str("</section>\n<section aria-labelledby=\"accounts\"><h2 id=\"accounts\">Accounts</h2>\n");
    for (condition, account) in accounts {
        card(page, *condition, account, accounts.len() == 1)?;
    }
    let now = jiff::Timestamp::now();
    writeln!(
        page,
        "</section></main>\n<footer><p>As of <time datetime=\"{}\">{}</time>. Looking at this page asks the cloud nothing. \
         Dashboards and rules for Prometheus come with the source code, in <code>dashboards</code>.</p>\
         </footer>\n</body></html>",
        now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        now.strftime("%Y-%m-%d %H:%M:%S UTC")
    )
}

/// The worst condition, and a headline for it.
fn headline(accounts: &[Row<'_>]) -> (Condition, String) {
    let worst = accounts.first().map_or(Condition::Waiting, |(condition, _)| *condition);
    let troubled = accounts.iter().filter(|(condition, _)| *condition < Condition::Waiting).count();
    let text = match (worst, accounts.len()) {
        (_, 0) => "No account is configured".to_owned(),
        (Condition::Working, _) => "All is well".to_owned(),
        (Condition::Waiting, _) => "Waiting to be scraped".to_owned(),
        (Condition::Degraded, 1) => "The latest refresh failed".to_owned(),
        (Condition::Failing, 1) => "There is no data".to_owned(),
        (_, all) => format!("{troubled} of {all} accounts need attention"),
    };
    (worst, text)
}

/// Totals of all accounts.
fn summary(page: &mut String, accounts: &[Row<'_>]) -> fmt::Result {
    let working = accounts.iter().filter(|(condition, _)| *condition == Condition::Working).count();
    let served = || accounts.iter().filter_map(|(_, account)| account.served()).map(|(exposition, _)| exposition);
    let calls = accounts.iter().map(|(_, account)| account.calls_since_start).sum();
    facts(
        page,
        &[
            ("Accounts working", format!("{working} of {}", accounts.len())),
            ("Repositories", words::number(served().map(|served| repositories(served)).sum())),
            ("Series", words::number(served().map(|served| served.series() as u64).sum())),
            ("Calls since start", words::number(calls)),
        ],
    )
}

fn repositories(exposition: &Exposition) -> u64 {
    exposition.snapshot().repositories.len() as u64
}

fn facts(page: &mut String, facts: &[(&str, String)]) -> fmt::Result {
    page.push_str("<dl>");
    for (term, fact) in facts {
        write!(page, "<div><dt>{term}</dt><dd>{}</dd></div>", Escaped(fact))?;
    }
    page.push_str("</dl>\n");
    Ok(())
}

/// One account: a line with the essentials, and the details inside.
fn card(page: &mut String, condition: Condition, account: &AccountStatus<'_>, open: bool) -> fmt::Result {
    write!(
        page,
        "<details{}><summary><h3>{}</h3> <span class=\"{word}\">{}{word}</span>",
        if open { " open" } else { "" },
        Escaped(account.name),
        Shape(condition),
        word = condition.word(),
    )?;
    let served = account.served();
    if let Some((exposition, age)) = served {
        let repositories = words::counted(repositories(exposition), ["repository", "repositories"]);
        write!(page, " <span>{repositories}</span> <span>read {} ago</span>", words::duration(age))?;
    }
    let failed = condition < Condition::Waiting;
    if let (Some(PastFailure { failure, .. }), true) = (&account.cache.last_failure, failed) {
        write!(page, "<p>{}</p>", Escaped(failure.reason.sentence()))?;
    }
    writeln!(page, "</summary>\n<p>{}</p>", condition.meaning())?;
    let next = match account.cache.next_in {
        _ if account.cache.running => "under way".to_owned(),
        Duration::ZERO => "with the next scrape".to_owned(),
        wait => format!("not before {} from now", words::duration(wait)),
    };
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let number_of = |count: fn(&Exposition) -> u64| served.map(|(exposition, _)| words::number(count(exposition)));
    facts(
        page,
        &[
            ("Age of the data", or_none(served.map(|(_, age)| words::duration(age)))),
            ("Next refresh", next),
            ("Repositories", or_none(number_of(repositories))),
            ("With series", or_none(number_of(|exposition| exposition.selected_repositories() as u64))),
            ("Series", or_none(number_of(|exposition| exposition.series() as u64))),
            ("Calls since start", words::number(account.calls_since_start)),
            ("Calls last refresh", words::number(account.calls_latest_refresh)),
        ],
    )?;
    if served.is_some_and(|(exposition, _)| repositories(exposition) > 0 && exposition.selected_repositories() == 0) {
        page.push_str(
            "<p>No repository has series: --repositories.include and --repositories.exclude leave none.</p>\n",
        );
    }
    if let Some(PastFailure { failure, ago }) = &account.cache.last_failure {
        let over = if failed { "" } else { " It is over." };
        writeln!(
            page,
            "<p>Latest failure, {} ago: {}{over}<br><code>{}</code></p>{}",
            words::duration(*ago),
            Escaped(failure.reason.sentence()),
            Escaped(&failure.to_string()),
            if failed {
                "\n<p><code>swr-exporter check</code> with the same settings says what to do.</p>"
            } else {
                ""
            },
        )?;
    }
    if let Some((exposition, _)) = served {
        lists(page, exposition.top_repositories())?;
    }
    let name = Escaped(account.name);
    writeln!(page, "<p><a href=\"/probe?account={name}\">Metrics of {name}</a></p></details>")
}

/// The largest repositories and those that grew most.
fn lists(page: &mut String, leaders: &TopRepositories) -> fmt::Result {
    if leaders.largest.is_empty() {
        return Ok(());
    }
    page.push_str("<div class=\"lists\">");
    list(page, "The largest repositories", "Size", &leaders.largest)?;
    let since = words::minute(leaders.since.parts().0);
    if leaders.grown.is_empty() {
        write!(page, "<p>No repository has grown since {since}.</p>")?;
    } else {
        list(page, &format!("Grown most since {since}"), "Growth", &leaders.grown)?;
    }
    page.push_str("</div>\n");
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "the length of a bar")]
fn list(page: &mut String, caption: &str, value: &str, leaders: &[TopRepository]) -> fmt::Result {
    writeln!(
        page,
        "<table><caption>{caption}</caption><thead><tr><th scope=\"col\">Repository</th>\
         <th scope=\"col\" class=\"number\">{value}</th></tr></thead><tbody>"
    )?;
    let largest = leaders.first().map_or(1, |leader| leader.bytes) as f64;
    for TopRepository { namespace, repository, bytes } in leaders {
        writeln!(
            page,
            "<tr><th scope=\"row\">{}/{}</th><td>{}<svg class=\"bar\" viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" \
             aria-hidden=\"true\"><rect width=\"{:.1}\" height=\"1\"/></svg></td></tr>",
            Escaped(namespace),
            Escaped(repository),
            words::bytes(*bytes),
            *bytes as f64 / largest * 100.0,
        )?;
    }
    page.push_str("</tbody></table>");
    Ok(())
}

/// The shape of a condition; its word stands beside it.
struct Shape(Condition);

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<svg class=\"shape\" viewBox=\"0 0 16 16\" aria-hidden=\"true\">{}</svg>", self.0.shape())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Attempt, Status};
    use crate::exposition::Options;
    use crate::failure::{Failure, Reason};
    use crate::model::{Repository, Snapshot, Timestamp};
    use std::time::SystemTime;

    fn exposition(sizes: [u64; 2], previous: Option<&Exposition>) -> Exposition {
        let row = |(name, size): (&str, u64)| Repository {
            name: name.into(),
            size: Some(size),
            ..Repository::unknown("team".into())
        };
        let (app, api) = (("app/<web>", sizes[0]), ("api", sizes[1]));
        let rows = [app, api].into_iter().map(row).collect();
        let snapshot = Snapshot::new(Timestamp(1_505_098_802_000_000_000), rows).0;
        Exposition::build(Arc::new(snapshot), &Options::default(), previous)
    }

    fn failure() -> Failure {
        Failure::new(Reason::Auth, "the API answered <html>&\"'")
    }

    fn working() -> AccountStatus<'static> {
        let before = exposition([3 << 30, (1 << 30) - (1 << 20)], None);
        let now = SystemTime::UNIX_EPOCH;
        let cache = Status {
            held: Some((Arc::new(exposition([3 << 30, 1 << 30], Some(&before))), now)),
            age: Some(Duration::from_secs(300)),
            latest: Some(Attempt { ended_at: now, took: Duration::ZERO, failure: None }),
            last_failure: None,
            running: false,
            next_in: Duration::from_secs(30),
        };
        AccountStatus { name: "a", cache, calls_since_start: 5_000, calls_latest_refresh: 3 }
    }

    fn recovered() -> AccountStatus<'static> {
        let mut account = working();
        account.cache.last_failure = Some(PastFailure { failure: failure(), ago: Duration::from_secs(7_300) });
        account
    }

    fn degraded() -> AccountStatus<'static> {
        let mut account = recovered();
        account.cache.latest.as_mut().unwrap().failure = Some(failure());
        account
    }

    fn without_data(mut account: AccountStatus<'_>) -> AccountStatus<'_> {
        (account.cache.held, account.cache.age) = (None, None);
        account
    }

    fn page_of(accounts: Vec<AccountStatus<'_>>) -> String {
        page(accounts, "/metrics\"><script>").body
    }

    fn has(page: &str, parts: &[&str]) {
        for part in parts {
            assert!(page.contains(part), "{part}\n---\n{page}");
        }
    }

    #[test]
    fn a_working_account_shows_its_numbers_and_rankings() {
        let page = page_of(vec![AccountStatus { name: "<b>prod</b>", ..working() }]);
        has(
            &page,
            &[
                "<title>All is well - swr-exporter</title>",
                concat!("<h1>swr-exporter <small>", env!("CARGO_PKG_VERSION"), "</small></h1>"),
                "<details open><summary><h3>&lt;b&gt;prod&lt;/b&gt;</h3> <span class=\"working\">",
                "<span>2 repositories</span> <span>read 5 minutes ago</span></summary>",
                "<dt>Age of the data</dt><dd>5 minutes</dd>",
                "<dt>Next refresh</dt><dd>not before 30 seconds from now</dd>",
                "<dt>Repositories</dt><dd>2</dd>",
                "<dt>Calls since start</dt><dd>5,000</dd>",
                "<dt>Calls last refresh</dt><dd>3</dd>",
                "<th scope=\"row\">team/app/&lt;web&gt;</th><td>3.00 GiB<svg",
                "<rect width=\"33.3\" height=\"1\"/>",
                "<caption>Grown most since 2017-09-11 03:00 UTC</caption>",
                "<td>1.00 MiB<svg",
                "href=\"/metrics&quot;&gt;&lt;script&gt;\"",
            ],
        );
        assert!(!page.contains("<script") && !page.contains("Latest failure"));
    }

    #[test]
    fn a_failure_is_shown_in_plain_words_and_in_full_until_and_after_it_is_over() {
        let page = page_of(vec![degraded()]);
        has(
            &page,
            &[
                "<title>The latest refresh failed - swr-exporter</title>",
                "</span><p>The cloud does not accept the credential, or there is none.</p></summary>",
                "Latest failure, 2 hours ago: The cloud does not accept the credential, or there is none.<br>\
                 <code>auth: the API answered &lt;html&gt;&amp;&quot;&#39;</code>",
                "<code>swr-exporter check</code>",
            ],
        );
        let over = page_of(vec![recovered()]);
        has(&over, &["All is well", "The cloud does not accept the credential, or there is none. It is over.<br>"]);
        assert!(!over.contains("swr-exporter check</code>"));
    }

    #[test]
    fn conditions_follow_from_the_latest_refresh_and_what_is_served() {
        let mut unread = working();
        unread.cache.latest = None;
        for (account, word, headline) in [
            (working(), "working", "All is well"),
            (degraded(), "degraded", "The latest refresh failed"),
            (without_data(degraded()), "failing", "There is no data"),
            (without_data(working()), "waiting", "Waiting to be scraped"),
            (unread, "waiting", "Waiting to be scraped"),
        ] {
            let page = page_of(vec![account]);
            has(&page, &[&format!("</svg>{word}</span>"), &format!("</svg>{headline}</h2>")]);
        }
        has(&page_of(Vec::new()), &["No account is configured", "<dd>0 of 0</dd>"]);
    }

    #[test]
    fn of_many_accounts_failing_ones_come_first_and_all_are_collapsed() {
        let named = |name, account| AccountStatus { name, ..account };
        let page = page_of(vec![
            named("one", working()),
            named("two", degraded()),
            named("three", working()),
            named("four", without_data(degraded())),
        ]);
        has(&page, &["2 of 4 accounts need attention", "<dd>2 of 4</dd>", "<dt>Repositories</dt><dd>6</dd>"]);
        let order: Vec<_> = page.split("<h3>").skip(1).map(|rest| rest.split("</h3>").next().unwrap()).collect();
        assert_eq!(order, ["four", "two", "one", "three"]);
        assert!(!page.contains("<details open"));
    }
}
