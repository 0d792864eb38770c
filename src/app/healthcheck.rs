//! `swr-exporter healthcheck`: does an exporter on this machine answer? For containers without a shell or curl.
//!
//! It sends one plain request. The answers 200, 401 (passwords are required), 429 and 503 (too many requests), and the 400 by
//! HTTP/1.0 of an exporter with TLS all show that connections are accepted and requests are read, so neither certificates
//! nor passwords are needed here.

use crate::base::deadline::Deadline;
use anyhow::{Context, bail};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Requests `/-/healthy` from the exporter that listens on `address`, within `timeout` in total.
///
/// # Errors
/// If there is no answer in time, or not that of a healthy exporter.
pub fn run(address: &str, timeout: Duration) -> anyhow::Result<()> {
    let deadline = Deadline::after(timeout);
    let mut last = None;
    for to in reachable(address).with_context(|| format!("{address} is no address"))? {
        match ask(to, deadline).with_context(|| format!("{to} does not answer as it should")) {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| anyhow::anyhow!("{address} has no address")))
}

/// The addresses at which to reach a listener: one on any address is reached by loopback, IPv6 first.
fn reachable(address: &str) -> std::io::Result<Vec<SocketAddr>> {
    let full = if address.starts_with(':') { format!("[::]{address}") } else { address.to_owned() };
    let mut found = Vec::new();
    for to in full.to_socket_addrs()? {
        match to {
            SocketAddr::V6(to) if to.ip().is_unspecified() => {
                found.push((Ipv6Addr::LOCALHOST, to.port()).into());
                found.push((Ipv4Addr::LOCALHOST, to.port()).into());
            }
            SocketAddr::V4(to) if to.ip().is_unspecified() => found.push((Ipv4Addr::LOCALHOST, to.port()).into()),
            to => found.push(to),
        }
    }
    Ok(found)
}

fn ask(to: SocketAddr, deadline: Deadline) -> anyhow::Result<()> {
    let left = || {
        let left = deadline.left();
        if left.is_zero() { bail!("it takes too long") } else { Ok(left) }
    };
    let mut stream = TcpStream::connect_timeout(&to, left()?)?;
    // The request fits into any socket buffer, so this does not wait.
    stream.set_write_timeout(Some(left()?))?;
    let request = format!("GET /-/healthy HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let (mut head, mut length) = ([0; 12], 0);
    while length < head.len() {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut head[length..])? {
            0 => break,
            read => length += read,
        }
    }
    match &head[..length] {
        b"HTTP/1.1 200" | b"HTTP/1.1 401" | b"HTTP/1.1 429" | b"HTTP/1.1 503" | b"HTTP/1.0 400" => Ok(()),
        [] => bail!("it closed the connection"),
        other => bail!("it says {:?}", String::from_utf8_lossy(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// The outcome for a peer that answers with these bytes.
    fn verdict(answer: &'static [u8]) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let read = stream.read(&mut request).unwrap();
            assert!(request[..read].starts_with(b"GET /-/healthy HTTP/1.1\r\n"));
            stream.write_all(answer).unwrap();
        });
        let outcome = run(&address, Duration::from_secs(10)).map_err(|error| format!("{error:#}"));
        peer.join().unwrap();
        outcome
    }

    #[test]
    fn every_status_of_a_live_exporter_is_healthy() {
        assert!(verdict(b"HTTP/1.1 200 OK\r\n\r\n").is_ok());
        assert!(verdict(b"HTTP/1.1 401 Unauthorized\r\n\r\n").is_ok());
        assert!(verdict(b"HTTP/1.1 429 Too Many Requests\r\n\r\n").is_ok(), "it is alive");
        assert!(verdict(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").is_ok());
        assert!(verdict(b"HTTP/1.0 400 Bad Request\r\n\r\n").is_ok(), "plain text where TLS is spoken");
        for (answer, said) in [
            (&b"HTTP/1.1 500 Internal Server Error\r\n\r\n"[..], "\"HTTP/1.1 500\""),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "\"HTTP/1.1 400\""),
            (b"SSH-2.0-OpenSSH", "\"SSH-2.0-Open\""),
            (b"", "closed"),
        ] {
            let error = verdict(answer).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn any_address_is_reached_by_loopback() {
        let reach = |address| reachable(address).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(reach("[::]:10179"), ["[::1]:10179", "127.0.0.1:10179"]);
        assert_eq!(reach(":10179"), ["[::1]:10179", "127.0.0.1:10179"]);
        assert_eq!(reach("0.0.0.0:80"), ["127.0.0.1:80"]);
        assert_eq!(reach("127.0.0.1:1"), ["127.0.0.1:1"]);
        assert!(reachable("nowhere").is_err());
    }

    #[test]
    fn a_silent_peer_is_given_up_after_the_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert!(run(&address, Duration::from_millis(50)).is_err());
    }

    #[test]
    fn a_slow_answer_has_one_deadline_in_total() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Byte by byte, each within the timeout, until the other side closes.
            for byte in b"HTTP/1.1 200" {
                std::thread::sleep(Duration::from_millis(100));
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
            }
        });
        assert!(run(&address, Duration::from_millis(400)).is_err());
        peer.join().unwrap();
    }

    #[test]
    fn an_absurd_timeout_is_merely_long() {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(run(&nobody.to_string(), Duration::MAX).is_err());
    }
}
