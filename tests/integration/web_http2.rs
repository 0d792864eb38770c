//! Abuse of HTTP/2, with hand-made frames.

use crate::peers::{SCRAPE, measured};
use crate::support::{Exporter, PATIENCE, simulator};
use crate::web_support::{Folder, https};
use crate::web_tls::connect;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// GET https://a/metrics in HPACK: three entries of the static table, and a path and an authority as literals.
const GET: &[u8] = b"\x82\x87\x04\x08/metrics\x01\x01a";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A connection after the HTTP/2 preface.
struct Peer {
    reader: ReadHalf<TlsStream<TcpStream>>,
    writer: WriteHalf<TlsStream<TcpStream>>,
}

impl Peer {
    /// `settings`: pairs of identifier and value.
    async fn connect(exporter: &Exporter, folder: &Folder, settings: &[(u16, u32)]) -> Self {
        let mut tls = folder.tls(None);
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let (reader, mut writer) = tokio::io::split(connect(exporter, tls).await.unwrap());
        let settings: Vec<u8> =
            settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        writer.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        writer.write_all(&frame(SETTINGS, 0, 0, &settings)).await.unwrap();
        writer.flush().await.unwrap();
        Self { reader, writer }
    }

    /// Sends frames at a rate until the exporter sends GOAWAY or closes. Returns how long that took.
    async fn flood(mut self, a_second: u32, mut next: impl FnMut(u32) -> Vec<u8>) -> Duration {
        let start = Instant::now();
        let writing = async {
            let mut pace = tokio::time::interval(Duration::from_millis(10));
            for tick in 0.. {
                pace.tick().await;
                let each = a_second / 100;
                let burst: Vec<u8> = (tick * each..(tick + 1) * each).flat_map(&mut next).collect();
                if self.writer.write_all(&burst).await.is_err() || self.writer.flush().await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let over = async { while next_frame(&mut self.reader).await.is_some_and(|(kind, ..)| kind != GOAWAY) {} };
        tokio::select! {
            () = writing => {}
            over = tokio::time::timeout(PATIENCE, over) => over.expect("it has had enough at some time"),
        }
        start.elapsed()
    }
}

/// Reads a frame: type, flags and payload; `None` when the connection has ended.
async fn next_frame(reader: &mut ReadHalf<TlsStream<TcpStream>>) -> Option<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    reader.read_exact(&mut head).await.ok()?;
    let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
    reader.read_exact(&mut payload).await.ok()?;
    Some((head[3], head[4], payload))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_end_within_a_second_and_do_not_delay_scrapes() {
    let (folder, upstream) = (Folder::new(), simulator(1000, 4).await);
    let exporter = folder.exporter_with("tls.good", &upstream.url()).await;
    let client = folder.client(None);
    for _ in 0..20 {
        assert_eq!(client.get(https(&exporter, "/metrics")).send().await.unwrap().status(), 200);
    }
    let (before, stop) = (exporter.resident_bytes(), AtomicBool::new(false));
    let scrape = async |_| assert_eq!(client.get(https(&exporter, "/metrics")).send().await.unwrap().status(), 200);

    let connect = async || Peer::connect(&exporter, &folder, &[]).await;
    let request = |number: u32| frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, GET);
    let cancel = |number: u32| frame(RST_STREAM, 0, 2 * number + 1, &8u32.to_be_bytes());
    let floods = async {
        let mut took = Vec::new();
        let resets = connect().await.flood(10_000, |number| [request(number), cancel(number)].concat());
        took.push(("requests that are called off", resets.await));
        // One after the other, so that each request is being answered when it is reset.
        let slowly = connect()
            .await
            .flood(1000, |number| if number % 2 == 0 { request(number / 2) } else { cancel(number / 2) });
        took.push(("requests that are called off later", slowly.await));
        took.push(("pings", connect().await.flood(10_000, |_| frame(PING, 0, 0, &[0; 8])).await));
        took.push(("settings", connect().await.flood(10_000, |_| frame(SETTINGS, 0, 0, &[])).await));
        let windows = connect().await.flood(10_000, |_| frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes()));
        took.push(("window updates", windows.await));
        // A request with a body of nothing, again and again.
        let empty = connect().await.flood(10_000, |number| match number {
            0 => frame(HEADERS, END_HEADERS, 1, GET),
            _ => frame(DATA, 0, 1, &[]),
        });
        took.push(("empty data", empty.await));
        // A head that never ends: 10,000 frames of 100 bytes are a megabyte.
        let endless = connect().await.flood(10_000, |number| match number {
            0 => frame(HEADERS, END_STREAM, 1, GET),
            _ => frame(CONTINUATION, 0, 1, &[b"\x00\x01x\x5f".as_slice(), &[b'y'; 95]].concat()),
        });
        took.push(("a head without end", endless.await));

        stop.store(true, Ordering::Relaxed);
        took
    };
    let (took, watched) = tokio::join!(floods, measured(|_| stop.load(Ordering::Relaxed), scrape));
    let growth = exporter.resident_bytes().saturating_sub(before);
    println!("{took:?}\n{growth} bytes more");
    for (what, took) in took {
        assert!(took < Duration::from_secs(1) + 2 * watched.late, "{what}: {took:?}");
    }
    assert!(growth < 20 << 20, "{growth}");
    watched.are_within(Duration::from_millis(100), 99);
}

/// Requests the metrics with a window of `window` bytes, adds `more` every quarter of a second, and answers pings. Returns
/// the bytes received, whether the response was complete, and how long that took.
async fn read_slowly(
    exporter: &Exporter,
    folder: &Folder,
    window: u32,
    more: u32,
    longest: Duration,
) -> (usize, bool, Duration) {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    let Peer { mut reader, mut writer } = Peer::connect(exporter, folder, &[(INITIAL_WINDOW_SIZE, window)]).await;
    writer.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, GET)).await.unwrap();
    let start = Instant::now();
    let (pong, mut pongs) = tokio::sync::mpsc::unbounded_channel();
    let (mut taken, mut ended) = (0, false);
    let reading = async {
        while let Some((kind, flags, payload)) = next_frame(&mut reader).await {
            match kind {
                DATA => taken += payload.len(),
                PING if flags == 0 => pong.send(frame(PING, 1, 0, &payload)).unwrap(),
                GOAWAY => return,
                _ => {}
            }
            ended = kind == DATA && flags & END_STREAM != 0;
            if ended {
                return;
            }
        }
    };
    let writing = async {
        let mut pace = tokio::time::interval(Duration::from_millis(250));
        loop {
            let bytes = tokio::select! {
                _ = pace.tick() => {
                    let more = more.to_be_bytes();
                    [frame(WINDOW_UPDATE, 0, 0, &more), frame(WINDOW_UPDATE, 0, 1, &more)].concat()
                }
                Some(pong) = pongs.recv() => pong,
            };
            if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! { () = reading => {}, () = writing => {}, () = tokio::time::sleep(longest) => {} }
    (taken, ended, start.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_without_window_is_closed_and_a_slow_one_is_not() {
    let (folder, upstream) = (Folder::new(), simulator(4000, 4).await);
    let exporter = folder.exporter_with("tls.good", &upstream.url()).await;
    // A byte of window every quarter of a second keeps it open in name only.
    let stalled = read_slowly(&exporter, &folder, 0, 1, 2 * PATIENCE);
    let patient = read_slowly(&exporter, &folder, 65_535, 4096, Duration::from_secs(36));
    let ((dripped, _, stalled), (taken, ended, _)) = tokio::join!(stalled, patient);
    println!("stalled for {stalled:?} and {dripped} bytes; {taken} bytes taken slowly");
    assert!((29..35).contains(&stalled.as_secs()) && dripped < 1000, "{stalled:?}");
    assert!(ended || taken > 500_000, "{taken}");
    let mut plain = connect(&exporter, folder.tls(None)).await.unwrap();
    plain.write_all(SCRAPE.as_bytes()).await.unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("swr_exporter_connections_closed_total{reason=\"overdue\"} 1\n"));
}
