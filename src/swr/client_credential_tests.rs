//! What refusals of calls mean for the credential, on a paused clock.

use super::super::scripted::{Reply, good, minutes, setup};
use super::*;
use futures_util::future::join_all;

const FIFTEEN_MINUTES: u128 = 15 * 60 * 1000;

#[tokio::test(start_paused = true)]
async fn c5_a_wrong_credential_is_sent_at_most_twice_in_any_fifteen_minutes_however_many_calls_there_are() {
    let setup = setup(|_| Reply::Status(401, None));
    for _minute in 0..24 * 60 {
        let effort = minutes(1);
        let calls = join_all((0..10).map(|_| setup.list(&effort))).await;
        assert!(calls.iter().all(|call| call.as_ref().unwrap_err().reason() == crate::failure::Reason::Auth));
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    let sent = setup.sent();
    assert!(sent.windows(3).all(|three| three[2] - three[0] >= FIFTEEN_MINUTES), "{sent:?}");
    assert!((5..=10).contains(&sent.len()), "{}", sent.len());
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_was_accepted_is_used_by_many_calls_at_once() {
    let setup = setup(|_| good());
    let effort = minutes(1);
    join_all((0..9).map(|_| setup.list(&effort))).await;
    // One of twenty milliseconds alone, and eight by four.
    assert_eq!(setup.began.elapsed().as_millis(), 60);
}
