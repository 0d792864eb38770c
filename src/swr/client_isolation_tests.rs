//! What a failed call means for other calls, on a paused clock.

use super::super::fake_upstream::{Reply, Setup, given, good, minutes, setup_by};
use super::*;
use crate::failure::Reason;

fn setup(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Setup {
    let lookup = ProjectLookup { iam_endpoint: IAM.to_owned(), name: "region".to_owned() };
    let options = Options { project_lookup: Some(lookup), ..Options::default() };
    setup_by(options, Authenticator::new(given(), None), move |_, url| script(url))
}

const IAM: &str = "http://127.0.0.1:2";

#[tokio::test(start_paused = true)]
async fn failing_lists_of_tags_do_not_hold_back_the_listing() {
    let setup = setup(|url| if url.contains("/tags?") { Reply::Status(500, None) } else { good() });
    let mut held_back = 0;
    for _round in 0..100 {
        // Tried again as soon as possible, as the worker task does.
        let wait = match setup.tags(minutes(1)).await.unwrap_err() {
            ApiError::CircuitOpen { wait, .. } => {
                held_back += 1;
                wait
            }
            _ => Duration::ZERO,
        };
        setup.list(&minutes(1)).await.unwrap();
        assert_eq!(setup.client.metrics.circuit_open.get(), 0.0);
        tokio::time::advance(wait).await;
    }
    assert!(held_back >= 40, "they are left alone themselves: {held_back}");
}

#[tokio::test(start_paused = true)]
async fn a_failing_listing_is_held_back_whatever_else_succeeds() {
    let setup =
        setup(|url| if url.contains("/tags?") { Reply::Error(404, "SVCSTG.SWR.4040009") } else { Reply::Broken });
    for _ in 0..6 {
        setup.list(&minutes(1)).await.unwrap_err();
        assert!(matches!(setup.tags(minutes(1)).await, Err(ApiError::NotFound(_))));
    }
    assert_eq!(setup.client.metrics.circuit_open.get(), 1.0);
    let listed = setup.requests().iter().filter(|sent| sent.lists()).count();
    assert_eq!(listed, 6, "more than one call with all its attempts");
}

/// The time that the listing took.
async fn listed_after(setup: &Setup) -> u64 {
    let began = Instant::now();
    setup.list(&minutes(10)).await.unwrap();
    began.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_another_service_asks_for_is_not_the_listing_s() {
    for status in [429, 503] {
        let setup = setup(move |url| if url.starts_with(IAM) { Reply::Status(status, Some("200")) } else { good() });
        let error = setup.client.project_id(&minutes(3)).await.unwrap_err();
        assert_eq!(error.reason(), if status == 429 { Reason::Throttled } else { Reason::Server });
        assert_eq!(listed_after(&setup).await, 0);
        setup.client.project_id(&minutes(10)).await.unwrap_err();
        assert!(setup.started.elapsed() < Duration::from_secs(1), "nor is it waited for");
        assert_eq!(setup.requests().iter().filter(|sent| sent.url.starts_with(IAM)).count(), 1, "it is left alone");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_a_failing_optional_call_is_asked_for_is_not_the_listing_s() {
    let setup = setup(|url| if url.contains("/tags?") { Reply::Status(503, Some("200")) } else { good() });
    assert!(matches!(setup.tags(minutes(1)).await, Err(ApiError::Server(_))));
    assert_eq!(listed_after(&setup).await, 0);
    let Err(ApiError::WaitTooLong { wait }) = setup.tags(minutes(10)).await else { panic!("they wait themselves") };
    assert!((199..=200).contains(&wait.as_secs()), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_asked_too_often_is_left_alone_by_all() {
    let setup = setup(|url| if url.contains("/tags?") { Reply::Status(429, Some("100")) } else { good() });
    assert!(matches!(setup.tags(minutes(1)).await, Err(ApiError::Throttled(_))));
    assert_eq!(listed_after(&setup).await, 100);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_failing_listing_is_asked_for_is_everybody_s() {
    let setup = setup(|url| if url.contains("/tags?") { good() } else { Reply::Status(503, Some("100")) });
    assert!(matches!(setup.list(&minutes(1)).await, Err(ApiError::Server(_))));
    assert!(matches!(setup.tags(minutes(1)).await, Err(ApiError::WaitTooLong { .. })));
}
