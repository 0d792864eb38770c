//! Sends responses, correctly or with a transport fault.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::faults::{Delivery, Framing};
use super::http;
use super::journal::InFlight;
use super::response::{Response, reason};

/// Whether the connection stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterResponse {
    KeepAlive,
    Close,
}

/// The row that floods repeat.
const FLOOD_ROW: &str =
    r#"{"name":"flood","namespace":"flood","size":1,"num_images":1,"num_download":1,"tags":["latest"]}"#;

/// Sends a response. `in_flight` ends just before the last byte is sent, so that a client that
/// sends one request after another is never counted twice.
pub(super) async fn send(
    stream: &mut TcpStream,
    response: &Response,
    delivery: &Delivery,
    wanted: AfterResponse,
    in_flight: InFlight,
) -> io::Result<AfterResponse> {
    let body = &response.body;
    let length = Some(body.len() as u64);
    match delivery {
        // A bomb's body is already in the response.
        Delivery::Whole | Delivery::Bomb(_) => {
            write(stream, head(response, length, wanted), body, in_flight).await?;
            Ok(wanted)
        }
        Delivery::ThenClose => {
            write(stream, head(response, length, AfterResponse::Close), body, in_flight).await?;
            close(stream).await
        }
        Delivery::ThenCloseUnannounced => {
            write(stream, head(response, length, AfterResponse::KeepAlive), body, in_flight).await?;
            close(stream).await
        }
        Delivery::Truncated(sent) => {
            write(stream, head(response, length, wanted), &body[..body.len().min(*sent)], in_flight).await?;
            close(stream).await
        }
        Delivery::Cut(kept) => {
            let body = &body[..body.len().min(*kept)];
            write(stream, head(response, Some(body.len() as u64), wanted), body, in_flight).await?;
            Ok(wanted)
        }
        Delivery::DeclaredLength(declared) => {
            write(stream, head(response, Some(*declared), AfterResponse::Close), body, in_flight).await?;
            close(stream).await
        }
        Delivery::Reset => {
            // Closing with zero linger sends a reset.
            stream.set_zero_linger()?;
            Ok(AfterResponse::Close)
        }
        Delivery::ResetAfter(sent) => {
            let body = &body[..body.len().min(*sent)];
            write(stream, head(response, length, wanted), body, in_flight).await?;
            stream.set_zero_linger()?;
            Ok(AfterResponse::Close)
        }
        Delivery::Hang => {
            http::gone(stream).await;
            Ok(AfterResponse::Close)
        }
        Delivery::Stall(sent) => {
            stream.write_all(&head(response, length, wanted)).await?;
            stream.write_all(&body[..body.len().min(*sent)]).await?;
            http::gone(stream).await;
            Ok(AfterResponse::Close)
        }
        Delivery::Drip(bytes, pause) => {
            let mut whole = head(response, length, wanted);
            whole.extend_from_slice(body);
            for part in whole.chunks((*bytes).max(1)) {
                stream.write_all(part).await?;
                tokio::time::sleep(*pause).await;
            }
            Ok(wanted)
        }
        Delivery::Flood(framing, most) => flood(stream, response, *framing, most.unwrap_or(u64::MAX)).await,
    }
}

/// Compresses a body.
pub(super) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("memory takes every write")
}

async fn write(stream: &mut TcpStream, mut head: Vec<u8>, body: &[u8], in_flight: InFlight) -> io::Result<()> {
    const SMALL: usize = 16 * 1024;
    if body.len() < SMALL {
        head.extend_from_slice(body);
        drop(in_flight);
        return stream.write_all(&head).await;
    }
    let (most, last) = body.split_at(body.len() - 1);
    stream.write_all(&head).await?;
    stream.write_all(most).await?;
    drop(in_flight);
    stream.write_all(last).await
}

async fn close(stream: &mut TcpStream) -> io::Result<AfterResponse> {
    stream.shutdown().await?;
    Ok(AfterResponse::Close)
}

fn head(response: &Response, length: Option<u64>, next: AfterResponse) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(length) = length {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    if next == AfterResponse::Close {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

async fn flood(stream: &mut TcpStream, response: &Response, framing: Framing, most: u64) -> io::Result<AfterResponse> {
    let mut response = response.clone();
    let length = match framing {
        Framing::UntilClose => None,
        Framing::Length(length) => Some(length),
        Framing::Chunked => {
            response.set("Transfer-Encoding", "chunked");
            None
        }
    };
    stream.write_all(&head(&response, length, AfterResponse::Close)).await?;
    let rows = format!("{FLOOD_ROW},").repeat(600);
    let mut sent = 0;
    send_part(stream, framing, b"[").await?;
    while sent < most {
        send_part(stream, framing, rows.as_bytes()).await?;
        sent += rows.len() as u64;
    }
    send_part(stream, framing, FLOOD_ROW.as_bytes()).await?;
    send_part(stream, framing, b"]").await?;
    if framing == Framing::Chunked {
        stream.write_all(b"0\r\n\r\n").await?;
    }
    close(stream).await
}

async fn send_part(stream: &mut TcpStream, framing: Framing, part: &[u8]) -> io::Result<()> {
    if framing == Framing::Chunked {
        stream.write_all(format!("{:x}\r\n", part.len()).as_bytes()).await?;
        stream.write_all(part).await?;
        return stream.write_all(b"\r\n").await;
    }
    stream.write_all(part).await
}

/// A compression bomb: spaces and an empty list. The encoder is fed one block repeatedly, so memory stays small.
pub(super) fn bomb(bytes: u64) -> Vec<u8> {
    let block = [b' '; 64 * 1024];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut left = bytes.saturating_sub(2);
    while left > 0 {
        let now = left.min(block.len() as u64);
        encoder.write_all(&block[..usize::try_from(now).unwrap_or(block.len())]).expect("memory takes every write");
        left -= now;
    }
    encoder.write_all(b"[]").and_then(|()| encoder.finish()).expect("memory takes every write")
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use tokio::io::AsyncReadExt;

    use super::super::test_client::{self, Reply, list, send, until};
    use super::super::{Action, DEMO_TOKEN, Options, Rule, Running, Simulator};
    use super::*;

    const TARGET: &str = "/v2/manage/repos?offset=0&limit=10";

    async fn start() -> Running {
        Simulator::start(Options::default()).await.unwrap()
    }

    /// Sends a request with keep-alive, so that reading ends only when the server closes.
    async fn deliver(running: &Running, delivery: Delivery) -> Reply {
        running.handle.fault(Rule::once(Action::Deliver(delivery)));
        let mut stream = send(running, "GET", TARGET, &[("X-Auth-Token", DEMO_TOKEN)], "", "keep-alive").await;
        let mut raw = Vec::new();
        let error = stream.read_to_end(&mut raw).await.err().map(|error| error.kind());
        test_client::parse(&raw, error)
    }

    #[tokio::test]
    async fn answers_can_end_in_every_wrong_way() {
        let running = start().await;
        let whole = list(&running, "offset=0&limit=10").await;
        let length = whole.body.len();
        let full = length.to_string();
        for (delivery, sent, declared, connection) in [
            (Delivery::ThenClose, length, full.as_str(), Some("close")),
            (Delivery::ThenCloseUnannounced, length, &full, None),
            (Delivery::Truncated(10), 10, &full, None),
            (Delivery::Truncated(usize::MAX), length, &full, None),
            (Delivery::DeclaredLength(3), length, "3", Some("close")),
            (Delivery::DeclaredLength(u64::MAX), length, "18446744073709551615", Some("close")),
        ] {
            let name = format!("{delivery:?}");
            let reply = deliver(&running, delivery).await;
            assert_eq!((reply.status, reply.error), (200, None), "{name}");
            assert_eq!(reply.body, whole.body[..sent], "{name}");
            assert_eq!((reply.header("content-length"), reply.header("connection")), (Some(declared), connection));
        }
        for delivery in [Delivery::Reset, Delivery::ResetAfter(10)] {
            let reply = deliver(&running, delivery).await;
            assert_eq!(reply.error, Some(io::ErrorKind::ConnectionReset));
        }
        assert_eq!(running.handle.requests()[7].status, None, "nothing was sent before the reset");
    }

    #[tokio::test]
    async fn a_cut_body_is_good_http_and_bad_json() {
        let running = start().await;
        running.handle.fault(Rule::once(Action::Deliver(Delivery::Cut(10))));
        let reply = list(&running, "").await;
        assert_eq!((reply.body.len(), reply.header("content-length")), (10, Some("10")));
    }

    #[tokio::test]
    async fn a_hanging_or_stalling_answer_ends_when_the_client_goes() {
        let running = start().await;
        for delivery in [Delivery::Hang, Delivery::Stall(5)] {
            running.handle.clear_journal();
            running.handle.fault(Rule::once(Action::Deliver(delivery.clone())));
            let mut stream = send(&running, "GET", TARGET, &[("X-Auth-Token", DEMO_TOKEN)], "", "keep-alive").await;
            if delivery == Delivery::Hang {
                until("the request is there", || !running.handle.requests().is_empty()).await;
            } else {
                let mut seen = Vec::new();
                while !seen.windows(9).any(|window| window == b"\r\n\r\n[{\"na") {
                    assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
                }
                assert!(seen.ends_with(b"[{\"na"), "five bytes of the body and no more");
            }
            assert_eq!(running.handle.in_flight(), 1);
            drop(stream);
            until("the client's departure is noticed", || running.handle.in_flight() == 0).await;
        }
    }

    #[tokio::test]
    async fn dripping_takes_time_and_is_complete() {
        let running = start().await;
        let whole = list(&running, "offset=0&limit=10").await;
        running.handle.fault(Rule::once(Action::Deliver(Delivery::Drip(500, Duration::from_millis(1)))));
        let before = tokio::time::Instant::now();
        assert_eq!(list(&running, "offset=0&limit=10").await.json(), whole.json());
        assert!(before.elapsed() >= Duration::from_millis(whole.body.len() as u64 / 500));
    }

    #[tokio::test]
    async fn floods_have_three_framings_and_perhaps_no_end() {
        let running = start().await;
        let closed = deliver(&running, Delivery::Flood(Framing::UntilClose, Some(1_000_000))).await;
        assert_eq!((closed.header("content-length"), closed.header("transfer-encoding")), (None, None));
        assert!(closed.column("name").len() > 10_000);
        let lying = deliver(&running, Delivery::Flood(Framing::Length(10), Some(100_000))).await;
        assert!(lying.header("content-length") == Some("10") && lying.body.len() > 100_000);
        let chunked = deliver(&running, Delivery::Flood(Framing::Chunked, Some(1))).await;
        assert!(chunked.body.starts_with(b"1\r\n[\r\n") && chunked.body.ends_with(b"1\r\n]\r\n0\r\n\r\n"));
        running.handle.fault(Rule::once(Action::Deliver(Delivery::Flood(Framing::UntilClose, None))));
        let mut stream = send(&running, "GET", TARGET, &[], "", "close").await;
        let mut some = vec![0; 8 << 20];
        stream.read_exact(&mut some).await.unwrap();
        drop(stream);
        until("the flood stops", || running.handle.in_flight() == 0).await;
    }

    #[tokio::test]
    async fn a_bomb_is_small_on_the_wire_and_legal() {
        let running = start().await;
        for _ in 0..2 {
            running.handle.fault(Rule::once(Action::Deliver(Delivery::Bomb(64 << 20))));
            let reply = list(&running, "").await;
            assert_eq!(reply.header("content-encoding"), Some("gzip"));
            assert!(reply.body.len() < 512 << 10, "{}", reply.body.len());
            let mut unpacked = flate2::read::GzDecoder::new(&*reply.body);
            let mut block = vec![0; 1 << 20];
            let (mut total, mut last) = (0, 0);
            loop {
                let count = unpacked.read(&mut block).unwrap();
                if count == 0 {
                    break;
                }
                (total, last) = (total + count, block[count - 1]);
            }
            assert_eq!((total, last), (64 << 20, b']'));
        }
    }

    #[tokio::test]
    async fn bodies_are_compressed_for_those_who_accept_it() {
        let running = start().await;
        running.handle.configure(|options| options.compression = super::super::Compression::Gzip);
        let headers = [("X-Auth-Token", DEMO_TOKEN), ("Accept-Encoding", "gzip, br")];
        let packed = test_client::ask(&running, "GET", TARGET, &headers, "").await;
        let plain = list(&running, "offset=0&limit=10").await;
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&*packed.body).read_to_end(&mut unpacked).unwrap();
        assert_eq!((packed.header("content-encoding"), plain.header("content-encoding")), (Some("gzip"), None));
        assert_eq!(unpacked, plain.body);
    }
}
