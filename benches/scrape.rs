//! A scrape of 300,000 series over a socket, against servers that only send the same bytes: nginx from a file, if it is
//! installed, and a loop that writes from memory. All take turns in one run.
//!
//! `cargo bench --bench scrape`
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark measures real time and prints it")]

mod process;

use process::{Client, exporter, median, simulator};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

const REPOSITORIES: usize = 100_000;
const ROUNDS: usize = 101;
const SCRAPERS: usize = 50;
const GZIP: &str = "Accept-Encoding: gzip\r\n";

fn main() {
    let upstream = simulator(REPOSITORIES);
    let flags = [
        "--collector.repositories.metrics",
        "size,images,downloads",
        "--cache.window",
        "1h",
        "--cache.max-age",
        "2h",
        "--web.max-requests",
        "200",
    ];
    let exporter = exporter(&upstream, &flags);
    let (mut gzip, mut plain) = (Vec::new(), Vec::new());
    let mut client = Client::connect(&exporter.address);
    client.get("/metrics", GZIP, |piece| gzip.extend_from_slice(piece));
    client.get("/metrics", "", |piece| plain.extend_from_slice(piece));
    println!("a page of {} bytes, {} as gzip", plain.len(), gzip.len());

    let folder = std::env::temp_dir().join(format!("swr-exporter-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    std::fs::write(folder.join("gzip"), &gzip).expect("room");
    std::fs::write(folder.join("plain"), &plain).expect("room");
    let nginx = Nginx::start(&folder);
    let (bare_gzip, bare_plain) = (bare(&gzip), bare(&plain));
    if nginx.is_none() {
        println!("nginx is not installed: compared with the bare loop alone");
    }

    for (name, headers, bare) in [("gzip", GZIP, &bare_gzip), ("plain", "", &bare_plain)] {
        let mut servers = vec![("exporter", exporter.address.clone(), "/metrics".to_owned(), headers)];
        servers.extend(nginx.as_ref().map(|nginx| ("nginx", nginx.address.clone(), format!("/{name}"), "")));
        servers.push(("bare loop", bare.clone(), "/".to_owned(), ""));
        alone(name, &servers);
        crowd(name, &servers);
    }
    println!("exporter: peak {:.1} MB, now {:.1} MB", exporter.megabytes("VmHWM"), exporter.megabytes("VmRSS"));
    small();
    drop(nginx);
    // Only the temporary files of this run.
    let _ = std::fs::remove_dir_all(&folder);
}

type Server<'a> = (&'a str, String, String, &'a str);

/// One scraper with keep-alive, like Prometheus.
fn alone(name: &str, servers: &[Server<'_>]) {
    let mut clients: Vec<Client> = servers.iter().map(|(_, address, ..)| Client::connect(address)).collect();
    let mut times = vec![Vec::new(); servers.len()];
    for _ in 0..ROUNDS {
        for (index, (_, _, path, headers)) in servers.iter().enumerate() {
            let start = Instant::now();
            clients[index].get(path, headers, |_| {});
            times[index].push(start.elapsed());
        }
    }
    report(&format!("{name}, 1 scraper"), servers, times);
}

/// Fifty concurrent scrapers, each on a new connection; time of the slowest.
fn crowd(name: &str, servers: &[Server<'_>]) {
    let mut times = vec![Vec::new(); servers.len()];
    for _ in 0..5 {
        for (index, (_, address, path, headers)) in servers.iter().enumerate() {
            let barrier = Barrier::new(SCRAPERS);
            let slowest = std::thread::scope(|scope| {
                let scrapers: Vec<_> = (0..SCRAPERS)
                    .map(|_| {
                        scope.spawn(|| {
                            let mut client = Client::connect(address);
                            barrier.wait();
                            let start = Instant::now();
                            client.get(path, headers, |_| {});
                            start.elapsed()
                        })
                    })
                    .collect();
                scrapers.into_iter().map(|scraper| scraper.join().expect("a scrape")).max().expect("some")
            });
            times[index].push(slowest);
        }
    }
    report(&format!("{name}, {SCRAPERS} scrapers, the slowest"), servers, times);
}

fn report(what: &str, servers: &[Server<'_>], times: Vec<Vec<Duration>>) {
    let medians: Vec<f64> = times.into_iter().map(|times| median(&times).as_secs_f64() * 1e3).collect();
    print!("{what}:");
    for ((name, ..), median) in servers.iter().zip(&medians) {
        print!("  {name} {median:.2} ms");
    }
    for ((name, ..), other) in servers.iter().zip(&medians).skip(1) {
        print!("  [{:.2}x {name}]", medians[0] / other);
    }
    println!();
}

/// Time to the first byte of a cached scrape of 1,000 repositories.
fn small() {
    let upstream = simulator(1000);
    let exporter = exporter(&upstream, &["--cache.window", "1h", "--cache.max-age", "2h"]);
    let mut client = Client::connect(&exporter.address);
    let mut times = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        let mut first = None;
        client.get("/metrics", GZIP, |_| {
            first.get_or_insert(start.elapsed());
        });
        times.push(first.expect("a body"));
    }
    println!("1,000 repositories, gzip: first bytes after {:.3} ms", median(&times).as_secs_f64() * 1e3);
}

/// A server that writes one response from memory.
fn bare(body: &[u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    let answer: Arc<[u8]> = answer.into();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || serve(&stream, &answer));
        }
    });
    address
}

fn serve(stream: &TcpStream, answer: &[u8]) {
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(line)) = lines.next() {
        let mut out = stream;
        if line.is_empty() && out.write_all(answer).is_err() {
            return;
        }
    }
}

/// nginx with two workers, serving files.
struct Nginx {
    child: Child,
    address: String,
}

impl Nginx {
    fn start(folder: &Path) -> Option<Self> {
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx"].iter().map(PathBuf::from).find(|path| path.exists())?;
        let port = TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound").port();
        let root = folder.display();
        let settings = format!(
            "daemon off; worker_processes 2; pid {root}/pid; error_log {root}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; default_type text/plain;\n\
             client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n\
             server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
        );
        std::fs::write(folder.join("nginx.conf"), settings).expect("room");
        let child = Command::new(program)
            .args(["-e", &format!("{root}/error.log"), "-c", &format!("{root}/nginx.conf")])
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let address = format!("127.0.0.1:{port}");
        for _ in 0..100 {
            if TcpStream::connect(&address).is_ok() {
                return Some(Self { child, address });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("nginx did not start: see {root}/error.log");
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master stops its workers on TERM; a kill would leave them behind.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
