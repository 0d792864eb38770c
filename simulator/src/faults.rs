//! The faults. `fault_rules` decides when they apply, `body_faults` and `transport_faults` carry them out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::http::Request;
use super::repository_row::Repository;
use super::response::{ApiError, Response, Shape};
use super::world::World;

/// Reads or changes the world while a request is processed.
pub type WorldHook = Arc<dyn Fn(&mut World, &Request) + Send + Sync>;
/// Changes the rows of a page, which are the elements of the body's array.
pub type RowsHook = Arc<dyn Fn(&mut Vec<Value>) + Send + Sync>;
/// Changes the whole response.
pub type ResponseHook = Arc<dyn Fn(&mut Response, &Request) + Send + Sync>;

/// A fault.
#[derive(Clone)]
#[non_exhaustive]
pub enum Action {
    /// Delays the response.
    Delay(Duration),
    /// Changes the world just before the response is made.
    Before(WorldHook),
    /// Changes the world after the response is made.
    After(WorldHook),
    /// Replaces the response.
    Respond(Response),
    /// Replaces the response by an error.
    Error(ApiError),
    /// Overrides a query parameter: `offset` 0 returns the same page for ever.
    Query(String, String),
    /// Silently lowers the page size.
    ClampLimit(usize),
    /// Sets or removes a header.
    Header(String, Option<String>),
    /// Falsifies the total, in `Content-Range` and in every row.
    Total(Total),
    /// Sets a key of some rows to this text, valid JSON or not; `None` removes the key.
    Field(Rows, String, Option<String>),
    /// Changes the rows.
    Rows(RowsHook),
    /// Changes the response.
    Change(ResponseHook),
    /// Sends the response in an unusual way.
    Deliver(Delivery),
}

/// Rows of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Every row.
    All,
    /// The row at this index.
    At(usize),
    /// The row of this name.
    Named(String),
}

/// Falsified totals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Total {
    /// This number.
    Is(i64),
    /// The true total plus this difference.
    Off(i64),
    /// Another number in every request.
    Changing,
    /// Neither header nor key.
    Absent,
    /// This text: raw in the header, a string in the rows.
    Text(String),
}

/// How a response is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// Correctly.
    Whole,
    /// Correctly, then closes the connection as announced.
    ThenClose,
    /// Correctly, then closes the connection without notice, as a load balancer's idle timeout does.
    ThenCloseUnannounced,
    /// Correct `Content-Length`, but closes the connection after this many bytes of the body.
    Truncated(usize),
    /// Only this many bytes of the body, framed as complete.
    Cut(usize),
    /// Resets the connection before sending anything.
    Reset,
    /// Resets the connection after the headers and this many bytes of the body.
    ResetAfter(usize),
    /// Sends nothing until the client disconnects.
    Hang,
    /// Sends headers and this many bytes of the body, then nothing until the client disconnects.
    Stall(usize),
    /// Sends this many bytes at a time, headers included, with a pause after each.
    Drip(usize, Duration),
    /// Sends this `Content-Length` whatever the body, then closes the connection.
    DeclaredLength(u64),
    /// Sends rows without end, or up to this many bytes.
    Flood(Framing, Option<u64>),
    /// Sends a small gzip body that unpacks to this many bytes of valid JSON.
    Bomb(u64),
}

/// How the end of a body is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By closing the connection.
    UntilClose,
    /// By this `Content-Length`.
    Length(u64),
    /// By an empty chunk.
    Chunked,
}

/// `Retry-After` of a 429.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// Absent.
    Absent,
    /// Seconds.
    Seconds(u64),
    /// An HTTP date, this many seconds from now; negative is in the past.
    Date(i64),
    /// This.
    Text(String),
}

impl Action {
    /// An error of any shape.
    #[must_use]
    pub fn error(status: u16, shape: Shape, code: &str, message: &str) -> Self {
        Self::Error(ApiError::new(status, shape, code, message))
    }

    /// Throttled by the gateway: 429.
    #[must_use]
    pub fn throttled(retry_after: &RetryAfter) -> Self {
        let body = r#"{"error_msg":"The throttling threshold has been reached: policy user over ratelimit,limit:20,time:1 second","error_code":"APIGW.0308","request_id":"00000000000000000000000000000308"}"#;
        let response = Response::new(429, "application/json", body);
        let value = match retry_after {
            RetryAfter::Absent => return Self::Respond(response),
            RetryAfter::Seconds(seconds) => seconds.to_string(),
            RetryAfter::Text(text) => text.clone(),
            RetryAfter::Date(seconds) => {
                // The date is computed at sending time: a rule may wait long for its request.
                let seconds = *seconds;
                return Self::Change(Arc::new(move |sent, _| {
                    let base = std::time::SystemTime::now();
                    let away = Duration::from_secs(seconds.unsigned_abs());
                    let moment = if seconds < 0 { base - away } else { base + away };
                    let date = sent.header("Date").map(str::to_owned);
                    *sent = response.clone().with("Retry-After", httpdate::fmt_http_date(moment));
                    if let Some(date) = date {
                        sent.set("Date", date);
                    }
                }));
            }
        };
        Self::Respond(response.with("Retry-After", value))
    }

    /// Throttled by SWR itself, with 403.
    #[must_use]
    pub fn too_many_requests() -> Self {
        Self::Error(ApiError::swr(403, 4_031_042, "too many requests"))
    }

    /// SWR is busy: 409.
    #[must_use]
    pub fn busy() -> Self {
        Self::Error(ApiError::swr(409, 4_090_023, "system busy"))
    }

    /// A redirect.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::Respond(Response::new(status, "text/html", "").with("Location", location))
    }

    /// Inserts `count` repositories before all others, so that later pages shift back.
    #[must_use]
    pub fn insert_before(count: usize) -> Self {
        Self::Before(Arc::new(move |world, _| {
            let free = (0_u64..).map(|number| format!("0000-{number:06}"));
            let free: Vec<String> = free.filter(|name| world.find("moving", name).is_none()).take(count).collect();
            for name in free {
                world.insert(Repository::new("moving", name));
            }
        }))
    }

    /// Deletes the first `count` repositories, so that later pages shift forward.
    #[must_use]
    pub fn remove_before(count: usize) -> Self {
        Self::Before(Arc::new(move |world, _| world.remove_first(count)))
    }

    /// Sends the first `count` rows of each page twice.
    #[must_use]
    pub fn duplicate_rows(count: usize) -> Self {
        Self::Rows(Arc::new(move |rows| {
            let again: Vec<Value> = rows.iter().take(count).cloned().collect();
            rows.extend(again);
        }))
    }

    /// Omits the first `count` rows of each page.
    #[must_use]
    pub fn missing_rows(count: usize) -> Self {
        Self::Rows(Arc::new(move |rows| {
            rows.drain(..count.min(rows.len()));
        }))
    }

    /// Sets a key of all rows to this JSON.
    #[must_use]
    pub fn field(key: &str, json: &str) -> Self {
        Self::Field(Rows::All, key.to_owned(), Some(json.to_owned()))
    }

    /// The fault's name in the journal.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Delay(_) => "delay",
            Self::Before(_) => "before",
            Self::After(_) => "after",
            Self::Respond(_) => "respond",
            Self::Error(_) => "error",
            Self::Query(..) => "query",
            Self::ClampLimit(_) => "clamp_limit",
            Self::Header(..) => "header",
            Self::Total(_) => "total",
            Self::Field(..) => "field",
            Self::Rows(_) => "rows",
            Self::Change(_) => "change",
            Self::Deliver(delivery) => match delivery {
                Delivery::Whole => "whole",
                Delivery::ThenClose => "then_close",
                Delivery::ThenCloseUnannounced => "then_close_unannounced",
                Delivery::Truncated(_) => "truncated",
                Delivery::Cut(_) => "cut",
                Delivery::Reset => "reset",
                Delivery::ResetAfter(_) => "reset_after",
                Delivery::Hang => "hang",
                Delivery::Stall(_) => "stall",
                Delivery::Drip(..) => "drip",
                Delivery::DeclaredLength(_) => "declared_length",
                Delivery::Flood(..) => "flood",
                Delivery::Bomb(_) => "bomb",
            },
        }
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind())
    }
}
