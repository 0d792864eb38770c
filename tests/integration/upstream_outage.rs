//! Hours of outage on a paused clock, in memory, from the transport to the cache.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use hyper::StatusCode;
use hyper::http::{HeaderMap, HeaderValue};
use prometheus::Registry;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use swr_exporter::auth::{Authenticator, CredentialProvider, SecretSource, token};
use swr_exporter::base::deadline::Deadline;
use swr_exporter::base::secret::Secret;
use swr_exporter::cache::{self, Cache, Outcome, Served, ServedKind};
use swr_exporter::collect;
use swr_exporter::failure::Reason;
use swr_exporter::model::{Snapshot, Timestamp};
use swr_exporter::swr::{self, Client};
use swr_exporter::transport::{Request, Response, Transport, TransportError};
use tokio::time::Instant;

/// The upstream's behaviour: this status, with a list of one repository if it is 200.
#[derive(Clone, Copy, Debug)]
struct Mood {
    status: u16,
    retry_after: Option<&'static str>,
}

const WELL: Mood = Mood { status: 200, retry_after: None };
const ILL: Mood = Mood { status: 500, retry_after: None };

#[derive(Clone)]
struct Upstream {
    mood: Arc<Mutex<Mood>>,
    sent: Arc<Mutex<Vec<Instant>>>,
}

impl Transport for Upstream {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        assert!(request.url.contains("/v2/manage/repos?"));
        async {
            self.sent.lock().unwrap().push(Instant::now());
            tokio::time::sleep(Duration::from_millis(100)).await;
            let mood = *self.mood.lock().unwrap();
            let (mut headers, mut body) = (HeaderMap::new(), "{}");
            if let Some(text) = mood.retry_after {
                headers.insert("retry-after", HeaderValue::from_static(text));
            }
            if mood.status == 200 {
                headers.insert("content-range", HeaderValue::from_static("0-1/1"));
                body = r#"[{"name":"app","namespace":"team","size":7}]"#;
            }
            let body = futures_util::stream::iter([Ok(Bytes::from_static(body.as_bytes()))]).boxed();
            Ok(Response { status: StatusCode::from_u16(mood.status).unwrap(), headers, body })
        }
        .boxed()
    }
}

/// An account that is scraped, with the defaults of the program.
struct Scraped {
    upstream: Upstream,
    cache: Cache<Snapshot>,
}

impl Scraped {
    fn new(namespaces: &[&str]) -> Self {
        let upstream = Upstream { mood: Arc::new(Mutex::new(WELL)), sent: Arc::default() };
        let registry = Registry::new();
        let token =
            CredentialProvider::Token(token::TokenProvider(SecretSource::Given(Secret::new("token".to_owned()))));
        let options = swr::Options { endpoint: "http://127.0.0.1:1".into(), ..swr::Options::default() };
        let client = Arc::new(Client::new(
            options,
            Box::new(upstream.clone()),
            Authenticator::new(token, None),
            swr::Metrics::new(&registry),
            SystemTime::now,
        ));
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
        Self { upstream, cache: Cache::new(cache::Options::default(), refresh, None, counters, SystemTime::now) }
    }

    fn becomes(&self, mood: Mood) {
        *self.upstream.mood.lock().unwrap() = mood;
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

    fn sent(&self) -> Vec<Instant> {
        self.upstream.sent.lock().unwrap().clone()
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
    scraped.becomes(Mood { status: 503, retry_after: None });
    scraped.scrapes(HOUR, |served| assert_eq!(served.kind, ServedKind::Nothing)).await;
    assert!(scraped.sent().len() <= 150, "{}", scraped.sent().len());
}

#[tokio::test(start_paused = true)]
async fn no_request_comes_before_the_time_that_was_given_and_none_is_parked_for_longer_than_five_minutes() {
    for (word, least, most) in [("7", 7, 8), ("100", 100, 116), ("1000000000", 300, 316)] {
        let scraped = Scraped::new(&[]);
        scraped.becomes(Mood { status: 429, retry_after: Some(word) });
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
        scraped.becomes(Mood { status: 401, retry_after: None });
        scraped.scrapes(24 * HOUR, |_| {}).await;
        assert_eq!(scraped.reason(), Some(Reason::Auth));
        let sent = scraped.sent();
        assert!(sent.windows(3).all(|three| three[2] - three[0] >= HOUR / 4));
        assert!(sent.len() <= 2 * 4 * 24, "{}", sent.len());
    }
}
