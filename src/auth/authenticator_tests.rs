//! The authenticator on a paused clock, against an IAM that is a function.

use super::super::testing::{Behaviour, Iam, right};
use super::super::{Credential, MAX_REJECTIONS, REJECTION_PERIOD, SecretSource, access_key, token};
use super::*;
use crate::transport::error_body::ErrorBody;
use crate::transport::error_response::Service;
use futures_util::future::join_all;
use hyper::http::StatusCode;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn refusal() -> ErrorResponse {
    let (from, status) = (Service::Api, StatusCode::UNAUTHORIZED);
    ErrorResponse { from, status, body: ErrorBody::default(), retry_after: None }
}

fn token_of(credential: &CachedCredential) -> String {
    match &credential.credential {
        Credential::Token(token) => token.expose().to_owned(),
        Credential::AccessKey(key) => format!("{}/{}", key.id, key.secret.expose()),
    }
}

fn file_with(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// Acquires a credential and reports success, as a refresh does.
async fn succeed_with(authenticator: &Authenticator) -> Result<String, AuthError> {
    let lease = authenticator.acquire().await?;
    authenticator.report_success(&lease.credential);
    Ok(token_of(&lease.credential))
}

#[tokio::test(start_paused = true)]
async fn in_ten_days_a_token_is_renewed_each_day_a_little_early_and_never_used_late() {
    let iam = Iam::new(DAY);
    let authenticator = iam.authenticator(right());
    let mut obtained = Vec::new();
    let mut last = String::new();
    for _minute in 0..10 * 24 * 60 {
        let token = succeed_with(&authenticator).await.unwrap();
        if token != last {
            obtained.push(Instant::now());
            last = token;
        }
        let age = Instant::now() - *obtained.last().unwrap();
        assert!(age < DAY, "a token of {age:?} is sent");
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    let logins = iam.logins();
    assert!((10..=12).contains(&logins.len()), "{}", logins.len());
    for pair in logins.windows(2) {
        let early = DAY.saturating_sub(pair[1] - pair[0]);
        assert!((230..=460).contains(&early.as_secs()), "{early:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_in_time_also_between_two_refreshes_and_no_longer_once_nobody_uses_it() {
    const LIFE: Duration = Duration::from_secs(3600);
    let iam = Iam::new(LIFE);
    let authenticator = iam.authenticator(right());
    // More than the time by which a token is renewed early.
    const WINDOW: Duration = Duration::from_secs(600);
    for _ in 0..60 {
        succeed_with(&authenticator).await.unwrap();
        tokio::time::sleep(WINDOW).await;
    }
    let logins = iam.logins();
    for pair in logins.windows(2) {
        let left = LIFE - (pair[1] - pair[0]);
        assert!((295..=450).contains(&left.as_secs()), "renewed {left:?} before its end");
    }
    tokio::time::sleep(10 * LIFE).await;
    assert!(iam.logins().len() <= logins.len() + 1, "the last token was used, the one after it was not");
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_jumps_neither_wastes_a_token_nor_prolongs_it() {
    static SECONDS: AtomicI64 = AtomicI64::new(0);
    /// The wall clock, which stands still between jumps.
    fn jumping() -> SystemTime {
        let seconds = SECONDS.load(Ordering::Relaxed);
        let away = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { SystemTime::UNIX_EPOCH - away } else { SystemTime::UNIX_EPOCH + away }
    }
    const TRUTH: i64 = 1_735_787_045;
    const YEAR: i64 = 366 * 24 * 3600;
    let iam = Iam::new(DAY);
    let authenticator = iam.authenticator_by(jumping, right());
    let (mut last, mut since) = (String::new(), Instant::now());
    for minute in 0..3 * 24 * 60 {
        let jump = [TRUTH, TRUTH + 3600, TRUTH - 3600, TRUTH + 10 * YEAR, TRUTH - 10 * YEAR, 0, -YEAR][minute % 7];
        SECONDS.store(jump, Ordering::Relaxed);
        let token = succeed_with(&authenticator).await.unwrap();
        if token != last {
            (last, since) = (token, Instant::now());
        }
        assert!(since.elapsed() < DAY, "a token of {:?} is sent", since.elapsed());
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    assert!((3..=4).contains(&iam.logins().len()), "{}", iam.logins().len());
}

#[tokio::test(start_paused = true)]
async fn a_hundred_workers_whose_token_is_refused_ask_for_one_new_one() {
    let iam = Iam::new(DAY);
    let authenticator = iam.authenticator(right());
    let credentials = join_all((0..100).map(|_| authenticator.credential())).await;
    assert_eq!(iam.logins().len(), 1, "and for one to begin with");
    let credential = credentials[0].as_ref().unwrap();
    authenticator.report_success(credential);
    let refusal = refusal();
    let replaced = join_all((0..100).map(|_| authenticator.report_rejected(credential, &refusal))).await;
    assert!(replaced.iter().all(|replaced| *replaced));
    assert_eq!(iam.logins().len(), 2);
    assert_eq!(succeed_with(&authenticator).await.unwrap(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn without_a_token_an_iam_that_is_down_is_asked_once_a_minute_and_noticed_when_it_is_back() {
    let iam = Iam::new(DAY);
    let authenticator = iam.authenticator(right());
    let mut recoveries = authenticator.recoveries();
    iam.be(Behaviour::IsDown);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(6 * 3600) {
        let error = succeed_with(&authenticator).await.unwrap_err();
        assert_eq!(error.reason(), crate::failure::Reason::Network, "{error}");
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    let logins = iam.logins();
    assert!((355..=370).contains(&logins.len()), "{}", logins.len());
    assert!(logins[7..].windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(60)));
    recoveries.mark_unchanged();
    iam.be(Behaviour::Works);
    let back = Instant::now();
    recoveries.changed().await.unwrap();
    assert!(back.elapsed() <= Duration::from_secs(61), "{:?}", back.elapsed());
    succeed_with(&authenticator).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_leaves_the_old_token_until_its_end() {
    let iam = Iam::new(Duration::from_secs(3600));
    let authenticator = iam.authenticator(right());
    succeed_with(&authenticator).await.unwrap();
    iam.be(Behaviour::IsDown);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3580) {
        assert_eq!(succeed_with(&authenticator).await.unwrap(), "token-1");
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    assert!((4..=15).contains(&iam.logins().len()), "{}", iam.logins().len());
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(succeed_with(&authenticator).await.is_err(), "an expired token is not sent");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_tried_twice_in_fifteen_minutes_and_ten_times_a_day_and_a_right_one_at_once() {
    let (_folder, path) = file_with("wrong\n");
    let iam = Iam::new(DAY);
    let authenticator = iam.authenticator(SecretSource::File(path.clone()));
    let mut recoveries = authenticator.recoveries();
    let start = Instant::now();
    while start.elapsed() < DAY {
        let error = succeed_with(&authenticator).await.unwrap_err();
        assert_eq!(error.reason(), crate::failure::Reason::Auth);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let logins = iam.logins();
    assert!(logins.windows(3).all(|three| three[2] - three[0] >= REJECTION_PERIOD));
    assert!((5..=10).contains(&logins.len()), "{}", logins.len());
    let error = error_chain(&succeed_with(&authenticator).await.unwrap_err());
    assert!(error.contains("not tried again for") && error.contains("password is wrong"), "{error}");
    std::fs::write(&path, "right\n").unwrap();
    recoveries.mark_unchanged();
    let back = Instant::now();
    recoveries.changed().await.unwrap();
    assert!(back.elapsed() < Duration::from_secs(3), "{:?}", back.elapsed());
    succeed_with(&authenticator).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_password_that_changes_while_a_login_is_under_way_is_tried_as_soon_as_that_has_failed() {
    let (_folder, path) = file_with("wrong");
    let iam = Iam::new(DAY);
    let authenticator = iam.authenticator(SecretSource::File(path.clone()));
    succeed_with(&authenticator).await.unwrap_err();
    while iam.logins().len() < MAX_REJECTIONS {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    std::fs::write(&path, "right").unwrap();
    let written = Instant::now();
    // The login that is under way fails.
    succeed_with(&authenticator).await.unwrap_err();
    assert_eq!(succeed_with(&authenticator).await.unwrap(), "token-3");
    assert!(written.elapsed() <= Duration::from_secs(2), "{:?}", written.elapsed());
}

#[tokio::test(start_paused = true)]
async fn tokens_that_the_api_never_takes_are_as_good_as_a_wrong_password() {
    let iam = Iam::new(DAY);
    let authenticator = iam.authenticator(right());
    for _minute in 0..15 {
        if let Ok(credential) = authenticator.credential().await {
            authenticator.report_rejected(&credential, &refusal()).await;
        }
        tokio::time::sleep(Duration::from_secs(59)).await;
    }
    assert_eq!(iam.logins().len(), MAX_REJECTIONS);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_cancels_no_renewal() {
    let iam = Iam::new(DAY);
    let authenticator = iam.authenticator(right());
    let impatient = tokio::time::timeout(Duration::from_millis(10), authenticator.credential()).await;
    assert!(impatient.is_err());
    succeed_with(&authenticator).await.unwrap();
    assert_eq!(iam.logins().len(), 1);
}

async fn reject_twice(authenticator: &Authenticator) {
    for _ in 0..MAX_REJECTIONS {
        let credential = authenticator.credential().await.unwrap();
        assert!(!authenticator.report_rejected(&credential, &refusal()).await);
    }
}

fn from_file(path: &Path) -> Authenticator {
    Authenticator::new(CredentialProvider::Token(token::TokenProvider(SecretSource::File(path.to_owned()))), None)
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_held_back_also_while_its_file_is_empty_or_gone_and_a_changed_one_tried_at_once() {
    let (_folder, path) = file_with("wrong\n");
    let authenticator = from_file(&path);
    reject_twice(&authenticator).await;
    assert!(matches!(authenticator.credential().await, Err(AuthError::HeldBack { .. })));
    std::fs::write(&path, "").unwrap();
    assert!(authenticator.credential().await.is_err(), "its file is empty");
    std::fs::remove_file(&path).unwrap();
    assert!(authenticator.credential().await.is_err(), "its file is gone");
    let mut recoveries = authenticator.recoveries();
    std::fs::write(&path, "right").unwrap();
    let written = Instant::now();
    recoveries.changed().await.unwrap();
    assert!(written.elapsed() <= Duration::from_secs(2), "it is noticed without being asked for");
    assert_eq!(succeed_with(&authenticator).await.unwrap(), "right");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_hold_is_no_change_of_the_secret() {
    let (_folder, path) = file_with("wrong");
    let before = from_file(&path);
    reject_twice(&before).await;
    // As after settings were read again.
    let authenticator = from_file(&path);
    authenticator.remember(&before);
    let recoveries = authenticator.recoveries();
    assert!(matches!(authenticator.credential().await, Err(AuthError::HeldBack { .. })));
    tokio::time::sleep(2 * REJECTION_PERIOD).await;
    assert!(!recoveries.has_changed().unwrap(), "nothing is asked without a scrape");
    std::fs::write(&path, "right").unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(recoveries.has_changed().unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_token_that_worked_is_kept_until_the_new_one_has_worked() {
    let (_folder, path) = file_with("first");
    let authenticator = from_file(&path);
    assert_eq!(succeed_with(&authenticator).await.unwrap(), "first");
    for unusable in ["", "\n", "two words"] {
        std::fs::write(&path, unusable).unwrap();
        assert_eq!(succeed_with(&authenticator).await.unwrap(), "first", "{unusable:?}");
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(succeed_with(&authenticator).await.unwrap(), "first");
    std::fs::write(&path, "half").unwrap();
    let half = authenticator.acquire().await.unwrap();
    assert_eq!(token_of(&half.credential), "half");
    assert!(
        authenticator.report_rejected(&half.credential, &refusal()).await,
        "the refused request is made again with the old one"
    );
    drop(half);
    for _ in 0..3 {
        assert_eq!(succeed_with(&authenticator).await.unwrap(), "first");
    }
    std::fs::write(&path, "whole").unwrap();
    assert_eq!(succeed_with(&authenticator).await.unwrap(), "whole");
}

#[tokio::test(start_paused = true)]
async fn halves_of_two_keys_are_never_a_pair() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("ak", "AK1");
    write("sk", "sk1");
    let source = access_key::AccessKeyProvider {
        id: SecretSource::File(at("ak")),
        secret: SecretSource::File(at("sk")),
        security_token: None,
    };
    let authenticator = Authenticator::new(CredentialProvider::AccessKey(source), None);
    for round in 1..200 {
        assert_eq!(succeed_with(&authenticator).await.unwrap(), format!("AK{round}/sk{round}"));
        let next = round + 1;
        write("ak", &format!("AK{next}"));
        assert_eq!(succeed_with(&authenticator).await.unwrap(), format!("AK{round}/sk{round}"), "one half alone");
        write("sk", &format!("sk{next}"));
    }
    assert_eq!(succeed_with(&authenticator).await.unwrap(), "AK200/sk200");
    // A new secret for the same key is unheard of, but if it stays like that it is tried.
    write("sk", "another");
    assert_eq!(succeed_with(&authenticator).await.unwrap(), "AK200/sk200");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(succeed_with(&authenticator).await.unwrap(), "AK200/another");
}
