//! The client on a paused clock: retries, pauses, deadlines, discovered properties of the upstream.

use super::super::fake_upstream::{BodyEnd, Reply, given, good, minutes, setup, setup_by};
use super::*;
use crate::failure::Reason;
use futures_util::future::join_all;
use std::sync::Mutex;

#[tokio::test(start_paused = true)]
async fn after_a_429_the_whole_client_pauses_as_long_as_it_was_told() {
    let setup = setup(|number| if number == 0 { Reply::Status(429, Some("7")) } else { good() });
    let budget = minutes(5);
    let calls = join_all((0..40).map(|_| setup.list(&budget))).await;
    assert!(calls.iter().all(Result::is_ok));
    let sent = setup.sent();
    let early = sent.iter().filter(|at| **at < 7000).count();
    assert!(early <= setup.client.concurrency(), "only what was already on its way: {sent:?}");
    assert!(sent.iter().all(|at| *at <= 20 || (7020..8500).contains(at)), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_429_without_a_word_is_a_pause_of_seconds_for_all() {
    for word in [None, Some("soon"), Some("-7")] {
        let setup = setup(move |number| if number == 0 { Reply::Status(429, word) } else { good() });
        let budget = minutes(5);
        let calls = join_all((0..10).map(|_| setup.list(&budget))).await;
        assert!(calls.iter().all(Result::is_ok));
        assert!(setup.sent().iter().all(|at| *at <= 20 || (1600..=4500).contains(at)), "{:?}", setup.sent());
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_that_asks_for_no_pause_is_backed_off_from_all_the_same() {
    for word in ["0", "Thu, 01 Jan 1970 00:00:00 GMT"] {
        let setup = setup(move |number| if number == 0 { good() } else { Reply::Status(429, Some(word)) });
        let budget = minutes(5);
        setup.list(&budget).await.unwrap();
        assert!(matches!(setup.list(&budget).await, Err(ApiError::Throttled(_))));
        let gaps: Vec<_> = setup.sent()[1..].windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps.len(), 4);
        assert!(gaps.iter().zip([200, 400, 800, 1600]).all(|(gap, least)| *gap >= least), "{gaps:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_beyond_the_deadline_is_not_waited_for_and_at_most_five_minutes() {
    let setup = setup(|number| if number == 0 { Reply::Status(429, Some("1000000000")) } else { good() });
    let error = setup.list(&minutes(5)).await.unwrap_err();
    assert_eq!((error.reason(), error.retry_after()), (Reason::Throttled, Some(Duration::from_secs(300))));
    assert!(setup.started.elapsed() < Duration::from_secs(1), "it is known at once that nothing will come of it");
    tokio::time::advance(Duration::from_secs(100)).await;
    let too_long = setup.list(&minutes(1)).await.unwrap_err();
    assert!(matches!(too_long, ApiError::WaitTooLong { .. }));
    assert!(too_long.to_string().contains("200 s are left"), "{too_long}");
    assert_eq!(setup.sent().len(), 1);
    setup.list(&minutes(5)).await.unwrap();
    assert!((300_000..=301_000).contains(&setup.sent()[1]), "{:?}", setup.sent());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_calls_with_errors_among_them_are_all_complete_at_a_fifth_more() {
    for percent in [1, 3, 5, 10] {
        for seed in 0..20 {
            let random = Mutex::new(fastrand::Rng::with_seed(seed));
            let setup = setup(move |_| {
                let mut random = random.lock().unwrap();
                if random.u32(..100) >= percent {
                    return good();
                }
                match random.u32(..4) {
                    0 => Reply::Broken,
                    1 => Reply::Status(503, None),
                    2 => Reply::Pieces(vec![(Duration::ZERO, "[{")], BodyEnd::Complete),
                    _ => Reply::Status(500, None),
                }
            });
            let budget = minutes(5);
            let calls = join_all((0..1000).map(|_| setup.list(&budget))).await;
            let failed: Vec<_> = calls.into_iter().filter_map(Result::err).collect();
            assert!(failed.is_empty(), "{percent} %, seed {seed}: {failed:?}");
            assert!(setup.sent().len() <= 1200, "{percent} %: {} requests", setup.sent().len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up_after_twenty_seconds_without_a_byte() {
    let pause = Duration::from_secs(1);
    let setup = setup(move |number| match number {
        0 => Reply::Pieces(vec![(pause, "["), (pause, "{")], BodyEnd::Never),
        // Slow, but it moves.
        _ => Reply::Pieces(vec![(Duration::from_secs(12), "["), (Duration::from_secs(12), "]")], BodyEnd::Complete),
    });
    setup.list(&minutes(5)).await.unwrap();
    let sent = setup.sent();
    assert!((22_000..23_000).contains(&sent[1]), "{sent:?}");
    assert_eq!(sent.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_given_up_after_thirty_seconds_in_all() {
    let setup = setup(|number| match number {
        0 => Reply::Pieces(vec![(Duration::from_secs(1), " "); 1000], BodyEnd::Complete),
        1 => Reply::Silence,
        _ => good(),
    });
    setup.list(&minutes(5)).await.unwrap();
    let sent = setup.sent();
    assert!((30_000..31_000).contains(&sent[1]) && (60_000..62_000).contains(&sent[2]), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_beyond_the_deadline() {
    let setup = setup(|_| Reply::Status(500, None));
    let budget = CallBudget::until(Deadline::after(Duration::from_millis(150)));
    assert!(matches!(setup.list(&budget).await, Err(ApiError::Server(_))), "the last word, not the deadline");
    let sent = setup.sent().len();
    assert_eq!(sent, 1, "no retry would end in time");
    tokio::time::advance(Duration::from_secs(1)).await;
    setup.list(&budget).await.unwrap_err();
    assert_eq!(setup.sent().len(), sent, "nor does a new call");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_late_ends_with_the_deadline() {
    let setup = setup(|_| Reply::Silence);
    let budget = CallBudget::until(Deadline::after(Duration::from_secs(3)));
    let error = setup.list(&budget).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Timeout);
    assert_eq!((setup.sent().len(), setup.started.elapsed().as_millis()), (1, 3000));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_fails_again_and_again_is_left_alone_and_then_asked_by_one_request() {
    let setup = setup(|number| if number < 20 { Reply::Status(500, None) } else { good() });
    let mut refusals = 0;
    while setup.sent().len() < 20 {
        match setup.list(&minutes(5)).await {
            Err(ApiError::CircuitOpen { wait, .. }) => {
                refusals += 1;
                tokio::time::advance(wait).await;
            }
            other => drop(other.unwrap_err()),
        }
    }
    assert!(refusals >= 10, "{refusals}");
    let gaps: Vec<_> = setup.sent().windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[13..].iter().all(|gap| *gap >= 30_000), "{gaps:?}");
    tokio::time::advance(Duration::from_secs(30)).await;
    setup.list(&minutes(5)).await.unwrap();
    setup.list(&minutes(5)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_during_a_probe_wait_for_its_result() {
    let setup = setup(|number| if number < 6 { Reply::Status(500, None) } else { good() });
    while !setup.client.breaker.is_open() {
        setup.list(&minutes(5)).await.unwrap_err();
    }
    tokio::time::advance(Duration::from_secs(5)).await;
    let before = setup.sent().len();
    let budget = minutes(5);
    let calls = join_all((0..4).map(|_| setup.list(&budget))).await;
    assert!(calls.iter().all(Result::is_ok), "{calls:?}");
    let sent = setup.sent();
    assert!(sent[before + 1] > sent[before], "one request tries it, the others follow: {sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_smaller_page_is_believed_for_an_hour_and_no_longer() {
    let client = setup(|_| good()).client;
    assert_eq!(client.page_sizes.accepted.get(), None);
    client.page_sizes.accepted.set(100);
    tokio::time::advance(Duration::from_secs(3599)).await;
    assert_eq!(client.page_sizes.accepted.get(), Some(100));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(client.page_sizes.accepted.get(), None, "it may have been one short page by accident");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_without_time_for_another_call_is_a_timeout_and_not_throttled() {
    let options = Options { rate: Rate { per_second: 1.0, burst: 1.0 }, ..Options::default() };
    let setup = setup_by(options, Authenticator::new(given(), None), |_, _| good());
    let budget = CallBudget::until(Deadline::after(Duration::from_millis(1500)));
    setup.list(&budget).await.unwrap();
    setup.list(&budget).await.unwrap();
    let error = setup.list(&budget).await.unwrap_err();
    assert_eq!((error.reason(), error.retry_after()), (Reason::Timeout, None), "{error}");
    assert!(error.to_string().contains("rate limit"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_call_behind_an_open_circuit_fails_for_the_reason_that_opened_it() {
    for (reply, reason, text) in [
        (403, Reason::Network, "connection reset"),
        (500, Reason::Server, "SVCSTG.SWR.5000003"),
        (408, Reason::Timeout, "the request timed out"),
    ] {
        let setup = setup_by(Options::default(), Authenticator::new(given(), None), move |_, _| match reply {
            500 => Reply::Error(500, "SVCSTG.SWR.5000003"),
            408 => Reply::Silence,
            _ => Reply::Broken,
        });
        while !setup.client.breaker.is_open() {
            setup.list(&minutes(5)).await.unwrap_err();
        }
        let error = setup.list(&minutes(5)).await.unwrap_err();
        let failure = error.describe();
        assert!(matches!(error, ApiError::CircuitOpen { .. }));
        assert_eq!(failure.reason, reason);
        assert!(failure.message.contains(text) && failure.message.contains("held back for"), "{}", failure.message);
        assert_eq!(failure.message.matches(text).count(), 1, "{}", failure.message);
    }
}
