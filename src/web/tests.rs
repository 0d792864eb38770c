//! The web room over real sockets: raw bytes in, raw bytes out.
//!
//! Limits are made small so that real time suffices; whoever waits, waits for a state. The numbers in the names are
//! those of the reliability cases (S4 slow heads, S5 silent peers, S6 slow readers, S11 to S16).

mod deadlines;
mod lifecycle;
mod limits;
mod scraping;
mod security;
mod smuggling;

use super::*;
use crate::model::{Repository, Snapshot, Timestamp};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// Far more than anything here takes.
const LONG: Duration = Duration::from_secs(20);

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future).await.expect("it should long be over")
}

/// Waits until something is so.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, waited).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// What a test may choose.
struct Plan {
    options: Options,
    live: Live,
    /// How many of the one account.
    accounts: usize,
    /// Instead of the scrape that passes through the gate.
    scrape: Option<ScrapePage>,
    security: super::security::Options,
}

impl Default for Plan {
    fn default() -> Self {
        let mut options = Options::default();
        options.limits.connections_per_address = 512;
        Self {
            options,
            live: Arc::new(|_| b"live 1\n".to_vec()),
            accounts: 1,
            scrape: None,
            security: super::security::Options::default(),
        }
    }
}

/// A running server with one account, whose scrapes pass through a gate.
struct Server {
    address: SocketAddr,
    tally: Arc<Tally>,
    /// Scrapes begun.
    scrapes: Arc<AtomicUsize>,
    /// How long the latest scrape might have waited.
    patience: watch::Receiver<Duration>,
    /// Whether scrapes go on.
    gate: watch::Sender<bool>,
    page: Arc<Exposition>,
    security: watch::Sender<Arc<super::security::Security>>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(plan: Plan) -> Self {
        // Small buffers, inherited by what is accepted: then a peer that does not read is soon felt.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(16 * 1024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1024).unwrap();
        let address = listener.local_addr().unwrap();

        let page = Arc::new(Exposition::build(Arc::new(snapshot()), &crate::exposition::Options::default(), None));
        let (gate, open) = watch::channel(true);
        let (asked, patience) = watch::channel(Duration::ZERO);
        let scrapes = Arc::new(AtomicUsize::new(0));
        let scrape: ScrapePage = {
            let (page, scrapes) = (Arc::clone(&page), Arc::clone(&scrapes));
            Arc::new(move |deadline: Deadline| {
                scrapes.fetch_add(1, Ordering::SeqCst);
                asked.send_replace(deadline.left());
                let (page, mut open) = (Arc::clone(&page), open.clone());
                Box::pin(async move {
                    let _ = deadline.bound(open.wait_for(|open| *open)).await;
                    Scrape { page: Some(page) }
                })
            })
        };
        let scrape = plan.scrape.unwrap_or(scrape);
        let state = AccountState {
            latest: Latest::Complete,
            served: None,
            next: Next::AtNextScrape,
            trouble: None,
            calls: Calls::default(),
        };
        let account = |number| Account {
            name: format!("account-{number}"),
            about: vec![("__meta_swr_region", "cn-north-4".to_owned())],
            live: Arc::new(|_| Vec::new()),
            scrape: Arc::clone(&scrape),
            state: {
                Arc::new({
                    let state = state.clone();
                    move || state.clone()
                })
            },
        };
        let tally = Arc::new(Tally::default());
        let site = Arc::new(Site {
            version: "0.0.0".to_owned(),
            accounts: (0..plan.accounts).map(account).collect(),
            live: plan.live,
            settings: "accounts:\n".to_owned(),
            reload: Arc::new(|| Box::pin(async { Err("1 problem\n".to_owned()) })),
            tally: Arc::clone(&tally),
        });
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let (security, in_force) = watch::channel(Arc::new(super::security::Security::new(plan.security).unwrap()));
        let task = tokio::spawn(serve(vec![listener], watch::channel(site).1, plan.options, in_force, shutdown));
        Self { address, tally, scrapes, patience, gate, page, security, stop: Some(stop), task }
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// A peer with a small receive buffer.
    async fn connect_narrow(&self) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Client(socket.connect(self.address).await.unwrap())
    }

    async fn get(&self, path: &str) -> Answer {
        self.get_with(path, "").await
    }

    /// On a connection of its own; `headers` are whole lines.
    async fn get_with(&self, path: &str, headers: &str) -> Answer {
        let mut client = self.connect().await;
        client.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n")).await;
        client.answer().await
    }

    fn scrapes(&self) -> usize {
        self.scrapes.load(Ordering::SeqCst)
    }
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn snapshot() -> Snapshot {
    let row = |number| Repository {
        namespace: "team".into(),
        name: format!("app-{number}").into(),
        category: None,
        visibility: None,
        size: Some(1),
        images: None,
        downloads: None,
        created: None,
        updated: None,
    };
    Snapshot::new(Timestamp(0), (0..100).map(row).collect()).0
}

struct Client(TcpStream);

/// A parsed answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.0.write_all(bytes.as_ref())).await.unwrap();
    }

    async fn head(&mut self) -> (u16, String) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(self.0.read_u8()).await.expect("an answer"));
        }
        let head = String::from_utf8(head).unwrap();
        (head[9..12].parse().unwrap(), head)
    }

    async fn answer(&mut self) -> Answer {
        let (status, head) = self.head().await;
        let mut answer = Answer { status, head, body: Vec::new() };
        let length = answer.header("content-length").expect("a length").parse().unwrap();
        answer.body.resize(length, 0);
        soon(self.0.read_exact(&mut answer.body)).await.unwrap();
        answer
    }

    /// Everything until the connection ends, in whichever way.
    async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = soon(self.0.read_to_end(&mut rest)).await;
        rest
    }
}
