//! The server over real sockets: raw bytes in, raw bytes out. Limits are small, so that real time suffices.

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

/// Far longer than any step of a test.
const PATIENCE: Duration = Duration::from_secs(20);

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("a test step takes too long")
}

/// Waits for a state.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// The settings of a test server.
struct Plan {
    options: Options,
    live: LiveMetrics,
    /// The number of accounts.
    accounts: usize,
    /// Replaces the scrape that passes through the gate.
    scrape: Option<Scrape>,
    /// Replaces the scrape of the second account.
    second_scrape: Option<Scrape>,
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
            second_scrape: None,
            security: super::security::Options::default(),
        }
    }
}

/// A running server; scrapes of its accounts pass through a gate.
struct Server {
    address: SocketAddr,
    metrics: Metrics,
    /// Scrapes that have begun.
    scrapes: Arc<AtomicUsize>,
    /// The timeout of the latest scrape.
    timeout: watch::Receiver<Duration>,
    /// Whether scrapes complete.
    gate: watch::Sender<bool>,
    page: Arc<Exposition>,
    security: watch::Sender<Arc<super::security::Security>>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(plan: Plan) -> Self {
        // Accepted sockets inherit the small buffer, so a peer that does not read soon blocks the server.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(16 * 1024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1024).unwrap();
        let address = listener.local_addr().unwrap();

        let page = Arc::new(Exposition::build(Arc::new(snapshot()), &crate::exposition::Options::default(), None));
        let (gate, open) = watch::channel(true);
        let (asked, timeout) = watch::channel(Duration::ZERO);
        let scrapes = Arc::new(AtomicUsize::new(0));
        let scrape: Scrape = {
            let (page, scrapes) = (Arc::clone(&page), Arc::clone(&scrapes));
            Arc::new(move |deadline: Deadline| {
                scrapes.fetch_add(1, Ordering::SeqCst);
                asked.send_replace(deadline.left());
                let (page, mut open) = (Arc::clone(&page), open.clone());
                Box::pin(async move {
                    let _ = deadline.bound(open.wait_for(|open| *open)).await;
                    Some(page)
                })
            })
        };
        let scrape = plan.scrape.unwrap_or(scrape);
        let account = |number| ServedAccount {
            name: format!("account-{number}"),
            meta_labels: vec![("__meta_swr_region", "cn-north-4".to_owned())],
            live: Arc::new(|_| Vec::new()),
            scrape: plan.second_scrape.clone().filter(|_| number == 1).unwrap_or_else(|| Arc::clone(&scrape)),
        };
        let metrics = Metrics::new(&prometheus::Registry::new());
        let site = Arc::new(Site {
            accounts: (0..plan.accounts).map(account).collect(),
            live: plan.live,
            landing: Arc::new(|| HtmlPage {
                body: "<h1>landing</h1>".to_owned(),
                security_policy: "default-src 'none'",
            }),
            settings: "accounts:\n".to_owned(),
            reload: Arc::new(|| Box::pin(async { Err("1 problem\n".to_owned()) })),
        });
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let (security, current) = watch::channel(Arc::new(super::security::Security::new(plan.security).unwrap()));
        let sites = watch::channel(site).1;
        let task = tokio::spawn(serve(vec![listener], sites, plan.options, current, metrics.clone(), shutdown));
        Self { address, metrics, scrapes, timeout, gate, page, security, stop: Some(stop), task }
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

    /// A connection on which a GET was sent.
    async fn request(&self, path: &str) -> Client {
        let mut client = self.connect().await;
        client.get(path).await;
        client
    }

    async fn get(&self, path: &str) -> Answer {
        self.get_with(path, "").await
    }

    /// Uses a connection of its own; `headers` are whole lines.
    async fn get_with(&self, path: &str, headers: &str) -> Answer {
        let mut client = self.connect().await;
        client.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n")).await;
        client.answer().await
    }

    fn scrapes(&self) -> usize {
        self.scrapes.load(Ordering::SeqCst)
    }
}

fn snapshot() -> Snapshot {
    let row = |number| Repository {
        name: format!("app-{number}").into(),
        size: Some(1),
        ..Repository::unknown("team".into())
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

    async fn get(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
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
