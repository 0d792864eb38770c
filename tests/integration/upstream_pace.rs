//! An upstream that throttles, whose clock is wrong, or whose errors have many forms.

use crate::support::{Scrape, eventually, simulator};
use crate::upstream_support::{LISTING, account, account_of, all_failures, failures};
use futures_util::future::join_all;
use std::time::Duration;
use swr_simulator::{Action, RetryAfter, Rule, Shape};

const SMALL_PAGES: [&str; 2] = ["--swr.page-size", "20"];

#[tokio::test]
async fn after_a_429_no_request_comes_before_the_time_that_was_given() {
    // A date has whole seconds, so the wait may be up to one second shorter.
    let cases = [(RetryAfter::Seconds(2), 2000), (RetryAfter::Date(3), 2000), (RetryAfter::Date(-60), 0)];
    join_all(cases.map(|(word, least)| async move {
        let upstream = simulator(400, 3).await;
        upstream.handle.fault(Rule::once(Action::throttled(&word)).path(LISTING).after(6));
        let account = account_of(upstream, &SMALL_PAGES).await;
        let requests = account.upstream.handle.requests();
        let refused = requests.iter().position(|request| request.status == Some(429)).unwrap();
        let at = requests[refused].at;
        // Until the response arrives, the other three requests in flight may end and be followed by others.
        let late: Vec<_> = requests[refused + 1..].iter().map(|request| request.at - at).collect();
        let early = late.iter().filter(|after| **after < Duration::from_millis(least)).count();
        assert!(least == 0 || early <= 8, "{word:?}: {late:?}");
        assert!(late.iter().all(|after| *after < Duration::from_millis(500) || *after >= Duration::from_millis(least)));
        assert_eq!(account.good.value("swr_api_retries_total", &[("operation", "list_repositories")]), Some(1.0));
        assert!(account.good.get("swr_api_throttle_wait_seconds_total") >= Some(least as f64 / 1000.0 - 0.1));
    }))
    .await;
}

#[tokio::test]
async fn an_upstream_that_asks_for_ages_is_left_alone_and_the_old_data_stays() {
    let account = account(50, &[]).await;
    let before = account.listed();
    account.listing(Action::throttled(&RetryAfter::Seconds(1_000_000_000)));
    account.fails("throttled").await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        account.is_as_before(&account.exporter.scrape().await);
    }
    assert_eq!(account.listed() - before, 1, "windows pass, and nothing is asked");
}

#[tokio::test]
async fn throttling_in_disguise_is_waited_for_and_is_no_failure() {
    join_all([Action::too_many_requests(), Action::busy(), Action::throttled(&RetryAfter::Absent)].map(
        |action| async {
            let upstream = simulator(50, 3).await;
            upstream.handle.fault(Rule::once(action).path(LISTING));
            let account = account_of(upstream, &[]).await;
            assert_eq!(all_failures(&account.good), 0.0);
            let requests = account.upstream.handle.requests();
            assert!(requests[1].at - requests[0].at >= Duration::from_millis(1500), "a pause of seconds");
        },
    ))
    .await;
}

#[tokio::test]
async fn the_rate_limit_keeps_an_upstream_from_throttling() {
    let upstream = simulator(500, 3).await;
    upstream.handle.configure(|options| options.requests_per_second = Some(20));
    let flags = ["--swr.page-size=20", "--swr.rate-limit=15", "--swr.burst=5"];
    let account = account_of(upstream, &flags).await;
    assert_eq!(account.upstream.handle.statuses().into_keys().collect::<Vec<_>>(), [200]);
    assert!(account.listed() >= 25 && account.upstream.handle.max_in_flight() <= 4);
}

#[tokio::test]
async fn a_clock_that_is_off_is_shown_always_and_said_once() {
    let upstream = simulator(20, 2).await;
    let account = account_of(upstream, &[]).await;
    let skew = |scrape: &Scrape| scrape.get("swr_api_clock_skew_seconds").unwrap();
    assert!(skew(&account.good).abs() < 2.0);
    let warnings = || account.exporter.log().matches("signatures fail from 900 s on").count();
    for (times, seconds) in [(1, 700), (2, -700)] {
        account.upstream.handle.configure(|options| options.clock_skew_seconds = seconds);
        for _ in 0..3 {
            let asked = account.listed();
            let near = |scrape: &Scrape| (skew(scrape) - seconds as f64).abs() < 2.0 && account.listed() > asked;
            account.exporter.scrape_until("the skew is seen", near).await;
        }
        eventually("it is said", || warnings() == times).await;
        account.upstream.handle.configure(|options| options.clock_skew_seconds = 0);
        account.exporter.scrape_until("the clock is right", |scrape| skew(scrape).abs() < 2.0).await;
    }
    assert_eq!(warnings(), 2, "{}", account.exporter.log());
}

#[tokio::test]
async fn a_clock_that_is_off_too_far_for_signatures_is_corrected_for_them_and_shown() {
    let account = account(20, &[]).await;
    account.upstream.handle.configure(|options| options.clock_skew_seconds = 1000);
    let asked = account.listed();
    let shown = |scrape: &Scrape| {
        let skew = scrape.get("swr_api_clock_skew_seconds").unwrap();
        (skew - 1000.0).abs() < 3.0 && scrape.get("swr_up") == Some(1.0) && account.listed() > asked + 1
    };
    account.exporter.scrape_until("requests are signed by the upstream's clock", shown).await;
    eventually("the log says so", || account.exporter.log().contains("signatures fail from 900 s on")).await;
}

#[tokio::test]
async fn the_log_line_says_what_the_api_said_in_each_of_its_shapes() {
    let (code, message) = ("SVCSTG.SWR.4030170", "no permission to\naccess \u{1b}[31m\"it\"");
    let said = r#"answered 403 SVCSTG.SWR.4030170 \"no permission to access [31m\"it\"\""#;
    let cases = [
        (Shape::Current, said),
        (Shape::Listed, said),
        (Shape::Array, said),
        (Shape::Gateway, said),
        (Shape::Iam, r#"answered 403 403 \"no permission to access [31m\"it\"\""#),
        (Shape::Html, r#"answered 403 \"an HTML page: 403 Forbidden\""#),
        (Shape::Empty, "answered 403 with no message"),
    ];
    join_all(cases.map(|(shape, said)| async move {
        let account = account(20, &[]).await;
        account.listing(Action::error(403, shape, code, message));
        account.fails("permission").await;
        eventually("the log says so", || account.exporter.log().contains(said)).await;
        let log = account.exporter.log();
        assert!(log.contains("(request "), "{log}");
        assert!(log.lines().all(|line| line.starts_with("ts=")) && !log.contains('\u{1b}'), "{log}");
    }))
    .await;
}

#[tokio::test]
async fn a_refusal_of_permission_is_not_repeated_within_a_refresh() {
    let account = account(20, &[]).await;
    let before = account.listed();
    account.listing(Action::error(403, Shape::Current, "SVCSTG.SWR.4030170", "no"));
    let scrape = account.fails("permission").await;
    assert_eq!(account.listed() - before, 1);
    assert_eq!(failures(&scrape, "auth"), 0.0);
}
