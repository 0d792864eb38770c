//! Any bytes as requests, to the server as it is, over a socket: it answers in HTTP or hangs up, and answers the next.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use swr_exporter::web::{self, Account, AccountState, Latest, Limits, Next, Scrape, Site, Tally};

struct Server {
    address: SocketAddr,
    tally: Arc<Tally>,
    _runtime: tokio::runtime::Runtime,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let tally = Arc::new(Tally::default());
        let site = Site {
            version: "fuzz".to_owned(),
            accounts: vec![Account {
                name: "fuzz".to_owned(),
                scrape: Arc::new(|_| Box::pin(async { Scrape { page: None } })),
                state: Arc::new(|| AccountState { latest: Latest::None, served: None, next: Next::AtNextScrape }),
            }],
            live: Arc::new(|_| b"swr_up 0\n".to_vec()),
            tally: tally.clone(),
        };
        let limits = Limits { connections_per_address: 512, ..Limits::default() };
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let options = web::Options { limits, ..web::Options::default() };
        runtime.spawn(web::serve(vec![listener], Arc::new(site), options, std::future::pending()));
        Server { address, tally, _runtime: runtime }
    })
}

fuzz_target!(|bytes: &[u8]| {
    let server = server();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The server may have hung up already.
    let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    match stream.take(1 << 20).read_to_end(&mut answer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("no answer and no end"),
        _ => {}
    }
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{:?}", String::from_utf8_lossy(&answer));
    assert_eq!(server.tally.panics.load(std::sync::atomic::Ordering::Relaxed), 0);
});
