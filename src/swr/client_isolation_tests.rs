//! What the failures of one call mean for the others, on a paused clock.

use super::super::scripted::{Reply, Setup, given, good, minutes, setup_by};
use super::*;

fn setup(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Setup {
    setup_by(Options::default(), Authenticator::new(given(), None), move |_, url| script(url))
}

#[tokio::test(start_paused = true)]
async fn lists_of_tags_that_fail_take_no_chance_from_the_listing() {
    let setup = setup(|url| if url.contains("/tags?") { Reply::Status(500, None) } else { good() });
    let mut held_back = 0;
    for _round in 0..100 {
        // As the task does that reads them: again as soon as it may.
        let wait = match setup.tags(&minutes(1)).await.unwrap_err() {
            ApiError::CircuitOpen { wait } => {
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
async fn a_listing_that_fails_is_held_back_whatever_succeeds_beside_it() {
    let setup =
        setup(|url| if url.contains("/tags?") { Reply::Error(404, "SVCSTG.SWR.4040009") } else { Reply::Broken });
    for _ in 0..6 {
        setup.list(&minutes(1)).await.unwrap_err();
        assert!(matches!(setup.tags(&minutes(1)).await, Err(ApiError::NotFound(_))));
    }
    assert_eq!(setup.client.metrics.circuit_open.get(), 1.0);
    let listed = setup.requests().iter().filter(|sent| sent.lists()).count();
    assert_eq!(listed, 6, "more than one call with all its attempts");
}
