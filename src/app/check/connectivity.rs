//! Checks of the way to the API: name, connection, TLS, and its clock.

use super::MAX_TOLERATED_SKEW;
use super::report::{Report, Step};
use crate::base::clock::seconds_between;
use crate::failure::error_chain;
use crate::transport::error_response::date;
use crate::transport::proxy::ProxySettings;
use crate::transport::{Https, Request, Transport, TransportError};
use bytes::Bytes;
use hyper::http::{HeaderMap, Method, Uri};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;

/// How long each part may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The first hop: the API, or a proxy before it.
struct Hop {
    host: String,
    port: u16,
    is_proxy: bool,
}

/// Adds a step for each part of the way. Returns whether the API answers.
pub(super) async fn check(endpoint: &str, transport: &Https, report: &mut Report) -> bool {
    let failed = reach(endpoint, transport, report).await.err();
    let answers = failed.is_none();
    failed.into_iter().for_each(|step| report.add(step));
    answers
}

/// As [`check`]; the error is the step that fails.
async fn reach(endpoint: &str, transport: &Https, report: &mut Report) -> Result<(), Step> {
    let hop = first_hop(endpoint).ok_or_else(|| Step::fails("name", format!("{endpoint} has no host"), ""))?;
    let Hop { host, port, is_proxy } = &hop;
    let role = if *is_proxy { "the proxy " } else { "" };
    let unresolved = |problem: &str| Step::fails("name", format!("{role}{host} {problem}"), on_name(*is_proxy));
    let addresses = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((host.as_str(), *port))).await;
    let addresses = addresses.map_err(|_| unresolved("cannot be resolved: no answer from a name server"))?;
    let addresses = addresses.map_err(|error| unresolved(&format!("cannot be resolved: {error}")))?;
    let addresses: Vec<SocketAddr> = addresses.collect();
    if addresses.is_empty() {
        return Err(unresolved("resolves to no address"));
    }
    let listed = addresses.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(", ");
    report.add(Step::works(
        "name",
        match host.parse::<std::net::IpAddr>() {
            Ok(_) => format!("{role}{host} is an address"),
            Err(_) => format!("{role}{host} resolves to {listed}"),
        },
    ));
    let (connected, problem) = connect(&addresses).await;
    if let Some(problem) = problem {
        let advice = if *is_proxy {
            "correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, or name the API in NO_PROXY"
        } else {
            "allow outgoing connections to this port, or set HTTPS_PROXY if there is a proxy"
        };
        let message = format!("cannot connect to {role}{host} port {port}: {problem}");
        return Err(Step::fails("connection", message, advice));
    }
    let unreachable = match addresses.len() - connected {
        0 => String::new(),
        some => format!("; {some} of {} addresses do not answer", addresses.len()),
    };
    report.add(Step::works("connection", format!("connected to {role}{host} port {port}{unreachable}")));
    request_root(endpoint, transport, report).await
}

/// Tries every address at once, as a client would try one after the other: how many answer, and why none does.
async fn connect(addresses: &[SocketAddr]) -> (usize, Option<String>) {
    let trials = addresses.iter().map(|address| tokio::time::timeout(TIMEOUT, TcpStream::connect(address)));
    let outcomes = futures_util::future::join_all(trials).await;
    let connected = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Ok(_)))).count();
    let problem = outcomes.into_iter().find_map(|outcome| match outcome {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("no answer".to_owned()),
    });
    (connected, problem.filter(|_| connected == 0))
}

fn first_hop(endpoint: &str) -> Option<Hop> {
    let uri: Uri = endpoint.parse().ok()?;
    // The rules of the HTTP client.
    let settings = ProxySettings::from_environment().unwrap_or_default();
    if let Some(proxy) = settings.proxy_for(&uri) {
        let host = proxy.host_str()?.trim_matches(['[', ']']).to_owned();
        return Some(Hop { host, port: proxy.port_or_known_default()?, is_proxy: true });
    }
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    Some(Hop { host: uri.host()?.trim_matches(['[', ']']).to_owned(), port, is_proxy: false })
}

fn on_name(is_proxy: bool) -> &'static str {
    if is_proxy {
        "correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY"
    } else {
        "check --swr.region or --swr.endpoint, and the name servers of this machine (DNS)"
    }
}

/// Sends a request without a credential. Any answer is good.
async fn request_root(endpoint: &str, transport: &Https, report: &mut Report) -> Result<(), Step> {
    let request =
        Request { method: Method::GET, url: format!("{endpoint}/"), headers: HeaderMap::new(), body: Bytes::new() };
    let is_tls = endpoint.starts_with("https://");
    let sent_at = SystemTime::now();
    let answer = tokio::time::timeout(TIMEOUT, transport.send(request)).await.map_err(|_| {
        let advice = "check firewalls and proxies in between: they accept the connection and pass nothing on";
        Step::fails("response", "none in time", advice)
    })?;
    let answer = answer.map_err(|error| {
        let (what, advice) = on_connection(&error, is_tls);
        Step::fails(what, error_chain(&error), advice)
    })?;
    if is_tls {
        report.add(Step::works("tls", "the certificate is trusted and belongs to this host"));
    }
    let Some(theirs) = date(&answer.headers) else {
        report.add(Step::skipped("clock", "the API does not send its time"));
        return Ok(());
    };
    let ahead = seconds_between(sent_at, theirs);
    report.add(if ahead.abs() > MAX_TOLERATED_SKEW {
        let (by, way) = (ahead.abs().round(), if ahead > 0.0 { "behind" } else { "ahead of" });
        let message = format!("this machine is {by} s {way} the API; signatures are refused from 900 s on");
        let advice = "set the clock, for example by NTP; until then requests are signed with the API's time";
        Step::fails("clock", message, advice)
    } else {
        Step::works("clock", format!("{:.0} s from the API's", ahead.abs().floor()))
    });
    Ok(())
}

/// The failed step and advice for a request that failed although a connection was possible.
fn on_connection(error: &TransportError, is_tls: bool) -> (&'static str, &'static str) {
    let text = error_chain(error);
    if text.contains("UnknownIssuer") || text.contains("CaUsedAsEndEntity") {
        ("tls", "the certificate is signed by an unknown CA: set --swr.ca-file to that CA's certificate")
    } else if text.contains("NotValidForName") {
        ("tls", "the certificate belongs to another host: check --swr.endpoint")
    } else if text.contains("Expired") || text.contains("NotValidYet") {
        ("tls", "the certificate is not valid now: check this machine's clock, then the certificate")
    } else if text.contains("BadSignature") || text.contains("UnsupportedSignatureAlgorithm") {
        (
            "tls",
            "the certificate's key is not supported: RSA needs 2048 bits or more, elliptic curves are P-256 and P-384",
        )
    } else if text.contains("invalid peer certificate") {
        ("tls", "the certificate cannot be verified: check --swr.endpoint, then --swr.ca-file")
    } else if text.contains("tunnel") || text.contains("proxy") {
        ("proxy", "the proxy refuses the connection: check its rules and the password in HTTPS_PROXY")
    } else if is_tls {
        ("tls", "the server does not speak TLS: check --swr.endpoint, and proxies in between")
    } else {
        ("response", "check --swr.endpoint")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_that_answers_is_enough_wherever_it_stands() {
        let bind = || tokio::net::TcpListener::bind("127.0.0.1:0");
        let (listener, closed) = (bind().await.unwrap(), bind().await.unwrap());
        let (good, dead) = (listener.local_addr().unwrap(), closed.local_addr().unwrap());
        drop(closed);
        for addresses in [[dead, good], [good, dead]] {
            assert_eq!(connect(&addresses).await, (1, None));
        }
        drop(listener);
        let (connected, problem) = connect(&[dead, good]).await;
        assert!(connected == 0 && problem.unwrap().contains("refused"));
    }
}
