//! The page for people: whether all is well, how each account is, in plain words, and where the rest is.
//!
//! One document, nothing loaded from elsewhere, no script. Everything that comes from outside is escaped. All numbers are
//! there already: what would take long to find was found when the metrics' page was made. Who needs help comes first, and
//! each account is a line that opens.

mod condition;
mod style;
mod words;

use super::{Account, AccountState, Next, Served, Site, Trouble};
use crate::exposition::{TopRepositories, TopRepository};
use condition::Condition;
use std::fmt::{self, Write};
pub(super) use style::POLICY;
use words::Escaped;

/// The page.
pub(super) fn landing(site: &Site, telemetry_path: &str) -> String {
    let mut accounts: Vec<_> = site
        .accounts
        .iter()
        .map(|account| {
            let state = (account.state)();
            (Condition::of(&state), account, state)
        })
        .collect();
    // Stable: among equals the order is that of the settings.
    accounts.sort_by_key(|(condition, ..)| *condition);
    let mut page = String::with_capacity(8 << 10);
    document(&mut page, site, telemetry_path, &accounts).expect("writing to a string cannot fail");
    page
}

/// An account, how it is, and in one word.
type Row<'a> = (Condition, &'a Account, AccountState);

fn document(page: &mut String, site: &Site, telemetry_path: &str, accounts: &[Row<'_>]) -> fmt::Result {
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
        version = Escaped(&site.version),
        path = Escaped(telemetry_path),
        class = condition.word(),
        shape = Shape(condition),
    )?;
    summary(page, accounts)?;
    page.push_str("</section>\n<section aria-labelledby=\"accounts\"><h2 id=\"accounts\">Accounts</h2>\n");
    for (condition, account, state) in accounts {
        card(page, *condition, &account.name, state, accounts.len() == 1)?;
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

/// The answer to "is all well?", and the condition it stands for.
fn headline(accounts: &[Row<'_>]) -> (Condition, String) {
    let worst = accounts.first().map_or(Condition::Waiting, |(condition, ..)| *condition);
    let troubled = accounts.iter().filter(|(condition, ..)| *condition < Condition::Waiting).count();
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

/// All accounts in four numbers.
fn summary(page: &mut String, accounts: &[Row<'_>]) -> fmt::Result {
    let working = accounts.iter().filter(|(condition, ..)| *condition == Condition::Working).count();
    let served = || accounts.iter().filter_map(|(_, _, state)| state.served.as_ref());
    let calls = accounts.iter().map(|(_, _, state)| state.calls.since_start).sum();
    facts(
        page,
        &[
            ("Accounts working", format!("{working} of {}", accounts.len())),
            ("Repositories", words::number(served().map(|served| served.repositories as u64).sum())),
            ("Series", words::number(served().map(|served| served.series as u64).sum())),
            ("Calls since start", words::number(calls)),
        ],
    )
}

fn facts(page: &mut String, facts: &[(&str, String)]) -> fmt::Result {
    page.push_str("<dl>");
    for (term, fact) in facts {
        write!(page, "<div><dt>{term}</dt><dd>{}</dd></div>", Escaped(fact))?;
    }
    page.push_str("</dl>\n");
    Ok(())
}

/// One account: a line with what matters, and the rest inside.
fn card(page: &mut String, condition: Condition, name: &str, state: &AccountState, open: bool) -> fmt::Result {
    write!(
        page,
        "<details{}><summary><h3>{}</h3> <span class=\"{word}\">{}{word}</span>",
        if open { " open" } else { "" },
        Escaped(name),
        Shape(condition),
        word = condition.word(),
    )?;
    if let Some(Served { age, repositories, .. }) = &state.served {
        let repositories = words::counted(*repositories as u64, ["repository", "repositories"]);
        write!(page, " <span>{repositories}</span> <span>read {} ago</span>", words::duration(*age))?;
    }
    let failed = condition < Condition::Waiting;
    if let (Some(Trouble { words, .. }), true) = (&state.trouble, failed) {
        write!(page, "<p>{}</p>", Escaped(words))?;
    }
    writeln!(page, "</summary>\n<p>{}</p>", condition.meaning())?;
    let next = match state.next {
        Next::Running => "under way".to_owned(),
        Next::AtNextScrape => "with the next scrape".to_owned(),
        Next::In(wait) => format!("not before {} from now", words::duration(wait)),
    };
    let unknown = || "none".to_owned();
    let served = state.served.as_ref();
    facts(
        page,
        &[
            ("Age of the data", served.map_or_else(unknown, |served| words::duration(served.age))),
            ("Next refresh", next),
            ("Repositories", served.map_or_else(unknown, |served| words::number(served.repositories as u64))),
            ("Series", served.map_or_else(unknown, |served| words::number(served.series as u64))),
            ("Calls since start", words::number(state.calls.since_start)),
            ("Calls last refresh", words::number(state.calls.latest_refresh)),
        ],
    )?;
    if let Some(trouble) = &state.trouble {
        let Trouble { ago, words, details } = trouble;
        let over = if failed { "" } else { " It is over." };
        writeln!(
            page,
            "<p>Latest failure, {} ago: {}{over}<br><code>{}</code></p>{}",
            words::duration(*ago),
            Escaped(words),
            Escaped(details),
            if failed {
                "\n<p><code>swr-exporter check</code> with the same settings says what to do.</p>"
            } else {
                ""
            },
        )?;
    }
    if let Some(Served { leaders, .. }) = served {
        lists(page, leaders)?;
    }
    let name = Escaped(name);
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
    let most = leaders.first().map_or(1, |leader| leader.bytes) as f64;
    for TopRepository { namespace, repository, bytes } in leaders {
        writeln!(
            page,
            "<tr><th scope=\"row\">{}/{}</th><td>{}<svg class=\"bar\" viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" \
             aria-hidden=\"true\"><rect width=\"{:.1}\" height=\"1\"/></svg></td></tr>",
            Escaped(namespace),
            Escaped(repository),
            words::bytes(*bytes),
            *bytes as f64 / most * 100.0,
        )?;
    }
    page.push_str("</tbody></table>");
    Ok(())
}

/// A condition as a picture, for those who see; the word stands beside it.
struct Shape(Condition);

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<svg class=\"shape\" viewBox=\"0 0 16 16\" aria-hidden=\"true\">{}</svg>", self.0.shape())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Calls, Latest, Scrape, Tally};
    use super::*;
    use crate::model::Timestamp;
    use std::sync::Arc;
    use std::time::Duration;

    fn leader(repository: &str, bytes: u64) -> TopRepository {
        TopRepository { namespace: "team".into(), repository: repository.into(), bytes }
    }

    fn well() -> AccountState {
        let leaders = TopRepositories {
            largest: vec![leader("app/<web>", 3 << 30), leader("api", 1 << 30)],
            grown: vec![leader("api", 1 << 20)],
            since: Timestamp(1_505_098_802_000_000_000),
        };
        AccountState {
            latest: Latest::Complete,
            served: Some(Served {
                age: Duration::from_secs(300),
                repositories: 1_234,
                series: 7_404,
                leaders: Arc::new(leaders),
            }),
            next: Next::In(Duration::from_secs(30)),
            trouble: None,
            calls: Calls { since_start: 5_000, latest_refresh: 3 },
        }
    }

    fn trouble() -> Option<Trouble> {
        let details = "auth: the API answered <html>&\"'".to_owned();
        Some(Trouble { ago: Duration::from_secs(7_300), words: "The cloud does not accept it.", details })
    }

    fn degraded() -> AccountState {
        AccountState { latest: Latest::Failed, trouble: trouble(), ..well() }
    }

    fn page_of(accounts: Vec<(&str, AccountState)>) -> String {
        let account = |(name, state): (&str, AccountState)| Account {
            name: name.to_owned(),
            about: Vec::new(),
            live: Arc::new(|_| Vec::new()),
            scrape: Arc::new(|_| Box::pin(async { Scrape { page: None } })),
            state: Arc::new(move || state.clone()),
        };
        let site = Site {
            version: "1.2.3".to_owned(),
            accounts: accounts.into_iter().map(account).collect(),
            live: Arc::new(|_| Vec::new()),
            settings: String::new(),
            reload: Arc::new(|| Box::pin(async { Ok(String::new()) })),
            tally: Arc::new(Tally::default()),
        };
        landing(&site, "/metrics\"><script>")
    }

    fn has(page: &str, parts: &[&str]) {
        for part in parts {
            assert!(page.contains(part), "{part}\n---\n{page}");
        }
    }

    #[test]
    fn an_account_that_works_shows_its_numbers_and_its_leaders() {
        let page = page_of(vec![("<b>prod</b>", well())]);
        has(
            &page,
            &[
                "<title>All is well - swr-exporter</title>",
                "<h1>swr-exporter <small>1.2.3</small></h1>",
                "<details open><summary><h3>&lt;b&gt;prod&lt;/b&gt;</h3> <span class=\"working\">",
                "<span>1,234 repositories</span> <span>read 5 minutes ago</span></summary>",
                "<dt>Age of the data</dt><dd>5 minutes</dd>",
                "<dt>Next refresh</dt><dd>not before 30 seconds from now</dd>",
                "<dt>Series</dt><dd>7,404</dd>",
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
    fn a_failure_is_told_in_plain_words_and_in_full_and_says_when_it_is_over() {
        let page = page_of(vec![("a", degraded())]);
        has(
            &page,
            &[
                "<title>The latest refresh failed - swr-exporter</title>",
                "</span><p>The cloud does not accept it.</p></summary>",
                "Latest failure, 2 hours ago: The cloud does not accept it.<br>\
                 <code>auth: the API answered &lt;html&gt;&amp;&quot;&#39;</code>",
                "<code>swr-exporter check</code>",
            ],
        );
        let over = page_of(vec![("a", AccountState { trouble: trouble(), ..well() })]);
        has(&over, &["All is well", "The cloud does not accept it. It is over.<br>"]);
        assert!(!over.contains("swr-exporter check</code>"));
    }

    #[test]
    fn conditions_follow_from_the_latest_refresh_and_what_is_served() {
        let no_data = |state| AccountState { served: None, ..state };
        for (state, word, headline) in [
            (well(), "working", "All is well"),
            (degraded(), "degraded", "The latest refresh failed"),
            (no_data(degraded()), "failing", "There is no data"),
            (no_data(well()), "waiting", "Waiting to be scraped"),
            (AccountState { latest: Latest::None, ..well() }, "waiting", "Waiting to be scraped"),
        ] {
            let page = page_of(vec![("a", state)]);
            has(&page, &[&format!("</svg>{word}</span>"), &format!("</svg>{headline}</h2>")]);
        }
        has(&page_of(Vec::new()), &["No account is configured", "<dd>0 of 0</dd>"]);
    }

    #[test]
    fn of_many_accounts_those_that_fail_come_first_and_all_are_closed() {
        let mut accounts = vec![("one", well()), ("two", degraded()), ("three", well())];
        accounts.push(("four", AccountState { served: None, ..degraded() }));
        let page = page_of(accounts);
        has(&page, &["2 of 4 accounts need attention", "<dd>2 of 4</dd>", "<dt>Series</dt><dd>22,212</dd>"]);
        let order: Vec<_> = page.split("<h3>").skip(1).map(|rest| rest.split("</h3>").next().unwrap()).collect();
        assert_eq!(order, ["four", "two", "one", "three"]);
        assert!(!page.contains("<details open"));
    }
}
