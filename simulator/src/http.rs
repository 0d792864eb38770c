//! A minimal HTTP/1.1 server: reads one request after another from a connection.
//!
//! hyper would not do: this server must be able to send wrong lengths, stop in the middle of a header and reset the
//! connection. Requests with chunked bodies are rejected.

use std::collections::BTreeMap;
use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Most bytes of a request's head. Tokens of several kilobytes are usual.
const MAX_HEAD: usize = 64 * 1024;
/// Most bytes of a request's body. The real gateway takes 12 MB.
const MAX_BODY: usize = 1024 * 1024;

/// A received request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Such as `GET`.
    pub method: String,
    /// Path and query as on the wire.
    pub target: String,
    /// The path as on the wire, percent-encoded.
    pub path: String,
    /// The decoded query, in its order.
    pub query: Vec<(String, String)>,
    /// Headers; names in lower case, repeated ones joined by a comma.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: Vec<u8>,
    /// Time at which the head was complete.
    pub at: Instant,
    /// Status of the response. `None` before it is sent, and for requests that hang or whose connection
    /// is reset.
    pub status: Option<u16>,
    /// Kinds of the faults applied to this request.
    pub faults: Vec<&'static str>,
}

impl Request {
    /// The first query parameter of that name.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A header; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(super) fn set_query(&mut self, name: &str, value: String) {
        self.query.retain(|(key, _)| key != name);
        self.query.push((name.to_owned(), value));
    }

    /// Whether the client wants the connection closed after the response.
    pub(super) fn wants_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// Input of a connection.
pub(super) enum Incoming {
    Request(Request),
    /// Not HTTP, or too large, with the reason.
    Malformed(&'static str),
    /// The client closed the connection between requests.
    Closed,
}

/// Reads requests; buffers pipelined ones.
#[derive(Debug, Default)]
pub(super) struct RequestReader {
    buffer: Vec<u8>,
}

impl RequestReader {
    pub(super) async fn next(&mut self, stream: &mut TcpStream) -> io::Result<Incoming> {
        let head_end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if self.buffer.len() > MAX_HEAD {
                return Ok(Incoming::Malformed("request head too long"));
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(Incoming::Closed);
            }
        };
        let head = self.buffer[..head_end].to_vec();
        self.buffer.drain(..head_end + 4);
        let Some(mut request) = parse_head(head) else {
            return Ok(Incoming::Malformed("request head is not HTTP/1.1 in UTF-8"));
        };
        let length = request.header("content-length").map_or(Ok(0), str::parse::<usize>);
        match length {
            Ok(length) if length <= MAX_BODY && request.header("transfer-encoding").is_none() => {
                while self.buffer.len() < length {
                    if stream.read_buf(&mut self.buffer).await? == 0 {
                        return Ok(Incoming::Closed);
                    }
                }
                request.body = self.buffer.drain(..length).collect();
                Ok(Incoming::Request(request))
            }
            _ => Ok(Incoming::Malformed("request body without a usable length")),
        }
    }
}

/// Completes when the client disconnects. Data is left unread.
pub(super) async fn gone(stream: &TcpStream) {
    let mut byte = [0];
    match stream.peek(&mut byte).await {
        Ok(0) | Err(_) => {}
        // A pipelined request hides the end of the connection; writing the response will notice it.
        Ok(_) => std::future::pending().await,
    }
}

pub(super) fn parse_head(head: Vec<u8>) -> Option<Request> {
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.splitn(3, ' ');
    let (method, target, version) = (first.next()?, first.next()?, first.next()?);
    if !version.starts_with("HTTP/1.") || !target.starts_with('/') {
        return None;
    }
    let mut headers = BTreeMap::<String, String>::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|known| {
                known.push_str(", ");
                known.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Some(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        path: path.to_owned(),
        query: parse_query(query),
        headers,
        body: Vec::new(),
        at: Instant::now(),
        status: None,
        faults: Vec::new(),
    })
}

/// Decodes a query; `+` is a space.
pub(super) fn parse_query(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(&key.replace('+', " ")), percent_decode(&value.replace('+', " ")))
        })
        .collect()
}

/// Decodes `%XX`; invalid escapes stay unchanged.
pub(super) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped =
            (bytes[at] == b'%' && at + 2 < bytes.len()).then(|| hex::decode(&bytes[at + 1..at + 3]).ok()).flatten();
        match escaped {
            Some(decoded) => {
                out.extend(decoded);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_taken_apart() {
        let request = parse_head(b"GET /a%2Fb?x=1&y=%7C+z&flag HTTP/1.1\r\nHost: h:1\r\nX-A: 1\r\nx-a:  2 ".to_vec());
        let request = request.unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/a%2Fb"));
        assert_eq!(request.query("y"), Some("| z"));
        assert_eq!(request.query("flag"), Some(""));
        assert_eq!(request.header("x-a"), Some("1, 2"));
        for bad in ["", "GET /", "GET / SPDY/3", "GET http://x/ HTTP/1.1", "GET / HTTP/1.1\r\nno colon"] {
            assert!(parse_head(bad.into()).is_none(), "{bad}");
        }
    }

    #[test]
    fn improper_escapes_stay() {
        assert_eq!(percent_decode("%24%e7%BB%84%2"), "$组%2");
        assert_eq!(percent_decode("%zz%"), "%zz%");
        assert_eq!(percent_decode("%41"), "A");
    }
}
