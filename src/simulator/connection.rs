//! One connection: request after request, each through the journal, the faults, the routes, and out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;

use super::answer::{Answer, Refusal};
use super::deliver::{self, Next};
use super::distort;
use super::faults::{Action, Delivery};
use super::http::{self, Reader, Received, Request};
use super::image::mix;
use super::options::Compression;
use super::routes::{self, Service};
use super::shared::{Flight, Shared, lock};

/// Serves a connection until it ends.
pub(super) async fn serve(shared: Arc<Shared>, mut stream: TcpStream) {
    // What fails here is the client's departure, which needs no answer and no note.
    let _ = converse(&shared, &mut stream).await;
}

async fn converse(shared: &Arc<Shared>, stream: &mut TcpStream) -> io::Result<()> {
    // Answers are written in few large pieces; waiting for more to come would only add latency.
    stream.set_nodelay(true)?;
    let mut reader = Reader::default();
    loop {
        let next = match reader.next(stream).await? {
            Received::Closed => return Ok(()),
            Received::Malformed(why) => {
                let flight = Flight::begin(shared, None);
                let answer = Refusal::gateway(400, "0201", why).answer("");
                deliver::send(stream, &answer, &Delivery::ThenClose, Next::Close, flight).await?
            }
            Received::Request(request) => exchange(shared, stream, request).await?,
        };
        if next == Next::Close {
            return Ok(());
        }
    }
}

async fn exchange(shared: &Arc<Shared>, stream: &mut TcpStream, mut request: Request) -> io::Result<Next> {
    let flight = Flight::begin(shared, Some(&request));
    let actions = lock(&shared.faults).choose(&request);
    if !actions.is_empty() {
        let kinds: Vec<_> = actions.iter().map(Action::kind).collect();
        lock(&shared.journal).faults(flight.number, &kinds);
    }
    let options = shared.options();
    let delay: Duration = options.latency
        + actions.iter().map(|action| if let Action::Delay(time) = action { *time } else { Duration::ZERO }).sum();
    if !delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = http::gone(stream) => return Ok(Next::Close),
        }
    }
    let ordinal = shared.ordinal.fetch_add(1, Ordering::Relaxed);
    let service = Service {
        shared,
        request_id: format!("{:016x}{:016x}", mix(options.seed), mix(ordinal)),
        ordinal,
        now: shared.now_seconds(),
        options,
    };
    let (mut answer, delivery) = decide(&mut request, &service, &actions);
    if let Delivery::Bomb(bytes) = delivery {
        answer.body = shared.bomb(bytes).await;
        answer.set("Content-Encoding", "gzip");
    }
    if service.options.compression == Compression::Gzip
        && request.header("accept-encoding").is_some_and(|accepted| accepted.contains("gzip"))
        && answer.header("Content-Encoding").is_none()
    {
        answer.body = deliver::gzip(&answer.body);
        answer.set("Content-Encoding", "gzip");
    }
    if !matches!(delivery, Delivery::Hang | Delivery::Reset) {
        lock(&shared.journal).answered(flight.number, answer.status);
    }
    let wanted = if request.wants_close() { Next::Close } else { Next::KeepAlive };
    deliver::send(stream, &answer, &delivery, wanted, flight).await
}

/// Makes the answer, with everything that goes wrong with it.
fn decide(request: &mut Request, service: &Service<'_>, actions: &[Action]) -> (Answer, Delivery) {
    for action in actions {
        match action {
            Action::Before(hook) => hook(&mut service.world(), request),
            Action::Query(key, value) => request.set_query(key, value.clone()),
            Action::ClampLimit(most) => clamp_limit(request, *most),
            _ => {}
        }
    }
    let mut answer = routes::answer(request, service);
    answer.set("Date", httpdate::fmt_http_date(service.shared.now()));
    answer.set("X-Request-Id", &*service.request_id);
    let mut delivery = Delivery::Whole;
    for action in actions {
        match action {
            Action::Answer(other) => replace(&mut answer, other.clone()),
            Action::Refuse(refusal) => replace(&mut answer, refusal.answer(&service.request_id)),
            Action::Header(name, Some(value)) => answer.set(name, value),
            Action::Header(name, None) => answer.remove(name),
            Action::Total(lie) => distort::total(&mut answer, lie, service.ordinal),
            Action::Field(rows, key, json) => {
                distort::field(&mut answer, rows, key, json.as_deref());
            }
            Action::Rows(hook) => distort::rows(&mut answer, hook),
            Action::Change(hook) => hook(&mut answer, request),
            Action::Deliver(way) => delivery = way.clone(),
            Action::After(hook) => hook(&mut service.world(), request),
            Action::Delay(_) | Action::Before(_) | Action::Query(..) | Action::ClampLimit(_) => {}
        }
    }
    (answer, delivery)
}

/// Puts another answer in the place of one, with the headers that every answer has.
fn replace(answer: &mut Answer, other: Answer) {
    let common = ["Date", "X-Request-Id"].map(|name| (name, answer.header(name).map(str::to_owned)));
    *answer = other;
    for (name, value) in common {
        if let (None, Some(value)) = (answer.header(name), value) {
            answer.set(name, value);
        }
    }
}

/// Lowers the `limit` that was asked for, if one was.
fn clamp_limit(request: &mut Request, most: usize) {
    if let Some(asked) = request.query("limit").and_then(|limit| limit.parse::<usize>().ok()) {
        request.set_query("limit", asked.min(most).to_string());
    }
}
