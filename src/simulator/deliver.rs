//! Sends answers, rightly or in one of the wrong ways.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::answer::{Answer, reason};
use super::faults::{Delivery, Framing};
use super::http;
use super::shared::Flight;

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    KeepAlive,
    Close,
}

/// The row that floods are made of.
const FLOOD_ROW: &str =
    r#"{"name":"flood","namespace":"flood","size":1,"num_images":1,"num_download":1,"tags":["latest"]}"#;

/// Sends one answer. The flight ends just before the client can know that the answer is complete, so that a client that
/// asks one thing after another is never counted twice.
pub(super) async fn send(
    stream: &mut TcpStream,
    answer: &Answer,
    delivery: &Delivery,
    wanted: Next,
    flight: Flight,
) -> io::Result<Next> {
    let body = &answer.body;
    let length = Some(body.len() as u64);
    match delivery {
        // The body of a bomb was put in before.
        Delivery::Whole | Delivery::Bomb(_) => {
            write(stream, head(answer, length, wanted), body, flight).await?;
            Ok(wanted)
        }
        Delivery::ThenClose => {
            write(stream, head(answer, length, Next::Close), body, flight).await?;
            close(stream).await
        }
        Delivery::ThenCloseUnannounced => {
            write(stream, head(answer, length, Next::KeepAlive), body, flight).await?;
            close(stream).await
        }
        Delivery::Truncated(sent) => {
            write(stream, head(answer, length, wanted), &body[..body.len().min(*sent)], flight).await?;
            close(stream).await
        }
        Delivery::Cut(kept) => {
            let body = &body[..body.len().min(*kept)];
            write(stream, head(answer, Some(body.len() as u64), wanted), body, flight).await?;
            Ok(wanted)
        }
        Delivery::DeclaredLength(declared) => {
            write(stream, head(answer, Some(*declared), Next::Close), body, flight).await?;
            close(stream).await
        }
        Delivery::Reset => {
            // Closing with a zero linger time is what sends a reset instead of an orderly end.
            stream.set_zero_linger()?;
            Ok(Next::Close)
        }
        Delivery::ResetAfter(sent) => {
            let body = &body[..body.len().min(*sent)];
            write(stream, head(answer, length, wanted), body, flight).await?;
            stream.set_zero_linger()?;
            Ok(Next::Close)
        }
        Delivery::Hang => {
            http::gone(stream).await;
            Ok(Next::Close)
        }
        Delivery::Stall(sent) => {
            stream.write_all(&head(answer, length, wanted)).await?;
            stream.write_all(&body[..body.len().min(*sent)]).await?;
            http::gone(stream).await;
            Ok(Next::Close)
        }
        Delivery::Drip(bytes, pause) => {
            let mut whole = head(answer, length, wanted);
            whole.extend_from_slice(body);
            for part in whole.chunks((*bytes).max(1)) {
                stream.write_all(part).await?;
                tokio::time::sleep(*pause).await;
            }
            Ok(wanted)
        }
        Delivery::Flood(framing, most) => flood(stream, answer, *framing, most.unwrap_or(u64::MAX)).await,
    }
}

/// Compresses a body.
pub(super) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("memory takes every write")
}

async fn write(stream: &mut TcpStream, mut head: Vec<u8>, body: &[u8], flight: Flight) -> io::Result<()> {
    const SMALL: usize = 16 * 1024;
    if body.len() < SMALL {
        head.extend_from_slice(body);
        drop(flight);
        return stream.write_all(&head).await;
    }
    let (most, last) = body.split_at(body.len() - 1);
    stream.write_all(&head).await?;
    stream.write_all(most).await?;
    drop(flight);
    stream.write_all(last).await
}

async fn close(stream: &mut TcpStream) -> io::Result<Next> {
    stream.shutdown().await?;
    Ok(Next::Close)
}

fn head(answer: &Answer, length: Option<u64>, next: Next) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(length) = length {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    if next == Next::Close {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

async fn flood(stream: &mut TcpStream, answer: &Answer, framing: Framing, most: u64) -> io::Result<Next> {
    let mut answer = answer.clone();
    let length = match framing {
        Framing::UntilClose => None,
        Framing::Length(length) => Some(length),
        Framing::Chunked => {
            answer.set("Transfer-Encoding", "chunked");
            None
        }
    };
    stream.write_all(&head(&answer, length, Next::Close)).await?;
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

/// Much space and an empty list, compressed. Never unpacked in memory: the encoder is fed one block again and again.
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
