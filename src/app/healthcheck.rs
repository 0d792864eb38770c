//! `swr-exporter healthcheck`: does an exporter on this machine answer? For containers without a shell or curl.
//!
//! It sends one plain request. The answers 200, 401 (passwords are required), 429 and 503 (too many requests), and the 400 by
//! HTTP/1.0 of an exporter with TLS all show that connections are accepted and requests are read, so neither certificates
//! nor passwords are needed here.

use crate::base::deadline::Deadline;
use crate::config::{DEFAULT_ADDRESS, ListenAddress};
use anyhow::{Context, bail};
use std::fs::DirEntry;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

/// Requests `/-/healthy` from the exporter that listens on `address`, or else from one that runs beside this process or
/// listens on the default address; within `timeout` in total.
///
/// # Errors
/// If there is no response in time, or not that of a healthy exporter.
pub fn run(address: Option<&str>, timeout: Duration) -> anyhow::Result<()> {
    let deadline = Deadline::after(timeout);
    let addresses = match address {
        Some(address) => reachable(address).with_context(|| format!("invalid address {address}"))?,
        None => match listening_beside() {
            found if found.is_empty() => reachable(DEFAULT_ADDRESS)?,
            found => found,
        },
    };
    let mut last = None;
    for to in addresses {
        match ask(to, deadline).with_context(|| format!("{to} is not healthy")) {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| anyhow::anyhow!("{} has no address", address.unwrap_or(DEFAULT_ADDRESS))))
}

/// Where other processes with the executable of this one listen, as `/proc` shows it: whatever flags or files the address
/// comes from, that is where it is. Empty if there are none, or they belong to another user.
fn listening_beside() -> Vec<SocketAddr> {
    let Ok(executable) = std::fs::read_link("/proc/self/exe") else { return Vec::new() };
    let own = std::process::id().to_string();
    let mut sockets = Vec::new();
    for process in entries("/proc").filter(|process| process.file_name() != own.as_str()) {
        if std::fs::read_link(process.path().join("exe")).is_ok_and(|other| other == executable) {
            let files = entries(process.path().join("fd")).filter_map(|file| std::fs::read_link(file.path()).ok());
            sockets.extend(files.filter_map(|file| Some(inode(file.to_str()?)?.to_owned())));
        }
    }
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = std::fs::read_to_string(table).unwrap_or_default();
        let rows = table.lines().filter_map(listener);
        found
            .extend(rows.filter(|(_, inode)| sockets.iter().any(|socket| socket == inode)).map(|(address, _)| address));
    }
    found.into_iter().flat_map(by_loopback).collect()
}

fn entries(directory: impl AsRef<Path>) -> impl Iterator<Item = DirEntry> {
    std::fs::read_dir(directory).into_iter().flatten().flatten()
}

/// The number of a socket, from the link of a file descriptor.
fn inode(link: &str) -> Option<&str> {
    link.strip_prefix("socket:[")?.strip_suffix(']')
}

/// The address and the socket of a row of `/proc/net/tcp` or `/proc/net/tcp6`, if it listens.
fn listener(row: &str) -> Option<(SocketAddr, &str)> {
    const LISTENING: &str = "0A";
    let mut fields = row.split_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    let (state, socket) = (fields.nth(1)?, fields.nth(5)?);
    // Words of 32 bits, each in the byte order of the machine.
    let words = address.as_bytes().chunks(8).map(|word| {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        Some(word.to_ne_bytes())
    });
    let bytes = words.collect::<Option<Vec<_>>>()?.concat();
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    (state == LISTENING).then_some((SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?), socket))
}

/// The addresses at which to reach a listener.
fn reachable(address: &str) -> std::io::Result<Vec<SocketAddr>> {
    Ok(match address.parse().map_err(std::io::Error::other)? {
        ListenAddress::Any(port) => by_loopback((Ipv6Addr::UNSPECIFIED, port).into()),
        ListenAddress::Socket(to) => by_loopback(to),
        ListenAddress::Name(host, port) => (host.as_str(), port).to_socket_addrs()?.collect(),
    })
}

/// A listener on any address is reached by loopback, IPv6 first.
fn by_loopback(address: SocketAddr) -> Vec<SocketAddr> {
    let at = |ip: IpAddr| SocketAddr::new(ip, address.port());
    match address.ip() {
        IpAddr::V6(ip) if ip.is_unspecified() => vec![at(Ipv6Addr::LOCALHOST.into()), at(Ipv4Addr::LOCALHOST.into())],
        IpAddr::V4(ip) if ip.is_unspecified() => vec![at(Ipv4Addr::LOCALHOST.into())],
        _ => vec![address],
    }
}

fn ask(to: SocketAddr, deadline: Deadline) -> anyhow::Result<()> {
    let left = || {
        let left = deadline.left();
        if left.is_zero() { bail!("no response in time") } else { Ok(left) }
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
        [] => bail!("connection closed without a response"),
        other => bail!("unexpected response {:?}", String::from_utf8_lossy(other)),
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
        let outcome = run(Some(&address), Duration::from_secs(10)).map_err(|error| format!("{error:#}"));
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
    fn rows_of_the_kernels_tables_are_read() {
        let row = |address: &str, state: &str| {
            format!(
                "   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000        0 42 1 0 100 0 0 10 0"
            )
        };
        let read = |row: &str| listener(row).map(|(address, socket)| (address.to_string(), socket.to_owned()));
        let found = |address: &str| Some((address.to_owned(), "42".to_owned()));
        assert_eq!(read(&row("0100007F:27C3", "0A")), found("127.0.0.1:10179"));
        assert_eq!(read(&row("00000000000000000000000001000000:0050", "0A")), found("[::1]:80"));
        assert_eq!(read(&row("0100007F:27C3", "01")), None, "a connection");
        assert_eq!(
            read("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"),
            None
        );
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
        assert!(run(Some(&address), Duration::from_millis(400)).is_err());
        peer.join().unwrap();
    }

    #[test]
    fn an_absurd_timeout_is_merely_long() {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(run(Some(&nobody.to_string()), Duration::MAX).is_err());
    }
}
