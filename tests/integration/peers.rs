//! Clients that are no HTTP library: many at once, from many addresses, saying exactly what a test wants them to say.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

/// One scrape that closes its connection.
pub const SCRAPE: &str = "GET /metrics HTTP/1.1\r\nHost: exporter\r\nConnection: close\r\n\r\n";

/// Connections from one address, well below the exporter's limit.
const PER_ADDRESS: usize = 50;

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status line and the headers.
    pub head: String,
    /// What follows them.
    pub body: Vec<u8>,
}

impl Answer {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{self:?}"))
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The page of the snapshot, which follows the live metrics and is the same for all who are given one snapshot.
    pub fn page(&self) -> &str {
        let text = self.text();
        let begins = |mark: &str| text.find(mark).unwrap_or(text.len());
        let page = &text[begins("# TYPE swr_repository_").min(begins("# HELP swr_repository_"))..];
        assert!(!page.contains("swr_scrapes_total"), "the live metrics come first");
        page
    }
}

/// Connects as the `number`th client: each fifty come from another address of the loopback network.
pub async fn connect(to: &str, number: usize) -> TcpStream {
    try_connect(to, number).await.unwrap()
}

/// As [`connect`], where nobody may be listening any more.
pub async fn try_connect(to: &str, number: usize) -> std::io::Result<TcpStream> {
    let to: SocketAddr = to.parse().unwrap();
    let last = u8::try_from(2 + number / PER_ADDRESS).expect("at most 253 addresses");
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
    socket.connect(to).await
}

/// Asks for the metrics and reads nothing, with little room to put it; always from the same address.
pub async fn slow_reader(to: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, 2), 0).into()).unwrap();
    let mut stream = socket.connect(to.parse().unwrap()).await.unwrap();
    stream.write_all(SCRAPE.as_bytes()).await.unwrap();
    stream
}

/// Sends a request and reads until the peer closes.
pub async fn exchange(mut stream: TcpStream, request: &str) -> std::io::Result<Answer> {
    stream.write_all(request.as_bytes()).await?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await?;
    let end = all.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let body = all.split_off(end + 4);
    Ok(Answer { head: String::from_utf8_lossy(&all).into_owned(), body })
}

/// Sends a request and reads one answer, whose length its head tells, so that the connection can stay open.
pub async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> std::io::Result<Answer> {
    stream.write_all(request.as_bytes()).await?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(stream.read_u8().await?.into());
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await?;
    Ok(Answer { head, body })
}

/// So many scrapes at once, each on a connection of its own. Beyond 512 they wait to be let in.
pub async fn scrape_at_once(address: &str, count: usize) -> Vec<Answer> {
    allow_many_files();
    let scrapes: Vec<_> = (0..count)
        .map(|number| {
            let address = address.to_owned();
            tokio::spawn(async move { exchange(connect(&address, number).await, SCRAPE).await })
        })
        .collect();
    let mut answers = Vec::with_capacity(count);
    for scrape in scrapes {
        answers.push(tokio::time::timeout(crate::support::PATIENCE, scrape).await.unwrap().unwrap().unwrap());
    }
    answers
}

/// Raises this process's soft limit of open files as far as it may: a thousand clients need more than usual.
pub fn allow_many_files() {
    let process = std::process::id().to_string();
    let mut limits = std::process::Command::new("prlimit");
    limits.args(["--pid", &process, "--nofile", "--noheadings", "--output", "HARD"]);
    let hard = String::from_utf8(limits.output().expect("prlimit, of util-linux, is installed").stdout).unwrap();
    let raised = format!("--nofile={0}:{0}", hard.trim());
    assert!(std::process::Command::new("prlimit").args(["--pid", &process, &raised]).status().unwrap().success());
}

/// How long requests took that were made one after the other.
pub struct Measured {
    /// Sorted.
    pub times: Vec<Duration>,
    /// How late this machine woke a sleeping task meanwhile: the error of every measured time while others load it.
    pub late: Duration,
}

/// Makes requests, given the number of those before, until there are enough.
pub async fn measured(mut is_enough: impl FnMut(usize) -> bool, mut request: impl AsyncFnMut(usize)) -> Measured {
    let (mut times, mut late) = (Vec::new(), Duration::ZERO);
    while !is_enough(times.len()) {
        let start = Instant::now();
        request(times.len()).await;
        times.push(start.elapsed());
        let start = Instant::now();
        tokio::time::sleep(Duration::from_millis(10)).await;
        late = late.max(start.elapsed().saturating_sub(Duration::from_millis(11)));
    }
    times.sort();
    Measured { times, late }
}

impl Measured {
    /// Asserts that so many of a hundred requests took no longer than this.
    #[allow(clippy::print_stdout, reason = "whoever runs the test may want to know")]
    pub fn are_within(&self, longest: Duration, percent: usize) {
        let (count, late) = (self.times.len(), self.late);
        let slowest = self.times[(count * percent / 100).min(count - 1)];
        println!("{count} requests, {percent} % of them within {slowest:?}, lateness {late:?}");
        assert!(slowest < longest + 2 * late, "{slowest:?}, on a machine that is {late:?} late");
    }
}

/// Waits until the peer closes; what it sends before is thrown away. Says how long it took.
pub async fn closed(stream: &mut TcpStream) -> Duration {
    let start = Instant::now();
    let mut buffer = [0; 4096];
    while let Ok(1..) = stream.read(&mut buffer).await {}
    start.elapsed()
}
