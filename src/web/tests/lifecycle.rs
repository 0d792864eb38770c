//! Shutdown, and survival of a panic.

use super::*;
use tokio::time::Instant;

#[tokio::test]
async fn shutdown_finishes_open_answers_and_refuses_new_connections() {
    let mut server = Server::start(Plan::default()).await;
    let mut idle = server.request("/-/healthy").await;
    idle.answer().await;
    let mut silent = server.connect().await;
    server.gate.send_replace(false);
    let mut open = server.request("/metrics").await;
    until("the scrape waits", || server.scrapes() == 1).await;

    server.stop();
    assert_eq!(idle.rest().await, b"");
    assert_eq!(silent.rest().await, b"");
    assert!(TcpStream::connect(server.address).await.is_err(), "nothing is accepted any more");
    assert!(!server.task.is_finished());
    server.gate.send_replace(true);
    let answer = open.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(open.rest().await, b"");
    soon(&mut server.task).await.unwrap();
}

#[tokio::test]
async fn shutdown_cuts_off_what_does_not_end() {
    let mut plan = Plan::default();
    plan.options.limits.drain = Duration::from_millis(200);
    let mut server = Server::start(plan).await;
    server.gate.send_replace(false);
    let mut open = server.request("/metrics").await;
    until("the scrape waits", || server.scrapes() == 1).await;
    let started = Instant::now();
    server.stop();
    soon(&mut server.task).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(200) && started.elapsed() < Duration::from_secs(3));
    assert_eq!(open.rest().await, b"");
}

#[tokio::test]
async fn a_panic_is_one_500_and_the_process_lives() {
    let failing = Arc::new(AtomicUsize::new(0));
    let live = {
        let calls = Arc::clone(&failing);
        move |_| {
            if calls.fetch_add(1, Ordering::SeqCst) == 0 { panic!("as the test wants") } else { b"ok 1\n".to_vec() }
        }
    };
    let mut plan = Plan { live: Arc::new(live), ..Plan::default() };
    plan.options.max_requests = 1;
    let server = Server::start(plan).await;
    let failed = server.get("/metrics").await;
    assert_eq!((failed.status, failed.body.as_slice()), (500, &b"internal error\n"[..]));
    assert_eq!(server.metrics.panics.get(), 1);
    assert_eq!(server.get("/metrics").await.status, 200, "its permit is free again");
}

#[tokio::test]
async fn every_listener_is_served_and_stops() {
    let mut listeners = Vec::new();
    for _ in 0..3 {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let addresses: Vec<_> = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
    let site = Arc::new(Site {
        accounts: Vec::new(),
        live: Arc::new(|_| Vec::new()),
        landing: Arc::new(|| HtmlPage { body: String::new(), security_policy: "" }),
        settings: String::new(),
        reload: Arc::new(|| Box::pin(async { Ok(String::new()) })),
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let (_security, current) = watch::channel(Arc::default());
    let metrics = Metrics::new(&prometheus::Registry::new());
    let sites = watch::channel(site).1;
    let task =
        tokio::spawn(serve(listeners, sites, Options::default(), current, metrics, async { drop(stopped.await) }));
    for address in &addresses {
        let mut client = Client(TcpStream::connect(address).await.unwrap());
        client.get("/metrics").await;
        assert_eq!(client.answer().await.status, 200, "no account, no page, but an answer");
    }
    drop(stop);
    soon(task).await.unwrap();
    assert!(TcpStream::connect(addresses[0]).await.is_err());
}
