//! Ten simulated minutes of a hostile upstream in less than one: a third of all responses are faulty, the list moves, and
//! scrapes continue. The metrics must be true all the time, and complete again soon after.

use crate::peers::{self, SCRAPE};
use crate::support::{Exporter, Scrape, exporter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swr_simulator::{Action, Delivery, Options, Response, RetryAfter, Rows, Shape, Simulator, Total, World};
use tokio::time::Instant;

/// How long the faults last, and how much simulated time passes.
const REAL: Duration = Duration::from_secs(24);
const SIMULATED: Duration = Duration::from_secs(600);

const CONCURRENCY: usize = 4;
const RATE: u64 = 40;
const BURST: u64 = 20;
const WINDOW: Duration = Duration::from_millis(300);

/// Organization and name.
type Key = (String, String);

/// The sizes that each repository ever had, and the repositories that were there all the time.
#[derive(Default)]
struct History {
    sizes: BTreeMap<Key, BTreeSet<u64>>,
    standing: Option<BTreeSet<Key>>,
}

impl History {
    /// Records the current world. Called within the same lock as every change.
    fn note(&mut self, world: &World) {
        let mut present = BTreeSet::new();
        for repository in world.repositories() {
            let key = (repository.namespace, repository.name);
            self.sizes.entry(key.clone()).or_default().insert(repository.size);
            present.insert(key);
        }
        match &mut self.standing {
            None => self.standing = Some(present),
            Some(standing) => standing.retain(|key| present.contains(key)),
        }
    }
}

/// The possible faults. Two are left out: a refused credential, which is held back for a quarter of an hour on purpose,
/// and wrong repository names, which cannot be detected.
fn kinds() -> Vec<Action> {
    let field = |row: usize, key: &str, json: &str| Action::Field(Rows::At(row), key.to_owned(), Some(json.to_owned()));
    let mut kinds = vec![
        Action::Delay(Duration::from_millis(300)),
        Action::insert_before(2),
        Action::Query("offset".to_owned(), "0".to_owned()),
        Action::duplicate_rows(3),
        Action::missing_rows(5),
        Action::Header("Content-Type".to_owned(), Some("text/html".to_owned())),
        Action::Header("Content-Range".to_owned(), Some("bytes */*".to_owned())),
        Action::throttled(&RetryAfter::Seconds(1)),
        Action::throttled(&RetryAfter::Date(-60)),
        Action::throttled(&RetryAfter::Text("soon".to_owned())),
        Action::too_many_requests(),
        Action::busy(),
        Action::redirect(302, "http://127.0.0.1:9/"),
        Action::error(400, Shape::Array, "SVCSTG.SWR.4000056", "parameter error"),
        Action::error(403, Shape::Current, "SVCSTG.SWR.4030170", "no permission"),
        Action::error(404, Shape::Listed, "SVCSTG.SWR.4040010", "not found"),
        Action::error(500, Shape::Gateway, "APIGW.0602", "internal error"),
        Action::error(502, Shape::Html, "", ""),
        Action::error(503, Shape::Iam, "", "try later"),
        Action::error(504, Shape::Empty, "", ""),
        Action::field("size", "-1"),
        field(3, "size", "1e400"),
        field(4, "size", "null"),
        field(5, "size", "1.5"),
        field(6, "created_at", "\"yesterday\""),
        field(7, "num_images", "{}"),
        field(8, "is_public", "\"perhaps\""),
        Action::field("tags", "null"),
        Action::field("unheard_of", "[[[[]]]]"),
    ];
    let totals = [
        Total::Is(0),
        Total::Is(-7),
        Total::Is(120),
        Total::Is(i64::MAX),
        Total::Off(-1),
        Total::Off(3),
        Total::Changing,
        Total::Absent,
        Total::Text("many".to_owned()),
    ];
    kinds.extend(totals.map(Action::Total));
    let deliveries = [
        Delivery::ThenClose,
        Delivery::ThenCloseUnannounced,
        Delivery::Truncated(3000),
        Delivery::Cut(3000),
        Delivery::Reset,
        Delivery::ResetAfter(3000),
        Delivery::Hang,
        Delivery::Stall(3000),
        Delivery::Drip(20_000, Duration::from_millis(5)),
        Delivery::DeclaredLength(10),
    ];
    kinds.extend(deliveries.map(Action::Deliver));
    for body in ["", "null", "{}", "[[]]", "[", "\u{feff}[]", "<html><body>welcome</body></html>", "[{\"name\":1}]"] {
        kinds.push(Action::Respond(Response::json(body)));
    }
    kinds
}

/// Advances the world in small steps and records each.
async fn live(simulator: Simulator, history: Arc<Mutex<History>>, end: Instant) {
    let mut random = fastrand::Rng::with_seed(7);
    let step = Duration::from_millis(20);
    while Instant::now() < end {
        simulator.with_world(|world| {
            world.advance(SIMULATED.mul_f64(step.as_secs_f64() / REAL.as_secs_f64()));
            // Repositories that come and go sort first, so that every later page moves.
            if random.bool() {
                world.insert(swr_simulator::Repository::new("moving", format!("000-{:02}", random.u8(..40))));
            } else {
                world.remove("moving", &format!("000-{:02}", random.u8(..40)));
            }
            history.lock().unwrap().note(world);
        });
        tokio::time::sleep(step).await;
    }
}

/// Scrapes until the end, and keeps each scrape that differs from the one before.
async fn watch(exporter: &Exporter, end: Instant) -> (Vec<String>, usize) {
    let (mut pages, mut scrapes) = (Vec::<String>::new(), 0);
    while Instant::now() < end {
        let request = SCRAPE.replace("Host:", "X-Prometheus-Scrape-Timeout-Seconds: 1\r\nHost:");
        let answer = peers::exchange(peers::connect(exporter.address(), 0).await, &request).await.unwrap();
        assert_eq!(answer.status(), 200);
        scrapes += 1;
        if answer.text().contains("\nswr_repository_info") && pages.last().is_none_or(|last| last != answer.page()) {
            pages.push(answer.page().to_owned());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (pages, scrapes)
}

/// Each repository that was there all the time is shown once, with a size that it had at some time, or without one if the
/// value was invalid.
fn check(page: String, history: &History) {
    let scrape = Scrape::parse(page);
    let mut shown: BTreeMap<Key, usize> = BTreeMap::new();
    for (labels, _) in scrape.series("swr_repository_info") {
        *shown.entry((labels["namespace"].clone(), labels["repository"].clone())).or_default() += 1;
    }
    for key in history.standing.as_ref().unwrap() {
        assert_eq!(shown.get(key), Some(&1), "{key:?} was there all the time; {} are shown", shown.len());
    }
    let mut sized = BTreeSet::new();
    for (labels, size) in scrape.series("swr_repository_size_bytes") {
        let key = (labels["namespace"].clone(), labels["repository"].clone());
        // Repositories that a fault created are not in the history.
        if let Some(known) = history.sizes.get(&key) {
            assert!(known.contains(&size.parse().unwrap()), "{key:?} never had size {size}, but {known:?}");
        }
        assert!(sized.insert(key), "a size twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_stay_true_whatever_the_upstream_does_and_recover_soon() {
    let options = Options { repositories: 1000, namespaces: 8, events_per_day: 240.0, ..Options::default() };
    let upstream = Simulator::start(options).await.unwrap();
    let history = Arc::new(Mutex::new(History::default()));
    upstream.handle.with_world(|world| history.lock().unwrap().note(world));
    let flags = format!(
        "--cache.window={}ms --swr.page-size=120 --swr.request-timeout=700ms --swr.refresh-timeout=5s \
         --swr.rate-limit={RATE} --swr.burst={BURST} --swr.concurrency={CONCURRENCY} \
         --collector.repositories.metrics=size,info",
        WINDOW.as_millis()
    );
    let exporter = exporter(&upstream.url(), &flags.split(' ').collect::<Vec<_>>()).await;
    exporter.scrape_until("a good start", Scrape::is_up).await;

    let start = Instant::now();
    let end = start + REAL;
    upstream.handle.clear_journal();
    // The seed can be set to repeat a failure.
    let seed = std::env::var("CHAOS_SEED").map_or(3, |seed| seed.parse().unwrap());
    println!("CHAOS_SEED={seed}");
    upstream.handle.random_faults(seed, 1.0 / 3.0, kinds());
    let living = tokio::spawn(live(upstream.handle.clone(), history.clone(), end));
    let (early, scrapes) = watch(&exporter, start + REAL / 4).await;
    let memory = exporter.resident_bytes();
    let (late, more) = watch(&exporter, end).await;
    living.await.unwrap();
    let (calls, lasted) = (upstream.handle.total(), start.elapsed());
    let faulty = upstream.handle.requests().iter().filter(|request| !request.faults.is_empty()).count() as u64;

    upstream.handle.clear_faults();
    let recovery = Instant::now();
    let well = exporter.scrape_until("recovery", Scrape::is_up).await;
    let recovered = recovery.elapsed();
    let growth = exporter.resident_bytes().saturating_sub(memory);

    let history = history.lock().unwrap();
    let pages = early.len() + late.len();
    let standing = history.standing.as_ref().unwrap().len();
    println!(
        "{calls} calls, {faulty} faulty, {} scrapes, {pages} pages, {standing} standing, {} failed of {} refreshes, \
         recovered in {recovered:?}, {growth} bytes more, at most {} in flight",
        scrapes + more,
        well.series("swr_refresh_failures_total").iter().map(|(_, count)| count.parse::<u64>().unwrap()).sum::<u64>(),
        well.get("swr_refreshes_total").unwrap(),
        upstream.handle.max_in_flight(),
    );
    assert!(standing > 900 && pages > 5 && faulty > calls / 5, "the test tests something");
    for page in early.into_iter().chain(late) {
        check(page, &history);
    }
    assert!(upstream.handle.max_in_flight() <= CONCURRENCY, "one refresh at a time, with so many requests");
    assert!(calls <= BURST + RATE * (lasted.as_secs() + 1), "{calls} calls in {lasted:?}");
    assert!(growth < 24 << 20, "{growth} bytes more than in the first quarter");
    // The window, an open circuit's first pause, a pause for throttling, and slack for a loaded machine.
    assert!(recovered < WINDOW + Duration::from_secs(15), "{recovered:?}");
}
