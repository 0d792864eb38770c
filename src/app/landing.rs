//! The landing page: the size of all accounts, whether all is well, and the status of each account in plain words.
//!
//! One document without scripts or external resources, which reloads itself. Its links are relative, so that they hold below
//! whatever path a proxy serves it. Everything from outside is escaped. Rendering
//! computes nothing expensive: rankings were made with the exposition. Accounts with problems come first, each as an
//! expandable line; an account that is alone has the page to itself.

mod condition;
mod format;
mod lists;
mod details;
mod style;

use self::format::Escaped;
use crate::base::words;
use crate::cache::{self, PastFailure};
use crate::collect::CollectorState;
use crate::collect::fetch_task::PerKind;
use crate::config::Link;
use crate::exposition::Exposition;
use crate::web::HtmlPage;
use condition::Condition;
use details::Above;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// Seconds after which a browser loads the page again.
const RELOAD_SECONDS: u32 = 30;

/// The most accounts with problems that are unfolded from the start.
const MAX_UNFOLDED: usize = 3;

/// Where the page leads.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) telemetry_path: String,
    /// Links of the operator, e.g. to Prometheus and Grafana.
    pub(super) links: Vec<Link>,
}

pub(super) struct AccountStatus<'a> {
    pub(super) name: &'a str,
    pub(super) cache: cache::Status<Exposition>,
    pub(super) collectors: BTreeMap<&'static str, CollectorState>,
    /// The number of repositories of which each kind is still to be read.
    pub(super) unread: PerKind<usize>,
    pub(super) calls_since_start: u64,
    pub(super) calls_latest_refresh: u64,
}

impl AccountStatus<'_> {
    fn served(&self) -> Option<(&Arc<Exposition>, Duration)> {
        let (exposition, _) = self.cache.held.as_ref()?;
        Some((exposition, self.cache.age?))
    }

    /// Whether the latest refresh failed.
    fn is_failing(&self) -> bool {
        self.cache.latest.as_ref().is_some_and(|latest| latest.failure.is_some())
    }
}

pub(super) fn page(accounts: Vec<AccountStatus<'_>>, options: &Options) -> HtmlPage {
    let mut rows: Vec<Row<'_>> = accounts.into_iter().map(|account| (Condition::of(&account), account)).collect();
    // Stable: among equals the order of the settings.
    rows.sort_by_key(|(condition, _)| *condition);
    let mut body = String::with_capacity(16 << 10);
    document(&mut body, options, &rows).expect("writing to a string cannot fail");
    HtmlPage { body, security_policy: &style::POLICY }
}

type Row<'a> = (Condition, AccountStatus<'a>);

fn document(page: &mut String, options: &Options, accounts: &[Row<'_>]) -> fmt::Result {
    let (condition, headline) = headline(accounts);
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"{RELOAD_SECONDS}\">\
         <title>{headline} - swr-exporter</title><style>{style}</style></head><body>\n\
         <header><h1>swr-exporter <small>{version}</small></h1>\n<p>Metrics of Huawei Cloud SWR, for Prometheus.</p>\n\
         <nav aria-label=\"Pages\"><ul><li><a href=\".{path}\">Metrics</a></li>\
         <li><a href=\"./sd\">Service discovery</a></li><li><a href=\"./config\">Settings</a></li>",
        style = style::STYLE,
        version = env!("CARGO_PKG_VERSION"),
        path = Escaped(&options.telemetry_path),
    )?;
    for Link { name, url } in &options.links {
        write!(page, "<li><a href=\"{}\">{}</a></li>", Escaped(url), Escaped(name))?;
    }
    write!(
        page,
        "</ul></nav></header>\n<main><section aria-labelledby=\"summary\">\
         <h2 id=\"summary\" class=\"{class}\">{shape}{headline}</h2>\n",
        class = condition.word(),
        shape = Shape(condition),
    )?;
    summary(page, accounts)?;
    page.push_str("</section>\n");
    if let [(condition, account)] = accounts {
        writeln!(page, "<section aria-labelledby=\"account\"><h2 id=\"account\">{}</h2>", Escaped(account.name))?;
        details::write(page, *condition, account, Above::Totals)?;
        page.push_str("</section>");
    } else {
        page.push_str("<section aria-labelledby=\"accounts\"><h2 id=\"accounts\">Accounts</h2>\n");
        let troubled = accounts.iter().filter(|(condition, _)| condition.needs_attention()).count();
        for (condition, account) in accounts {
            fold(page, *condition, account, condition.needs_attention() && troubled <= MAX_UNFOLDED)?;
        }
        page.push_str("</section>");
    }
    let now = jiff::Timestamp::now();
    writeln!(
        page,
        "</main>\n<footer><p>As of <time datetime=\"{}\">{}</time>, reloaded every {RELOAD_SECONDS} s. Viewing this page \
         makes no API calls.</p>\n<p><a href=\"./-/healthy\">Health</a> <a href=\"./-/ready\">Readiness</a></p>\n\
         <p>The documentation is in the directory <code>docs</code> of the source code, dashboards and rules for \
         Prometheus in <code>dashboards</code>.</p></footer>\n</body></html>",
        now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        now.strftime("%Y-%m-%d %H:%M:%S UTC")
    )
}

/// The worst condition, and a headline for it.
fn headline(accounts: &[Row<'_>]) -> (Condition, String) {
    let worst = accounts.first().map_or(Condition::Waiting, |(condition, _)| *condition);
    let troubled = accounts.iter().filter(|(condition, _)| condition.needs_attention()).count();
    let text = match (worst, accounts.len()) {
        (_, 0) => "No account is configured".to_owned(),
        (condition, 1) => condition.headline().to_owned(),
        (Condition::Working, _) => "All accounts OK".to_owned(),
        (Condition::Waiting, _) => "Waiting for the first scrape".to_owned(),
        (_, all) => format!("{troubled} of {all} accounts need attention"),
    };
    (worst, text)
}

fn summary(page: &mut String, accounts: &[Row<'_>]) -> fmt::Result {
    let served: Vec<_> = accounts.iter().filter_map(|(_, account)| account.served()).collect();
    let sum = |count: fn(&Exposition) -> u64| {
        served.iter().map(|(exposition, _)| count(exposition)).fold(0, u64::saturating_add)
    };
    let or_none = |text: String| if served.is_empty() { "none".to_owned() } else { text };
    let oldest = served.iter().map(|(_, age)| *age).max().unwrap_or_default();
    let oldest = or_none(format!("{} ago", format::duration(oldest)));
    let size = ("Total size", or_none(words::bytes(sum(|exposition| exposition.top_repositories().bytes))));
    let repositories = ("Repositories", or_none(words::number(sum(repositories))));
    let growth = |days: u64| {
        let of = |exposition: &Exposition| {
            let (snapshot, bytes) = (exposition.snapshot(), exposition.top_repositories().bytes);
            snapshot.size_history.growth(snapshot.read_at, bytes, Duration::from_secs(days * 24 * 3_600))
        };
        // Growth of a part of the accounts would look like that of all.
        let all: Option<i128> = served.iter().map(|(exposition, _)| of(exposition)).sum();
        all.filter(|_| !served.is_empty()).map(format::change)
    };
    let growth = match (growth(1), growth(7)) {
        (None, None) => "Growth is known after 24 h of scrapes.".to_owned(),
        (Some(day), None) => format!("Growth in 24 h: {day}"),
        (None, Some(week)) => format!("Growth in 7 days: {week}"),
        (Some(day), Some(week)) => format!("Growth in 24 h: {day}, in 7 days: {week}"),
    };
    if accounts.len() == 1 {
        let organizations = sum(|exposition| exposition.top_repositories().organization_count);
        facts(
            page,
            &[size, repositories, ("Organizations", or_none(words::number(organizations))), ("Data read", oldest)],
        )?;
        return writeln!(page, "<p>{growth}</p>");
    }
    let working = accounts.iter().filter(|(condition, _)| *condition == Condition::Working).count();
    let ok = format!("{working} of {}", accounts.len());
    facts(page, &[size, repositories, ("Accounts OK", ok), ("Oldest data read", oldest)])?;
    writeln!(page, "<p>{growth}</p>")?;
    let series = words::number(sum(|exposition| exposition.series() as u64));
    let calls = words::number(accounts.iter().map(|(_, account)| account.calls_since_start).sum::<u64>());
    let without = match accounts.len() - served.len() {
        0 => String::new(),
        1 => ", without 1 account that has no data".to_owned(),
        missing => format!(", without {} accounts that have no data", words::number(missing as u64)),
    };
    writeln!(page, "<p class=\"minor\">{series} series{without}, {calls} API calls since start</p>")
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

/// One account of several: a line with the essentials, and the details inside.
fn fold(page: &mut String, condition: Condition, account: &AccountStatus<'_>, is_open: bool) -> fmt::Result {
    write!(
        page,
        "<details class=\"account\"{}><summary><h3>{}</h3> <span class=\"{word}\">{}{word}</span>",
        if is_open { " open" } else { "" },
        Escaped(account.name),
        Shape(condition),
        word = condition.word(),
    )?;
    if let Some((exposition, age)) = account.served() {
        let repositories = words::things(repositories(exposition), "repository");
        let size = words::bytes(exposition.top_repositories().bytes);
        let age = format::duration(age);
        write!(page, " <span>{size}</span> <span>{repositories}</span> <span>read {age} ago</span>")?;
    }
    if let (Some(PastFailure { failure, .. }), true) = (&account.cache.last_failure, account.is_failing()) {
        write!(page, "<p>{}</p>", Escaped(failure.reason.sentence()))?;
    }
    page.push_str("</summary>\n");
    details::write(page, condition, account, Above::Failure)?;
    page.push_str("</details>\n");
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
    use crate::collect::fetch_task::FetchKind;
    use crate::exposition::Options as ExpositionOptions;
    use crate::failure::{Failure, Reason};
    use crate::model::earlier_sizes::EarlierSizes;
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
        let mut snapshot = Snapshot::new(Timestamp(1_505_098_802_000_000_000), rows).0;
        snapshot.size_history.record(Timestamp(1_505_098_802_000_000_000 - 86_400_000_000_000), 3 << 30);
        let before = previous.map(|previous| &**previous.snapshot());
        snapshot.earlier_sizes = Some(Arc::new(EarlierSizes::carried(&snapshot, before)));
        Exposition::build(Arc::new(snapshot), &ExpositionOptions::default(), previous)
    }

    fn failure() -> Failure {
        let advice = "check <the> credential".to_owned();
        Failure { advice, ..Failure::new(Reason::Auth, "the API answered <html>&\"'") }
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
        let collectors = BTreeMap::from([("repositories", CollectorState::Complete)]);
        AccountStatus {
            name: "a",
            cache,
            collectors,
            unread: PerKind::default(),
            calls_since_start: 5_000,
            calls_latest_refresh: 3,
        }
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

    fn empty() -> AccountStatus<'static> {
        let mut account = working();
        let none = Exposition::build(Arc::default(), &ExpositionOptions::default(), None);
        account.cache.held.as_mut().unwrap().0 = Arc::new(none);
        account
    }

    fn incomplete() -> AccountStatus<'static> {
        let mut account = working();
        account.collectors.extend([
            ("account", CollectorState::Incomplete(Some(failure()))),
            ("tags", CollectorState::Complete),
            ("details", CollectorState::Pending),
        ]);
        account.unread = PerKind::from_fn(|kind| if kind == FetchKind::Tags { 1_470 } else { 0 });
        account
    }

    fn page_of(accounts: Vec<AccountStatus<'_>>) -> String {
        let links = vec![Link { name: "Graf<ana>".into(), url: "https://g.example.com/?a=1&b".into() }];
        page(accounts, &Options { telemetry_path: "/metrics\"><script>".into(), links }).body
    }

    fn has(page: &str, parts: &[&str]) {
        for part in parts {
            assert!(page.contains(part), "{part}\n---\n{page}");
        }
    }

    #[test]
    fn an_account_that_is_alone_shows_each_number_once() {
        let page = page_of(vec![AccountStatus { name: "<b>prod</b>", ..working() }]);
        has(
            &page,
            &[
                "<title>The account is OK - swr-exporter</title>",
                "<meta http-equiv=\"refresh\" content=\"30\">",
                concat!("<h1>swr-exporter <small>", env!("CARGO_PKG_VERSION"), "</small></h1>"),
                "<a href=\"https://g.example.com/?a=1&amp;b\">Graf&lt;ana&gt;</a>",
                "<h2 id=\"account\">&lt;b&gt;prod&lt;/b&gt;</h2>",
                "<dt>Total size</dt><dd>4.00 GiB</dd>",
                "<dt>Data read</dt><dd>5 min ago</dd>",
                "<p>Growth in 24 h: +1.00 GiB</p>",
                "<dt>Organizations</dt><dd>1</dd>",
                "<p>The latest refresh was complete. Next refresh in 30 s at the earliest.</p>",
                "series of 2 repositories, 5,000 API calls since start, 3 in the latest refresh</p>",
                "<th scope=\"row\">team</th><td class=\"number\">4.00 GiB<svg",
                "<th scope=\"row\">team/app/&lt;web&gt;</th><td class=\"number\">3.00 GiB<svg",
                "<rect width=\"33.3\" height=\"1\"/>",
                "<caption>Grown most since 2017-09-11 03:00 UTC</caption>",
                "<td class=\"number\">1.00 MiB<svg",
                "<caption>Not updated for 180 days (0 in all)</caption>",
                "Collectors that are off: account, tags, details, retention, enterprise, enterprise.artifacts</p>",
                "href=\"./metrics&quot;&gt;&lt;script&gt;\"",
            ],
        );
        assert_eq!(page.matches("<dt>Repositories</dt><dd>2</dd>").count(), 1);
        assert!(!page.contains("<script") && !page.contains("<details"));
    }

    #[test]
    fn a_failure_is_shown_once_with_its_advice_and_the_error_is_folded() {
        let sentence = "The API rejects the credential, or none is configured.";
        let folded = "<code>auth: the API answered &lt;html&gt;&amp;&quot;&#39;</code></details>";
        for accounts in [vec![degraded()], vec![degraded(), working()]] {
            let page = page_of(accounts);
            has(
                &page,
                &[
                    "<p>Check &lt;the&gt; credential.</p>",
                    "<details class=\"error\"><summary>The error, 2 h ago</summary>",
                    folded,
                    "Next attempt in 30 s at the earliest, or when the credential changes.</p>",
                ],
            );
            assert_eq!(page.matches(sentence).count(), 1, "{page}");
        }
        let over = page_of(vec![recovered()]);
        has(
            &over,
            &[
                "The account is OK",
                &format!("<summary>Latest failure, 2 h ago: {sentence} It is over.</summary>"),
                folded,
            ],
        );
        assert!(!over.contains("Check &lt;the&gt;") && !over.contains("Next attempt"));
    }

    #[test]
    fn a_failure_without_advice_names_the_command_that_finds_it() {
        let mut account = degraded();
        account.cache.last_failure.as_mut().unwrap().failure.advice.clear();
        has(&page_of(vec![account]), &["<code>swr-exporter check</code>"]);
    }

    #[test]
    fn a_credential_that_is_held_back_decides_when_the_next_attempt_is() {
        let mut account = degraded();
        let past = account.cache.last_failure.as_mut().unwrap();
        (past.failure.held_for, past.ago) = (Some(Duration::from_secs(900)), Duration::from_secs(300));
        has(&page_of(vec![account]), &["Next attempt in 10 min at the earliest, or when the credential changes."]);
    }

    #[test]
    fn each_collector_shows_its_state_its_failure_and_what_is_left_to_read() {
        has(
            &page_of(vec![incomplete()]),
            &[
                "<th scope=\"row\">account</th><td><span class=\"incomplete\">failed</span><p>The API rejects the",
                "<p>Check &lt;the&gt; credential.</p>",
                "<th scope=\"row\">tags</th><td>reading, 1,470 repositories to go</td>",
                "<th scope=\"row\">details</th><td>not read yet</td>",
                "Collectors that are off: retention, enterprise, enterprise.artifacts</p>",
            ],
        );
    }

    #[test]
    fn conditions_follow_from_the_latest_refresh_and_what_is_served() {
        let mut unread = working();
        unread.cache.latest = None;
        let fine = || AccountStatus { name: "fine", ..working() };
        for (account, word, alone, of_two) in [
            (working(), "working", "The account is OK", "All accounts OK"),
            (empty(), "empty", "The account lists no repository", "1 of 2 accounts need attention"),
            (incomplete(), "incomplete", "A collector failed", "1 of 2 accounts need attention"),
            (degraded(), "degraded", "The latest refresh failed", "1 of 2 accounts need attention"),
            (without_data(degraded()), "failing", "There is no data", "1 of 2 accounts need attention"),
            (without_data(working()), "waiting", "Waiting for the first scrape", "Waiting for the first scrape"),
            (unread, "waiting", "Waiting for the first scrape", "Waiting for the first scrape"),
        ] {
            assert_eq!(headline(&[(Condition::of(&account), without_data(working()))]).1, alone);
            let page = page_of(vec![fine(), account]);
            has(&page, &[&format!("</svg>{word}</span>"), &format!("</svg>{of_two}</h2>")]);
        }
        has(
            &page_of(vec![empty()]),
            &["<p>If there should be repositories, the user lacks permission for their organizations.</p>"],
        );
        has(&page_of(Vec::new()), &["No account is configured", "<dd>0 of 0</dd>", "<dt>Total size</dt><dd>none</dd>"]);
    }

    #[test]
    fn of_many_accounts_failing_ones_come_first_and_a_few_are_unfolded() {
        let named = |name, account| AccountStatus { name, ..account };
        let accounts = || {
            vec![
                named("one", working()),
                named("two", degraded()),
                named("three", working()),
                named("four", without_data(degraded())),
            ]
        };
        let page = page_of(accounts());
        has(
            &page,
            &[
                "2 of 4 accounts need attention",
                "<dt>Accounts OK</dt><dd>2 of 4</dd>",
                "<dt>Repositories</dt><dd>6</dd>",
                "<dt>Total size</dt><dd>12.0 GiB</dd>",
                "<p>Growth in 24 h: +3.00 GiB</p>",
                "<dt>Oldest data read</dt><dd>5 min ago</dd>",
                "series, without 1 account that has no data, 20,000 API calls since start</p>",
                "<span>4.00 GiB</span> <span>2 repositories</span> <span>read 5 min ago</span>",
            ],
        );
        let order: Vec<_> = page.split("<h3>").skip(1).map(|rest| rest.split("</h3>").next().unwrap()).collect();
        assert_eq!(order, ["four", "two", "one", "three"]);
        assert_eq!(page.matches("<details class=\"account\" open>").count(), 2);
        let many = accounts().into_iter().chain(accounts()).collect();
        assert!(!page_of(many).contains("<details class=\"account\" open>"));
    }
}
