//! systemd integration: socket activation, notifications and the watchdog. Does nothing where systemd has not started the
//! program.
//!
//! Source: sd_listen_fds(3), sd_notify(3) and systemd.service(5).

use anyhow::Context;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::net::TcpListener;
use tracing::warn;

/// The sockets that systemd handed over.
///
/// Changes the environment, so it must be called once, before there are threads.
///
/// # Errors
/// If one is not a TCP socket.
pub fn sockets() -> anyhow::Result<Vec<TcpListener>> {
    let mut handed = ListenFd::from_env();
    let taken = (0..handed.len()).filter_map(|index| handed.take_tcp_listener(index).transpose());
    taken.collect::<Result<_, _>>().context("of the sockets that were handed over")
}

/// Requests are answered from now on.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A reload has begun; [`ready`] ends it.
pub(super) fn reloading() {
    // By the time, systemd recognises the answer to its own request.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "cannot notify systemd of the reload: {error}"),
    }
}

/// No more requests are accepted.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Feeds the watchdog at half its interval, if there is one, for as long as the future is polled.
pub(super) async fn heartbeat() {
    let Some(interval) = sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero()) else {
        return std::future::pending().await;
    };
    let mut beats = tokio::time::interval(interval / 2);
    let mut delivered = true;
    loop {
        beats.tick().await;
        // Only the first failure in a row is logged.
        let result = sd_notify::notify(&[NotifyState::Watchdog]);
        if let (Err(error), true) = (&result, delivered) {
            warn!(%error, "cannot notify the watchdog of systemd: {error}");
        }
        delivered = result.is_ok();
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "cannot notify systemd of the state: {error}");
    }
}
