//! `healthcheck`: does an exporter on this machine answer? For containers without a shell or curl.
//!
//! It asks as plainly as can be and takes what it gets for what it is: 200 is good. An exporter with passwords answers 401,
//! one that is asked too much 429 or 503, and one with TLS tells a plain request, by HTTP/1.0 and 400, that it came to the
//! wrong door. All of them show that connections are accepted and requests read, so neither certificates nor passwords
//! are needed here.

use crate::base::deadline::Deadline;
use crate::config::ListenAddress;
use anyhow::{Context, bail};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Asks `/-/healthy` of the exporter that listens on `address`, all in all within `timeout`.
///
/// # Errors
/// When nobody answers in time, or not as a healthy exporter would.
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

/// Where to reach who listens on this: on any address means also on loopback, by IPv6 or, where there is none, IPv4.
fn reachable(address: &str) -> std::io::Result<Vec<SocketAddr>> {
    let address: ListenAddress = address.parse().map_err(std::io::Error::other)?;
    let loopback = |port| vec![(Ipv6Addr::LOCALHOST, port).into(), (Ipv4Addr::LOCALHOST, port).into()];
    Ok(match address {
        ListenAddress::Any(port) => loopback(port),
        ListenAddress::Socket(SocketAddr::V6(to)) if to.ip().is_unspecified() => loopback(to.port()),
        ListenAddress::Socket(SocketAddr::V4(to)) if to.ip().is_unspecified() => {
            vec![(Ipv4Addr::LOCALHOST, to.port()).into()]
        }
        ListenAddress::Socket(to) => vec![to],
        ListenAddress::Name(host, port) => (host.as_str(), port).to_socket_addrs()?.collect(),
    })
}

fn ask(to: SocketAddr, deadline: Deadline) -> anyhow::Result<()> {
    let left = || {
        let left = deadline.left();
        if left.is_zero() { bail!("it takes too long") } else { Ok(left) }
    };
    let mut stream = TcpStream::connect_timeout(&to, left()?)?;
    // The request fits into any buffer, so this waits for nobody.
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

    /// What is said of somebody who answers with these bytes.
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
    fn the_status_tells() {
        assert!(verdict(b"HTTP/1.1 200 OK\r\n\r\n").is_ok());
        assert!(verdict(b"HTTP/1.1 401 Unauthorized\r\n\r\n").is_ok());
        assert!(verdict(b"HTTP/1.1 429 Too Many Requests\r\n\r\n").is_ok(), "it says so itself");
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
    fn who_says_nothing_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert!(run(&address, Duration::from_millis(50)).is_err());
    }

    #[test]
    fn who_speaks_slowly_has_one_deadline_for_all_of_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // One byte after the other, each sooner than the timeout, until it is left.
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
