//! Response bodies that stall, break off, have another form or never end: the old data stays, and the reason is right.

use crate::support::{Exporter, eventually};
use crate::upstream_support::{Account, account};
use futures_util::future::join_all;
use std::time::Duration;
use swr_simulator::{Action, Delivery, Framing, Rule};

const SHORT_PATIENCE: [&str; 2] = ["--swr.request-timeout", "300ms"];

/// Serves each response to an exporter of its own, and expects this reason and a recovery.
async fn each_fails(reason: &str, flags: &[&str], faults: Vec<(&str, Action)>) {
    let cases = faults.into_iter().map(|(name, action)| async move {
        let mut account = account(30, flags).await;
        account.listing(action);
        account.fails(reason).await;
        account.upstream.handle.clear_faults();
        if !matches!(reason, "network" | "timeout") {
            // These two open the circuit; a test on a paused clock shows that it closes again.
            account.recovers().await;
        }
        assert!(!account.exporter.log().contains("panic"), "{name}: {}", account.exporter.log());
    });
    join_all(cases).await;
}

#[tokio::test]
async fn a_stalled_or_dripping_body_is_a_timeout_and_the_old_data_stays() {
    let faults = vec![
        ("no answer", Delivery::Hang),
        ("headers alone", Delivery::Stall(0)),
        ("half a body", Delivery::Stall(5000)),
        ("a byte now and then", Delivery::Drip(1, Duration::from_millis(50))),
    ];
    let faults = faults.into_iter().map(|(name, delivery)| (name, Action::Deliver(delivery))).collect();
    each_fails("timeout", &SHORT_PATIENCE, faults).await;
}

#[tokio::test]
async fn a_body_that_is_slow_but_moves_is_read_whole() {
    let mut account = account(30, &[]).await;
    account.delivers(Delivery::Drip(600, Duration::from_millis(10)));
    let before = account.good.get("swr_snapshot_timestamp_seconds");
    let scrape = account
        .exporter
        .scrape_until("a slow refresh", |scrape| scrape.get("swr_snapshot_timestamp_seconds") > before)
        .await;
    assert_eq!(scrape.get("swr_up"), Some(1.0));
    assert_eq!(scrape.series("swr_repository_size_bytes"), account.good.series("swr_repository_size_bytes"));
    account.recovers().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_never_a_shorter_listing() {
    let network = [Delivery::Truncated(2000), Delivery::Reset, Delivery::ResetAfter(2000)];
    let decode = [Delivery::Cut(0), Delivery::Cut(1), Delivery::Cut(2000), Delivery::Cut(10_000)];
    let named = |delivery: Delivery| ("breaks off", Action::Deliver(delivery));
    tokio::join!(
        each_fails("network", &[], network.into_iter().map(named).collect()),
        each_fails("decode", &[], decode.into_iter().map(named).collect()),
    );
}

/// The processor time of the process, which does not depend on the load of the machine.
fn worked(exporter: &Exporter) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", exporter.pid())).unwrap();
    // Fields 14 and 15, counted after the process name in brackets; a tick is a hundredth of a second.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(10 * ticks)
}

/// Expects an endless body to be given up soon and without much memory, in this many attempts.
async fn is_dammed(account: &Account, name: &str, reason: &str, attempts: u32) {
    let (resident, before) = (account.exporter.resident_bytes(), worked(&account.exporter));
    account.fails(reason).await;
    let grown = account.exporter.peak_bytes().saturating_sub(resident);
    assert!(grown <= 48 << 20, "{name}: the peak grew by {grown} bytes");
    let took = worked(&account.exporter) - before;
    assert!(took < Duration::from_secs(2) * attempts, "{name}: {took:?}");
}

#[tokio::test]
async fn a_gzip_bomb_is_stopped_at_the_limit_of_an_answer() {
    let account = account(30, &[]).await;
    let before = account.listed();
    account.delivers(Delivery::Bomb(1 << 30));
    // Smaller pages are tried, down to two rows.
    is_dammed(&account, "bomb", "decode", 6).await;
    eventually("the log says so", || account.exporter.log().contains("larger than 33554432 bytes")).await;
    assert!(account.listed() - before <= 2 * 6, "{}", account.listed() - before);
}

#[tokio::test]
async fn rows_without_end_are_given_up_at_a_bound() {
    for framing in [Framing::UntilClose, Framing::Chunked, Framing::Length(1 << 40)] {
        let account = account(30, &[]).await;
        account.upstream.handle.fault(Rule::once(Action::Deliver(Delivery::Flood(framing, None))));
        is_dammed(&account, &format!("{framing:?}"), "decode", 1).await;
        eventually("the log says so", || account.exporter.log().contains("more than 10000 rows")).await;
        eventually("the connection is dropped", || account.upstream.handle.in_flight() == 0).await;
    }
}
