//! The page for people: how each account is, in plain words, and where the rest is.
//!
//! One document, nothing loaded from elsewhere, no script. Everything that comes from outside is escaped.

use super::{Account, AccountState, Latest, Next, Served, Site};
use std::fmt::Write;
use std::time::Duration;

/// Nothing may be loaded or run; only the one style below, known by its hash, applies.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'sha256-+T1fd/yY3duIzKHFyJ1o8p8RJUHFWRORuKMnl3YaOFI='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}\
    table{border-collapse:collapse}th,td{text-align:left;vertical-align:top;padding:.25rem 1rem .25rem 0}";

/// The page.
pub(super) fn landing(site: &Site, telemetry_path: &str) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>swr-exporter</title><style>{STYLE}</style></head><body>\n\
         <h1>swr-exporter {version}</h1>\n<p>Metrics of Huawei Cloud SWR, for Prometheus.</p>\n\
         <ul><li><a href=\"{path}\">metrics</a></li><li><a href=\"/-/healthy\">health</a></li>\
         <li><a href=\"/-/ready\">readiness</a></li></ul>\n\
         <table><tr><th>account</th><th>latest refresh</th><th>served</th><th>next refresh</th></tr>\n",
        version = escape(&site.version),
        path = escape(telemetry_path),
    );
    for account in &site.accounts {
        row(&mut page, account);
    }
    page.push_str("</table>\n</body></html>\n");
    page
}

fn row(page: &mut String, account: &Account) {
    let AccountState { latest, served, next } = (account.state)();
    let latest = match latest {
        Latest::None => "none has ended yet".to_owned(),
        Latest::Complete => "complete".to_owned(),
        Latest::Failed(reason) => format!("failed: {reason}"),
    };
    let served = match served {
        Some(Served { age, repositories: 1 }) => format!("1 repository, read {} ago", words(age)),
        Some(Served { age, repositories }) => format!("{repositories} repositories, read {} ago", words(age)),
        None => "nothing".to_owned(),
    };
    let next = match next {
        Next::Running => "under way".to_owned(),
        Next::AtNextScrape => "with the next scrape".to_owned(),
        Next::In(wait) => format!("not before {} have passed", words(wait)),
    };
    let cells = [&account.name, &latest, &served, &next].map(|cell| escape(cell));
    let [name, latest, served, next] = cells;
    // Writing to a string cannot fail.
    let _ = writeln!(page, "<tr><td>{name}</td><td>{latest}</td><td>{served}</td><td>{next}</td></tr>");
}

/// A duration to the precision that a person cares for.
fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Safe in text and in quoted attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::{Scrape, Tally};
    use super::*;
    use sha2::Digest;
    use std::sync::Arc;

    fn page_of(name: &str, state: AccountState) -> String {
        let account = Account {
            name: name.to_owned(),
            about: Vec::new(),
            live: Arc::new(|_| Vec::new()),
            scrape: Arc::new(|_| Box::pin(async { Scrape { page: None } })),
            state: Arc::new(move || state.clone()),
        };
        let site = Site {
            version: "1.2.3".to_owned(),
            accounts: vec![account],
            live: Arc::new(|_| Vec::new()),
            settings: String::new(),
            reload: Arc::new(|| Box::pin(async { Ok(String::new()) })),
            tally: Arc::new(Tally::default()),
        };
        landing(&site, "/metrics\"><script>")
    }

    #[test]
    fn the_page_says_how_each_account_is_and_escapes_what_it_is_told() {
        let state = AccountState {
            latest: Latest::Failed("the API answered <html>&\"'".to_owned()),
            served: Some(Served { age: Duration::from_secs(300), repositories: 1234 }),
            next: Next::In(Duration::from_secs(30)),
        };
        let page = page_of("<b>prod</b>", state);
        assert!(page.contains("<h1>swr-exporter 1.2.3</h1>"));
        assert!(page.contains(
            "<tr><td>&lt;b&gt;prod&lt;/b&gt;</td><td>failed: the API answered &lt;html&gt;&amp;&quot;&#39;</td>\
             <td>1234 repositories, read 5 minutes ago</td><td>not before 30 seconds have passed</td></tr>"
        ));
        assert!(page.contains("href=\"/metrics&quot;&gt;&lt;script&gt;\"") && !page.contains("<script"));

        let state = AccountState { latest: Latest::None, served: None, next: Next::Running };
        assert!(
            page_of("a", state).contains("<td>a</td><td>none has ended yet</td><td>nothing</td><td>under way</td>")
        );
    }

    #[test]
    fn the_policy_allows_exactly_our_style() {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let hash = sha2::Sha256::digest(STYLE);
        let mut base64 = String::new();
        for group in hash.chunks(3) {
            let bits = group.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
            for place in 0..4 {
                let digit = if place <= group.len() { DIGITS[bits >> (18 - 6 * place) & 63].into() } else { '=' };
                base64.push(digit);
            }
        }
        assert!(POLICY.contains(&format!("style-src 'sha256-{base64}';")), "the hash is {base64}");
    }
}
