//! One connection: reads requests, applies faults, routes, and sends responses.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;

use super::body_faults;
use super::context::RequestContext;
use super::faults::{Action, Delivery};
use super::http::{self, Incoming, Request, RequestReader};
use super::image::mix;
use super::journal::InFlight;
use super::options::Compression;
use super::response::{ApiError, Response};
use super::routes;
use super::state::SimulatorState;
use super::transport_faults::{self, AfterResponse};

/// Serves a connection until it ends.
pub(super) async fn serve(state: Arc<SimulatorState>, mut stream: TcpStream) {
    // An error means that the client disconnected.
    let _ = converse(&state, &mut stream).await;
}

async fn converse(state: &Arc<SimulatorState>, stream: &mut TcpStream) -> io::Result<()> {
    // Responses are written in few large pieces; Nagle's algorithm would only add latency.
    stream.set_nodelay(true)?;
    let mut reader = RequestReader::default();
    loop {
        let next = match reader.next(stream).await? {
            Incoming::Closed => return Ok(()),
            Incoming::Malformed(why) => {
                let in_flight = InFlight::begin(&state.journal, None);
                let response = ApiError::gateway(400, "0201", why).response("");
                transport_faults::send(stream, &response, &Delivery::ThenClose, AfterResponse::Close, in_flight).await?
            }
            Incoming::Request(request) => exchange(state, stream, request).await?,
        };
        if next == AfterResponse::Close {
            return Ok(());
        }
    }
}

async fn exchange(
    state: &Arc<SimulatorState>,
    stream: &mut TcpStream,
    mut request: Request,
) -> io::Result<AfterResponse> {
    let in_flight = InFlight::begin(&state.journal, Some(&request));
    let actions = state.faults.lock().choose(&request);
    if !actions.is_empty() {
        let kinds: Vec<_> = actions.iter().map(Action::kind).collect();
        state.journal.lock().faults(in_flight.number, &kinds);
    }
    let options = state.options();
    let delay: Duration = options.latency
        + actions
            .iter()
            .map(|action| if let Action::Delay(time) = action { *time } else { Duration::ZERO })
            .sum::<Duration>();
    if !delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = http::gone(stream) => return Ok(AfterResponse::Close),
        }
    }
    let ordinal = state.ordinal.fetch_add(1, Ordering::Relaxed);
    let context = RequestContext {
        state,
        request_id: format!("{:016x}{:016x}", mix(options.seed), mix(ordinal)),
        ordinal,
        now: state.now_seconds(),
        options,
    };
    let (mut response, delivery) = decide(&mut request, &context, &actions);
    if let Delivery::Bomb(bytes) = delivery {
        response.body = state.bomb(bytes).await;
        response.set("Content-Encoding", "gzip");
    }
    if context.options.compression == Compression::Gzip
        && request.header("accept-encoding").is_some_and(|accepted| accepted.contains("gzip"))
        && response.header("Content-Encoding").is_none()
    {
        response.body = transport_faults::gzip(&response.body);
        response.set("Content-Encoding", "gzip");
    }
    if !matches!(delivery, Delivery::Hang | Delivery::Reset) {
        state.journal.lock().answered(in_flight.number, response.status);
    }
    let wanted = if request.wants_close() { AfterResponse::Close } else { AfterResponse::KeepAlive };
    transport_faults::send(stream, &response, &delivery, wanted, in_flight).await
}

/// Makes the response and applies faults to it.
fn decide(request: &mut Request, context: &RequestContext<'_>, actions: &[Action]) -> (Response, Delivery) {
    for action in actions {
        match action {
            Action::Before(hook) => hook(&mut context.world(), request),
            Action::Query(key, value) => request.set_query(key, value.clone()),
            Action::ClampLimit(most) => clamp_limit(request, *most),
            _ => {}
        }
    }
    // A replaced response never reaches the service.
    let replacement = actions.iter().rev().find_map(|action| match action {
        Action::Respond(response) => Some(response.clone()),
        Action::Error(error) => Some(error.response(&context.request_id)),
        _ => None,
    });
    let mut response = replacement.unwrap_or_else(|| routes::respond(request, context));
    for (name, value) in
        [("Date", httpdate::fmt_http_date(context.state.now())), ("X-Request-Id", context.request_id.clone())]
    {
        if response.header(name).is_none() {
            response.set(name, value);
        }
    }
    let mut delivery = Delivery::Whole;
    for action in actions {
        match action {
            Action::Header(name, Some(value)) => response.set(name, value),
            Action::Header(name, None) => response.remove(name),
            Action::Total(lie) => body_faults::total(&mut response, lie, context.ordinal),
            Action::Field(rows, key, json) => {
                body_faults::field(&mut response, rows, key, json.as_deref());
            }
            Action::Rows(hook) => body_faults::rows(&mut response, hook),
            Action::Change(hook) => hook(&mut response, request),
            Action::Deliver(way) => delivery = way.clone(),
            Action::After(hook) => hook(&mut context.world(), request),
            Action::Respond(_)
            | Action::Error(_)
            | Action::Delay(_)
            | Action::Before(_)
            | Action::Query(..)
            | Action::ClampLimit(_) => {}
        }
    }
    (response, delivery)
}

/// Lowers the requested `limit`, if there is one.
fn clamp_limit(request: &mut Request, most: usize) {
    if let Some(asked) = request.query("limit").and_then(|limit| limit.parse::<usize>().ok()) {
        request.set_query("limit", asked.min(most).to_string());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::super::test_client::{get, list, send, until};
    use super::super::{DEMO_TOKEN, Options, Repository, RetryAfter, Rule, Running, Shape, Simulator, Total};
    use super::*;

    async fn start() -> Running {
        Simulator::start(Options::default()).await.unwrap()
    }

    #[tokio::test]
    async fn errors_come_in_every_shape() {
        let running = start().await;
        for (shape, pointer) in [
            (Shape::Current, "/error_code"),
            (Shape::Current, "/errors/0/errorCode"),
            (Shape::Current, "/details/0/error_code"),
            (Shape::Listed, "/errors/0/errorCode"),
            (Shape::Array, "/0/errorCode"),
            (Shape::Gateway, "/error_code"),
        ] {
            running.handle.fault(Rule::once(Action::error(500, shape, "SVCSTG.SWR.5000003", "a \"word\"")));
            let reply = list(&running, "").await;
            assert_eq!(reply.status, 500);
            assert_eq!(reply.json().pointer(pointer).unwrap(), "SVCSTG.SWR.5000003", "{shape:?}");
        }
        running.handle.fault(Rule::once(Action::error(503, Shape::Iam, "", "no")));
        assert_eq!(list(&running, "").await.json()["error"]["code"], 503);
        running.handle.fault(Rule::once(Action::error(502, Shape::Html, "", "")));
        let html = list(&running, "").await;
        assert_eq!((html.status, html.header("content-type")), (502, Some("text/html")));
        running.handle.fault(Rule::once(Action::error(504, Shape::Empty, "", "")));
        let empty = list(&running, "").await;
        assert_eq!((empty.status, empty.text(), empty.header("content-length")), (504, "", Some("0")));
        assert_eq!(list(&running, "").await.status, 200);
        assert_eq!(running.handle.statuses()[&500], 6);
    }

    #[tokio::test]
    async fn throttling_has_many_faces() {
        let running = start().await;
        for (action, status, header) in [
            (Action::throttled(&RetryAfter::Absent), 429, None),
            (Action::throttled(&RetryAfter::Seconds(1_000_000_000)), 429, Some("1000000000")),
            (Action::throttled(&RetryAfter::Text("soon".to_owned())), 429, Some("soon")),
            (Action::too_many_requests(), 403, None),
            (Action::busy(), 409, None),
        ] {
            running.handle.fault(Rule::once(action));
            let reply = list(&running, "").await;
            assert_eq!((reply.status, reply.header("retry-after")), (status, header));
            assert!(reply.header("date").is_some() && reply.header("x-request-id").is_some());
        }
        running.handle.fault(Rule::once(Action::throttled(&RetryAfter::Date(-60))));
        let past = list(&running, "").await;
        let moment = httpdate::parse_http_date(past.header("retry-after").unwrap()).unwrap();
        assert!(past.status == 429 && moment < std::time::SystemTime::now());
    }

    #[tokio::test]
    async fn the_rate_can_be_limited() {
        let running = start().await;
        running.handle.configure(|options| options.requests_per_second = Some(0));
        let reply = list(&running, "").await;
        assert_eq!((reply.status, reply.json()["error_code"].as_str()), (429, Some("APIGW.0308")));
        running.handle.configure(|options| options.requests_per_second = Some(1_000_000));
        assert_eq!(list(&running, "").await.status, 200);
    }

    #[tokio::test]
    async fn answers_can_be_replaced_redirected_and_changed() {
        let running = start().await;
        let simulator = &running.handle;
        simulator.fault(Rule::once(Action::Respond(Response::json(""))));
        assert_eq!(list(&running, "").await.text(), "");
        simulator.fault(Rule::once(Action::redirect(302, "http://127.0.0.1:9/")));
        assert_eq!(list(&running, "").await.header("location"), Some("http://127.0.0.1:9/"));
        simulator.fault(Rule::once(Action::Header("Content-Type".to_owned(), Some("text/html".to_owned()))));
        assert_eq!(list(&running, "").await.header("content-type"), Some("text/html"));
        simulator.fault(Rule::once(Action::Header("X-Request-Id".to_owned(), None)));
        assert_eq!(list(&running, "").await.header("x-request-id"), None);
        simulator.fault(Rule::once(Action::Change(Arc::new(|response, request| {
            response.status = 418;
            response.body = request.path.clone().into_bytes();
        }))));
        let changed = list(&running, "").await;
        assert_eq!((changed.status, changed.text()), (418, "/v2/manage/repos"));
        let met: Vec<&str> = simulator.requests().iter().flat_map(|request| request.faults.clone()).collect();
        assert_eq!(met, ["respond", "respond", "header", "header", "change"]);
    }

    #[tokio::test]
    async fn pages_can_ignore_what_was_asked() {
        let running = start().await;
        let simulator = &running.handle;
        let same = simulator.fault(Rule::always(Action::Query("offset".to_owned(), "0".to_owned())));
        let (first, second) = (list(&running, "offset=0&limit=10").await, list(&running, "offset=10&limit=10").await);
        assert_eq!(first.json(), second.json());
        simulator.clear_fault(same);
        simulator.fault(Rule::always(Action::ClampLimit(30)));
        assert_eq!(list(&running, "offset=0&limit=50").await.header("content-range"), Some("0-30/100"));
        assert_eq!(list(&running, "offset=0&limit=20").await.header("content-range"), Some("0-20/100"));
        simulator.clear_faults();
        simulator.fault(Rule::once(Action::duplicate_rows(3)));
        assert_eq!(list(&running, "offset=0&limit=10").await.column("name").len(), 13);
        simulator.fault(Rule::once(Action::missing_rows(3)));
        assert_eq!(list(&running, "offset=0&limit=10").await.column("name").len(), 7);
        simulator.fault(Rule::once(Action::Total(Total::Off(-90))));
        let lied = list(&running, "offset=0&limit=20").await;
        assert_eq!(lied.header("content-range"), Some("0-20/10"));
        assert_eq!(lied.column("total_range")[19], 10);
    }

    #[tokio::test]
    async fn the_list_can_move_between_pages() {
        let running = start().await;
        let simulator = &running.handle;
        let later = |action| Rule::always(action).when(|request| request.query("offset") != Some("0"));
        simulator.fault(later(Action::insert_before(2)));
        let first = list(&running, "offset=0&limit=50").await.column("name");
        let second = list(&running, "offset=50&limit=50").await.column("name");
        assert_eq!(first[48..], second[..2], "two rows come twice");
        simulator.clear_faults();
        simulator.fault(later(Action::remove_before(2)));
        list(&running, "offset=51&limit=50").await;
        assert_eq!(simulator.repositories().len(), 100);
        simulator.clear_faults();
        simulator.fault(Rule::once(Action::After(Arc::new(|world, _| world.insert(Repository::new("a", "late"))))));
        assert_eq!(list(&running, "name=late").await.text(), "[]");
        assert_eq!(list(&running, "name=late").await.column("namespace"), ["a"]);
    }

    #[tokio::test]
    async fn answers_can_be_late_and_a_client_that_leaves_is_noticed() {
        let running = start().await;
        let (part, rest) = (Duration::from_millis(20), Duration::from_millis(30));
        running.handle.configure(|options| options.latency = part);
        running.handle.fault(Rule::once(Action::Delay(rest)));
        let before = Instant::now();
        assert_eq!(list(&running, "").await.status, 200);
        assert!(before.elapsed() >= part + rest);
        running.handle.fault(Rule::once(Action::Delay(Duration::from_secs(3_600))));
        let stream = send(&running, "GET", "/v2/manage/repos", &[], "", "close").await;
        until("the request is in in_flight", || running.handle.in_flight() == 1).await;
        drop(stream);
        until("it no longer is", || running.handle.in_flight() == 0).await;
    }

    #[tokio::test]
    async fn concurrency_is_counted_exactly() {
        let running = start().await;
        for _ in 0..50 {
            list(&running, "offset=0&limit=100").await;
        }
        assert_eq!(running.handle.max_in_flight(), 1, "one after another is one at a time");
        running.handle.fault(Rule::always(Action::Deliver(Delivery::Hang)));
        let mut waiting = Vec::new();
        for _ in 0..8 {
            waiting.push(send(&running, "GET", "/v2/manage/repos", &[("X-Auth-Token", DEMO_TOKEN)], "", "close").await);
        }
        until("all eight hang", || running.handle.in_flight() == 8).await;
        assert_eq!(running.handle.max_in_flight(), 8);
        running.handle.clear_journal();
        drop(waiting);
        until("all are gone", || running.handle.in_flight() == 0).await;
        running.handle.clear_faults();
        get(&running, "/v2").await;
        assert_eq!((running.handle.count("/v2"), running.handle.total()), (1, 1));
    }

    #[tokio::test]
    async fn what_is_not_http_is_refused() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let running = start().await;
        for bad in ["nonsense\r\n\r\n", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"] {
            let mut stream = TcpStream::connect(running.addr()).await.unwrap();
            stream.write_all(bad.as_bytes()).await.unwrap();
            let mut response = String::new();
            stream.read_to_string(&mut response).await.unwrap();
            assert!(response.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{response}");
        }
        assert_eq!(running.handle.total(), 0);
    }
}
