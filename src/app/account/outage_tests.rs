//! Hours of outage on a paused clock, in memory, from the transport to the cache.

use crate::auth::Authenticator;
use crate::base::deadline::Deadline;
use crate::cache::{self, Cache, Outcome, Served, ServedKind};
use crate::collect;
use crate::failure::Reason;
use crate::model::{Snapshot, Timestamp};
use crate::swr;
use crate::swr::fake_upstream::{Reply, Setup, given, setup_by};
use prometheus::Registry;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The upstream's behaviour: this status and `Retry-After`, with a list of one repository if it is 200.
type Mood = (u16, Option<&'static str>);

const WELL: Mood = (200, None);
const ILL: Mood = (500, None);

/// An account that is scraped, with the defaults of the program.
struct Scraped {
    mood: Arc<Mutex<Mood>>,
    upstream: Setup,
    cache: Cache<Snapshot>,
}

impl Scraped {
    fn new(namespaces: &[&str]) -> Self {
        let mood = Arc::new(Mutex::new(WELL));
        let now = mood.clone();
        let upstream = setup_by(swr::Options::default(), Authenticator::new(given(), None), move |_, url| {
            assert!(url.contains("/v2/manage/repos?"));
            match *now.lock().unwrap() {
                WELL => Reply::Page("0-1/1", r#"[{"name":"app","namespace":"team","size":7}]"#.to_owned()),
                (status, retry_after) => Reply::Status(status, retry_after),
            }
        });
        let registry = Registry::new();
        let client = upstream.client.clone();
        let namespaces = namespaces.iter().map(|name| (*name).to_owned()).collect();
        let parts = Arc::new((collect::Options { namespaces, ..Default::default() }, collect::Metrics::new(&registry)));
        let refresh: cache::Refresh<Snapshot> = Box::new(move |previous, deadline| {
            let (client, parts) = (client.clone(), parts.clone());
            Box::pin(async move {
                let now = Timestamp::from(SystemTime::now());
                let collected = collect::collect(&client, &parts.0, previous, now, deadline, &parts.1).await?;
                Ok(Outcome { value: collected.snapshot, gap: collected.gap })
            })
        });
        let counters = cache::metrics::Counters::new(&registry);
        Self { mood, upstream, cache: Cache::new(cache::Options::default(), refresh, None, counters, SystemTime::now) }
    }

    fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    async fn scrape(&self) -> Served<Snapshot> {
        self.cache.get(Deadline::after(Duration::from_secs(10))).await
    }

    /// Scrapes every fifteen seconds for this long.
    async fn scrapes(&self, span: Duration, mut each: impl FnMut(&Served<Snapshot>)) {
        let mut ticks = tokio::time::interval(Duration::from_secs(15));
        let end = Instant::now() + span;
        while ticks.tick().await < end {
            each(&self.scrape().await);
        }
    }

    fn reason(&self) -> Option<Reason> {
        self.cache.status().latest.and_then(|attempt| attempt.failure).map(|failure| failure.reason)
    }

    /// When each request was sent, from the beginning.
    fn sent(&self) -> Vec<Duration> {
        self.upstream.requests().iter().map(|sent| sent.at - self.upstream.started).collect()
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn an_hour_of_500s_costs_few_requests_and_serves_the_last_good_value_with_growing_age() {
    let scraped = Scraped::new(&[]);
    assert_eq!(scraped.scrape().await.kind, ServedKind::Refreshed);
    let good = scraped.cache.status();
    scraped.becomes(ILL);
    let (before, mut age) = (scraped.sent().len(), Duration::ZERO);
    let span = HOUR - Duration::from_secs(30);
    scraped
        .scrapes(span, |served| {
            let status = scraped.cache.status();
            assert_eq!(served.value.as_ref().unwrap().repositories.len(), 1, "{:?}", served.kind);
            assert_eq!(status.held.map(|(_, read_at)| read_at), good.held.as_ref().map(|(_, read_at)| *read_at));
            assert!(status.age.unwrap() > age, "{age:?}");
            age = status.age.unwrap();
        })
        .await;
    let requests = scraped.sent().len() - before;
    assert!((60..=150).contains(&requests), "{requests}");
    assert_eq!(scraped.reason(), Some(Reason::Server));

    // Beyond the maximum age it is withdrawn.
    tokio::time::advance(Duration::from_secs(120)).await;
    assert_eq!(scraped.scrape().await.kind, ServedKind::Nothing);
}

#[tokio::test(start_paused = true)]
async fn the_first_good_answer_is_published_within_a_minute_of_recovery() {
    let mut longest = Duration::ZERO;
    for outage in (400..1400).step_by(37) {
        let scraped = Scraped::new(&[]);
        scraped.scrape().await;
        scraped.becomes(ILL);
        scraped.scrapes(Duration::from_secs(outage), |_| {}).await;
        scraped.becomes(WELL);
        let recovery = Instant::now();
        while scraped.scrape().await.kind != ServedKind::Refreshed {
            tokio::time::sleep(Duration::from_secs(15)).await;
        }
        longest = longest.max(recovery.elapsed());
    }
    assert!(longest <= Duration::from_secs(60), "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn an_account_listed_by_organization_is_complete_again_with_the_first_good_refresh() {
    let scraped = Scraped::new(&["team", "a", "b", "c", "d", "e"]);
    scraped.scrape().await;
    scraped.becomes(ILL);
    scraped.scrapes(HOUR / 3, |_| {}).await;
    scraped.becomes(WELL);
    let recovery = Instant::now();
    while scraped.scrape().await.kind != ServedKind::Refreshed {
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
    assert_eq!(scraped.reason(), None, "no organization is left out");
    assert!(recovery.elapsed() <= Duration::from_secs(60), "{:?}", recovery.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_an_answer_costs_no_more() {
    let scraped = Scraped::new(&[]);
    scraped.becomes((503, None));
    scraped.scrapes(HOUR, |served| assert_eq!(served.kind, ServedKind::Nothing)).await;
    assert!(scraped.sent().len() <= 150, "{}", scraped.sent().len());
}

#[tokio::test(start_paused = true)]
async fn no_request_comes_before_the_time_that_was_given_and_none_is_parked_for_longer_than_five_minutes() {
    for (word, least, most) in [("7", 7, 8), ("100", 100, 116), ("1000000000", 300, 316)] {
        let scraped = Scraped::new(&[]);
        scraped.becomes((429, Some(word)));
        scraped.scrape().await;
        scraped.becomes(WELL);
        scraped.scrapes(HOUR / 6, |_| {}).await;
        let sent = scraped.sent();
        let gap = (sent[1] - sent[0]).as_secs();
        assert!((least..=most).contains(&gap), "{word}: {gap} s");
        assert_eq!(scraped.reason(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_credential_is_sent_twice_in_fifteen_minutes_for_a_day() {
    for namespaces in [&[][..], &["a", "b", "c", "d", "e"]] {
        let scraped = Scraped::new(namespaces);
        scraped.becomes((401, None));
        scraped.scrapes(24 * HOUR, |_| {}).await;
        assert_eq!(scraped.reason(), Some(Reason::Auth));
        let sent = scraped.sent();
        assert!(sent.windows(3).all(|three| three[2] - three[0] >= HOUR / 4));
        assert!(sent.len() <= 2 * 4 * 24, "{}", sent.len());
    }
}
