//! An upstream that throttles, whose clock is wrong, or whose errors have many forms.

use crate::support::{Scrape, eventually, simulator};
use crate::upstream_support::{account, account_of};
use futures_util::future::join_all;
use swr_simulator::{Action, Shape};

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
