//! systemd, where it has started us: sockets that it hands over and what it likes to be told. Elsewhere nothing happens.
//!
//! Source: sd_listen_fds(3), sd_notify(3) and systemd.service(5).

use anyhow::Context;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::net::TcpListener;
use tracing::warn;

/// The sockets that were handed over; none where there are none.
///
/// They are taken out of the environment, so this is to be called once, before there are threads.
///
/// # Errors
/// When one is no TCP socket.
pub fn sockets() -> anyhow::Result<Vec<TcpListener>> {
    let mut handed = ListenFd::from_env();
    let taken = (0..handed.len()).filter_map(|index| handed.take_tcp_listener(index).transpose());
    taken.collect::<Result<_, _>>().context("of the sockets that were handed over")
}

/// Requests are answered from now on, by the settings in force.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Settings are read again until [`ready`] is told.
pub(super) fn reloading() {
    // The time is what makes systemd believe that this is about its own request.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "systemd is not told of the reload: {error}"),
    }
}

/// No request is accepted any more.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells that this process lives, as often as is wanted, for as long as it is polled.
pub(super) async fn heartbeat() {
    let Some(patience) = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero()) else {
        return std::future::pending().await;
    };
    let mut beats = tokio::time::interval(patience / 2);
    let mut heard = true;
    loop {
        beats.tick().await;
        // That it fails once is told, and not again at each beat.
        let told = sd_notify::notify(&[NotifyState::Watchdog]);
        if let (Err(error), true) = (&told, heard) {
            warn!(%error, "systemd cannot be told that this process lives: {error}");
        }
        heard = told.is_ok();
    }
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        warn!(%error, "systemd cannot be told how this service is: {error}");
    }
}
