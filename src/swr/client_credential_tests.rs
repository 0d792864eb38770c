//! What refused calls mean for the credential, on a paused clock.

use super::super::fake_upstream::{Reply, Setup, given, good, minutes, setup, setup_by};
use super::*;
use crate::auth::testing::{Iam, right};
use crate::auth::{CredentialProvider, SecretSource, access_key};
use crate::base::secret::Secret;
use futures_util::future::join_all;

const FIFTEEN_MINUTES: u128 = 15 * 60 * 1000;

#[tokio::test(start_paused = true)]
async fn a_credential_that_was_accepted_is_used_by_many_calls_at_once() {
    let setup = setup(|_| good());
    let budget = minutes(1);
    join_all((0..9).map(|_| setup.list(&budget))).await;
    // One request of twenty milliseconds alone, then eight in two groups of four.
    assert_eq!(setup.started.elapsed().as_millis(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_too_gives_a_wrong_key_no_further_attempt() {
    let part = |text: &str| SecretSource::Given(Secret::new(text.to_owned()));
    let key = access_key::AccessKeyProvider { id: part("AK"), secret: part("wrong"), security_token: None };
    let ahead = Duration::from_secs(20 * 60);
    let setup =
        setup_by(Options::default(), Authenticator::new(CredentialProvider::AccessKey(key), None), move |_, _| {
            Reply::Dated(401, SystemTime::now() + ahead)
        });
    for _minute in 0..60 {
        setup.list(&minutes(1)).await.unwrap_err();
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    let sent = setup.sent();
    assert!(sent.len() >= 3 && sent.windows(3).all(|three| three[2] - three[0] >= FIFTEEN_MINUTES), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_credential_that_an_optional_call_sends_first_is_sent_twice_as_well() {
    // The optional call is refused like the listing, or by a gateway that does not know it and so has not checked anything.
    for optional in [(401, "APIGW.0301"), (404, "APIGW.0101")] {
        let setup = setup_by(Options::default(), Authenticator::new(given(), None), move |_, url| {
            if url.contains("feature-gates") { Reply::Error(optional.0, optional.1) } else { Reply::Status(401, None) }
        });
        for _minute in 0..60 {
            let budget = minutes(1);
            setup.client.offers_markers("project", &budget).await.unwrap_err();
            setup.list(&budget).await.unwrap_err();
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        let all = setup.requests().into_iter().zip(setup.sent());
        let with_credential = all.filter(|(sent, _)| sent.lists() || optional.0 == 401);
        let sent: Vec<u128> = with_credential.map(|(_, at)| at).collect();
        assert!(sent.windows(3).all(|three| three[2] - three[0] >= FIFTEEN_MINUTES), "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_refusal_that_holds_a_credential_back_says_for_how_long_and_why() {
    let setup = setup_by(Options::default(), Authenticator::new(given(), None), |_, _| Reply::Error(401, "APIGW.0301"));
    for is_held in [false, true, true] {
        let failure = setup.list(&minutes(1)).await.unwrap_err().describe();
        assert_eq!(failure.held_for.is_some(), is_held, "{failure}");
        assert!(failure.message.contains("the API answered 401 APIGW.0301"), "{failure}");
    }
    assert_eq!(setup.sent().len(), 2);
}

/// Rounds of one listing and three concurrent lists of tags, as long as the listing succeeds.
async fn rounds(setup: &Setup, rounds: usize) -> usize {
    for round in 0..rounds {
        if setup.list(&minutes(1)).await.is_err() {
            return round;
        }
        let tags = join_all((0..3).map(|_| setup.tags(minutes(1)))).await;
        assert!(tags.iter().all(|tags| matches!(tags, Err(ApiError::Auth(_)))), "{tags:?}");
        tokio::time::advance(Duration::from_secs(if round % 2 == 0 { 15 } else { 90 })).await;
    }
    rounds
}

#[tokio::test(start_paused = true)]
async fn refused_lists_of_tags_cost_the_listing_nothing() {
    let setup = setup_by(Options::default(), Authenticator::new(given(), None), |_, url| {
        if url.contains("/tags?") { Reply::Error(401, "APIGW.0301") } else { good() }
    });
    assert_eq!(rounds(&setup, 60).await, 60);
    assert_eq!(setup.sent().len(), 60 * 4, "each once");
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_is_revoked_while_tags_are_read_is_left_alone_after_one_listing() {
    let setup = setup_by(Options::default(), Authenticator::new(given(), None), |number, _| {
        if number == 0 { good() } else { Reply::Status(401, None) }
    });
    assert_eq!(rounds(&setup, 2).await, 1);
    for _minute in 0..13 {
        setup.list(&minutes(1)).await.unwrap_err();
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    let sent = setup.requests();
    assert_eq!(sent.iter().filter(|sent| !sent.lists()).count(), 3, "what was under way at once");
    assert_eq!(sent.iter().filter(|sent| sent.lists()).count(), 2, "the one that was taken, and one that was refused");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_while_the_request_waits_for_its_turn_is_not_sent() {
    let authenticator = Iam::new(Duration::from_secs(60)).authenticator(right());
    let setup =
        setup_by(
            Options::default(),
            authenticator,
            |number, _| {
                if number == 1 { Reply::Status(429, Some("100")) } else { good() }
            },
        );
    setup.list(&minutes(5)).await.unwrap();
    let budget = minutes(5);
    let calls = join_all((0..2).map(|_| setup.list(&budget))).await;
    assert!(calls.iter().all(Result::is_ok), "{calls:?}");
    let tokens: Vec<_> = setup.requests().iter().map(|sent| sent.token.clone().unwrap()).collect();
    let (early, late): (Vec<_>, Vec<_>) = setup.sent().into_iter().zip(tokens).partition(|(at, _)| *at < 60_000);
    assert!(early.iter().all(|(_, token)| token == "token-1"), "{early:?}");
    assert!(!late.is_empty() && late.iter().all(|(_, token)| token != "token-1"), "{late:?}");
}
