//! Arbitrary bytes as requests over a socket: the server responds in HTTP or closes, and serves the next connection.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use swr_exporter::web::security::Security;
use swr_exporter::web::{self, ServedAccount, HtmlPage, Limits, Metrics, Site};
use tokio::sync::watch;

struct Server {
    address: SocketAddr,
    metrics: Metrics,
    _runtime: tokio::runtime::Runtime,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let metrics = Metrics::new(&prometheus::Registry::new());
        let site = Site {
            accounts: vec![ServedAccount {
                name: "fuzz".to_owned(),
                meta_labels: Vec::new(),
                live: Arc::new(|_| b"swr_up 0\n".to_vec()),
                scrape: Arc::new(|_| Box::pin(async { None })),
            }],
            live: Arc::new(|_| b"process_threads 1\n".to_vec()),
            landing: Arc::new(|| HtmlPage { body: String::new(), security_policy: "" }),
            settings: String::new(),
            reload: Arc::new(|| Box::pin(async { Ok(String::new()) })),
        };
        let limits = Limits { connections_per_address: 512, ..Limits::default() };
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let options = web::Options { limits, ..web::Options::default() };
        let sites = watch::Sender::new(Arc::new(site));
        let security = watch::Sender::new(Arc::new(Security::default()));
        let counters = metrics.clone();
        runtime.spawn(async move {
            let (sites, security, never) = (sites.subscribe(), security.subscribe(), std::future::pending());
            web::serve(vec![listener], sites, options, security, counters, never).await;
        });
        Server { address, metrics, _runtime: runtime }
    })
}

fuzz_target!(|bytes: &[u8]| {
    let server = server();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The server may have closed already.
    let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    match stream.take(1 << 20).read_to_end(&mut answer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("no answer and no end"),
        _ => {}
    }
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{:?}", String::from_utf8_lossy(&answer));
    assert_eq!(server.metrics.panics.get(), 0);
});
