//! The exporter and its simulated upstream as processes of their own, and what the kernel says of them.
#![allow(dead_code, reason = "each benchmark uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// A process that is stopped on drop.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The simulator with this many repositories, without growth.
pub(crate) fn simulator(repositories: usize) -> Process {
    simulator_at(repositories, 0.0)
}

/// The simulator at a speed in simulated seconds per second.
pub(crate) fn simulator_at(repositories: usize, speed: f64) -> Process {
    let mut child = Command::new(env!("CARGO_BIN_EXE_swr-exporter"))
        .args(["simulate", "--steady", "--namespaces", "200", "--listen-address", "127.0.0.1:0"])
        .args(["--speed", &speed.to_string()])
        .args(["--repositories", &repositories.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the simulator starts");
    let address = find(child.stdout.take().expect("it is piped"), "http://");
    Process { child, address }
}

/// An exporter of that simulator.
pub(crate) fn exporter(upstream: &Process, flags: &[&str]) -> Process {
    exporter_of(env!("CARGO_BIN_EXE_swr-exporter"), &format!("http://{}", upstream.address), flags)
}

/// An exporter of an upstream, by an executable that may be of another version.
pub(crate) fn exporter_of(executable: &str, upstream: &str, flags: &[&str]) -> Process {
    let mut child = Command::new(executable)
        .env("SWR_EXPORTER_ACCESS_KEY", swr_simulator::DEMO_ACCESS_KEY)
        .env("SWR_EXPORTER_SECRET_KEY", swr_simulator::DEMO_SECRET_KEY)
        .args(["--swr.endpoint", upstream])
        .args(["--web.listen-address", "127.0.0.1:0", "--swr.rate-limit", "10000"])
        .args(flags)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the exporter starts");
    let address = find(child.stderr.take().expect("it is piped"), "address=");
    Process { child, address }
}

/// The text after `mark` on the first line that has it; the rest of the output is discarded.
fn find(output: impl Read + Send + 'static, mark: &str) -> String {
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let line = lines.by_ref().find(|line| line.contains(mark)).expect("it says where it listens");
    std::thread::spawn(move || lines.for_each(drop));
    let (_, after) = line.split_once(mark).expect("it was found there");
    after.split_whitespace().next().expect("an address").to_owned()
}

impl Process {
    /// Processor seconds so far, user and system.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = self.proc("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("after the name").split_whitespace().collect();
        let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().expect("a number")).sum();
        ticks / 100.0
    }

    /// A line of /proc/PID/status in megabytes: VmHWM (peak) or VmRSS (now).
    pub(crate) fn megabytes(&self, key: &str) -> f64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with(key)).expect("a line of the status");
        line.split_whitespace().nth(1).expect("a number").parse::<f64>().expect("a number") * 1024.0 / 1e6
    }

    /// Open file descriptors.
    pub(crate) fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("the process lives").count()
    }

    /// Threads.
    pub(crate) fn threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the process lives").count()
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("the process lives")
    }
}

/// A keep-alive connection that discards response bodies.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("TCP");
        Self { stream, buffer: vec![0; 256 << 10] }
    }

    /// Sends a GET and passes the body to `take` in chunks; returns its size.
    pub(crate) fn get(&mut self, path: &str, headers: &str, mut take: impl FnMut(&[u8])) -> usize {
        write!(
            self.stream,
            "GET {path} HTTP/1.1\r\nHost: bench\r\nX-Prometheus-Scrape-Timeout-Seconds: 300\r\n{headers}\r\n"
        )
        .expect("it listens");
        let mut filled = 0;
        let head = loop {
            filled += self.stream.read(&mut self.buffer[filled..]).expect("an answer");
            assert!(filled > 0, "it hung up");
            if let Some(end) = self.buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        assert!(text.starts_with("http/1.1 200"), "{text}");
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")).expect("a length");
        let length: usize = length.trim().parse().expect("a number");
        take(&self.buffer[head..filled]);
        let mut left = length - (filled - head);
        while left > 0 {
            let read = self.stream.read(&mut self.buffer).expect("the rest");
            assert!(read > 0, "it hung up");
            take(&self.buffer[..read]);
            left -= read;
        }
        length
    }
}

/// The median, or the larger of the two in the middle.
pub(crate) fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|one, other| one.partial_cmp(other).expect("measured values are numbers"));
    sorted[sorted.len() / 2]
}
