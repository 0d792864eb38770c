//! Shutdown, and survival of a panic.

use super::*;

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
