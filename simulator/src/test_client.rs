//! A raw HTTP client for the simulator's own tests.

use std::collections::BTreeMap;
use std::io;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{AccessKey, DEMO_TOKEN, Running, TemporaryKey, authenticate, http, timestamp};

/// The bytes of a connection until it ended.
pub(super) struct Reply {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
    /// Error that ended the connection, if any.
    pub(super) error: Option<io::ErrorKind>,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The values of a key in all rows.
    pub(super) fn column(&self, key: &str) -> Vec<Value> {
        self.json().as_array().unwrap().iter().map(|row| row[key].clone()).collect()
    }
}

/// Sends a GET with the default token and `Connection: close`.
pub(super) async fn get(running: &Running, target: &str) -> Reply {
    ask(running, "GET", target, &[("X-Auth-Token", DEMO_TOKEN)], "").await
}

/// Lists repositories.
pub(super) async fn list(running: &Running, query: &str) -> Reply {
    get(running, &format!("/v2/manage/repos?{query}")).await
}

pub(super) async fn ask(running: &Running, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut stream = send(running, method, target, headers, body, "close").await;
    let mut raw = Vec::new();
    let error = loop {
        match stream.read_buf(&mut raw).await {
            Ok(0) => break None,
            Ok(_) => {}
            Err(error) => break Some(error.kind()),
        }
    };
    parse(&raw, error)
}

/// Sends a request signed now, by the service's clock.
pub(super) async fn ask_signed(running: &Running, key: &AccessKey, target: &str) -> Reply {
    ask_signed_at(running, key, target, running.handle.state.now_seconds()).await
}

/// Sends a request signed at `moment`, in seconds since the Unix epoch.
pub(super) async fn ask_signed_at(running: &Running, key: &AccessKey, target: &str, moment: i64) -> Reply {
    let (host, date) = (running.addr().to_string(), timestamp::basic(moment));
    let mut headers = vec![("host", host.as_str()), ("x-sdk-date", date.as_str())];
    headers.extend(key.security_token.as_deref().map(|token| ("x-security-token", token)));
    let head: String = headers.iter().map(|(name, value)| format!("\r\n{name}: {value}")).collect();
    let request = http::parse_head(format!("GET {target} HTTP/1.1{head}").into_bytes()).unwrap();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let canonical = authenticate::canonical_request(&request, &names).unwrap();
    let signature = authenticate::signature(key, &date, &canonical);
    let (access, signed) = (&key.access_key, names.join(";"));
    let authorization = format!("SDK-HMAC-SHA256 Access={access}, SignedHeaders={signed}, Signature={signature}");
    headers.push(("authorization", &authorization));
    ask(running, "GET", target, &headers, "").await
}

/// A temporary key as an `AccessKey`.
pub(super) fn signer(key: &TemporaryKey) -> AccessKey {
    AccessKey {
        access_key: key.access_key.clone(),
        secret_key: key.secret_key.clone(),
        security_token: Some(key.security_token.clone()),
    }
}

/// The key in a response of any credential service.
pub(super) fn signer_of(credential: &Value) -> AccessKey {
    let text = |names: [&str; 2]| names.iter().find_map(|name| credential[name].as_str()).unwrap().to_owned();
    AccessKey {
        access_key: text(["access", "access_key_id"]),
        secret_key: text(["secret", "secret_access_key"]),
        security_token: Some(text(["securitytoken", "security_token"])),
    }
}

/// Sends a request and returns the connection without reading.
pub(super) async fn send(
    running: &Running,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
    connection: &str,
) -> TcpStream {
    let mut stream = TcpStream::connect(running.addr()).await.unwrap();
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nConnection: {connection}\r\nContent-Length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str(&format!("Host: {}\r\n", running.addr()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
    stream
}

/// Parses a response; status 0 means that none came.
pub(super) fn parse(raw: &[u8], error: Option<io::ErrorKind>) -> Reply {
    let mut reply = Reply { status: 0, headers: BTreeMap::new(), body: Vec::new(), error };
    let Some(end) = raw.windows(4).position(|window| window == b"\r\n\r\n") else { return reply };
    let head = std::str::from_utf8(&raw[..end]).unwrap();
    let mut lines = head.split("\r\n");
    reply.status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        let double = reply.headers.insert(name.to_ascii_lowercase(), value.to_owned());
        assert!(double.is_none(), "{name} came twice");
    }
    reply.body = raw[end + 4..].to_vec();
    reply
}

/// Polls until `holds` returns true, or panics after 20 seconds.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = std::time::Duration::from_secs(20);
    let waiting = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(patience, waiting).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}
