//! What can go wrong. When it does is in `rules`; `distort` changes answers, `deliver` sends them wrongly.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::answer::{Answer, Refusal, Shape};
use super::http::Request;
use super::row::Repository;
use super::world::World;

/// Looks at and changes the world when a request is answered.
pub type WorldHook = Arc<dyn Fn(&mut World, &Request) + Send + Sync>;
/// Changes the rows of a page; rows are the elements of the array that is the body.
pub type RowsHook = Arc<dyn Fn(&mut Vec<Value>) + Send + Sync>;
/// Changes the whole answer.
pub type AnswerHook = Arc<dyn Fn(&mut Answer, &Request) + Send + Sync>;

/// What goes wrong.
#[derive(Clone)]
#[non_exhaustive]
pub enum Action {
    /// The answer comes later.
    Delay(Duration),
    /// The world changes just before the answer is made.
    Before(WorldHook),
    /// The world changes once the answer is made.
    After(WorldHook),
    /// Another answer, whatever was asked.
    Answer(Answer),
    /// An error instead of the answer.
    Refuse(Refusal),
    /// A query parameter is taken to have another value: `offset` 0 gives the same page for ever.
    Query(String, String),
    /// The page is cut to so many rows, silently.
    ClampLimit(usize),
    /// A header is set, or removed.
    Header(String, Option<String>),
    /// The total lies, in `Content-Range` and in every row.
    Total(Total),
    /// One key of some rows holds this JSON, which need not be legal; `None` takes the key away.
    Field(Rows, String, Option<String>),
    /// The rows change.
    Rows(RowsHook),
    /// The answer changes.
    Change(AnswerHook),
    /// The answer is sent in an unusual way.
    Deliver(Delivery),
}

/// Rows of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Every row.
    All,
    /// The row at this place, from 0.
    At(usize),
    /// The row of this name.
    Named(String),
}

/// Lies about the total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Total {
    /// This number.
    Is(i64),
    /// The truth and so much more, or less.
    Off(i64),
    /// Another number with every request.
    Changing,
    /// Neither header nor key.
    Absent,
    /// This text, in the header as it is and in the rows as a string.
    Text(String),
}

/// How an answer is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// As it should be.
    Whole,
    /// As it should be; then the connection is closed, as announced.
    ThenClose,
    /// As it should be; then the connection is closed without a word, as idle timeouts of load balancers do.
    ThenCloseUnannounced,
    /// `Content-Length` is true, but the connection is closed after so many bytes of the body.
    Truncated(usize),
    /// Only so many bytes of the body, framed as if that were all.
    Cut(usize),
    /// The connection is reset before anything is sent.
    Reset,
    /// The connection is reset after the headers and so many bytes of the body.
    ResetAfter(usize),
    /// No answer, until the client goes.
    Hang,
    /// Headers and so many bytes of the body, then nothing, until the client goes.
    Stall(usize),
    /// So many bytes at a time, headers included, with a pause after each.
    Drip(usize, Duration),
    /// `Content-Length` says this, whatever is sent; then the connection is closed.
    DeclaredLength(u64),
    /// Rows without end, or up to so many bytes.
    Flood(Framing, Option<u64>),
    /// A small gzip body that unpacks to so many bytes of legal JSON.
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

/// What `Retry-After` says beside a 429.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// There is none.
    Absent,
    /// Seconds.
    Seconds(u64),
    /// The moment so many seconds from now, as an HTTP date; negative is in the past.
    Date(i64),
    /// This.
    Text(String),
}

impl Action {
    /// An error in a shape of choice.
    #[must_use]
    pub fn error(status: u16, shape: Shape, code: &str, message: &str) -> Self {
        Self::Refuse(Refusal::new(status, shape, code, message))
    }

    /// Throttled by the gateway: 429.
    #[must_use]
    pub fn throttled(retry_after: &RetryAfter) -> Self {
        let body = r#"{"error_msg":"The throttling threshold has been reached: policy user over ratelimit,limit:20,time:1 second","error_code":"APIGW.0308","request_id":"00000000000000000000000000000308"}"#;
        let answer = Answer::new(429, "application/json", body);
        let value = match retry_after {
            RetryAfter::Absent => return Self::Answer(answer),
            RetryAfter::Seconds(seconds) => seconds.to_string(),
            RetryAfter::Text(text) => text.clone(),
            RetryAfter::Date(seconds) => {
                // Made when it is sent: a rule may wait for its request for long.
                let seconds = *seconds;
                return Self::Change(Arc::new(move |sent, _| {
                    let base = std::time::SystemTime::now();
                    let away = Duration::from_secs(seconds.unsigned_abs());
                    let moment = if seconds < 0 { base - away } else { base + away };
                    let date = sent.header("Date").map(str::to_owned);
                    *sent = answer.clone().with("Retry-After", httpdate::fmt_http_date(moment));
                    if let Some(date) = date {
                        sent.set("Date", date);
                    }
                }));
            }
        };
        Self::Answer(answer.with("Retry-After", value))
    }

    /// Throttled by SWR itself, with 403.
    #[must_use]
    pub fn too_many_requests() -> Self {
        Self::Refuse(Refusal::swr(403, 4_031_042, "too many requests"))
    }

    /// SWR is busy: 409.
    #[must_use]
    pub fn busy() -> Self {
        Self::Refuse(Refusal::swr(409, 4_090_023, "system busy"))
    }

    /// To another place.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::Answer(Answer::new(status, "text/html", "").with("Location", location))
    }

    /// Inserts `count` repositories that sort before all others, so that every later page moves back by as many.
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

    /// Deletes the first `count` repositories, so that every later page moves forward by as many.
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

    /// Leaves out the first `count` rows of each page.
    #[must_use]
    pub fn missing_rows(count: usize) -> Self {
        Self::Rows(Arc::new(move |rows| {
            rows.drain(..count.min(rows.len()));
        }))
    }

    /// A key of all rows holds this JSON.
    #[must_use]
    pub fn field(key: &str, json: &str) -> Self {
        Self::Field(Rows::All, key.to_owned(), Some(json.to_owned()))
    }

    /// A word for the journal.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Delay(_) => "delay",
            Self::Before(_) => "before",
            Self::After(_) => "after",
            Self::Answer(_) => "answer",
            Self::Refuse(_) => "refuse",
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
