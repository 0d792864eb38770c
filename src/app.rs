//! The composition root: builds the stages, joins those that must not know each other by passing functions, and drains
//! them in order. Nothing is decided here that a stage could decide.

mod account;
pub mod demo;
mod live;

pub use account::Account;

use crate::config::Config;
use crate::web::{self, Site, Tally};
use anyhow::Context;
use prometheus::Registry;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

/// The runtime. Two threads serve whatever this does: pages are finished bytes. The blocking threads encode, sort and
/// resolve names; a few are enough, and a resolver that hangs cannot pile up more.
///
/// # Errors
/// When threads cannot be started.
pub fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .thread_keep_alive(Duration::from_secs(2))
        .enable_all()
        .build()
}

/// Completes on SIGTERM or SIGINT; from then on a second one ends the process at once.
///
/// Must be called within the runtime; the handlers are in place when it returns.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    Ok(async move {
        let name = next().await;
        info!(signal = name, "stopping on {name}");
        tokio::spawn(async move {
            next().await;
            std::process::exit(1);
        });
    })
}

/// Serves until `stop` completes, then drains.
///
/// # Errors
/// When an address cannot be listened on or a stage cannot be built.
pub async fn serve(config: Config, stop: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
    let mut listeners = Vec::new();
    for address in &config.listen {
        listeners.push(listen(address, config.listen_is_default).await?);
    }
    run(config, listeners, stop).await
}

/// Serves on listeners that the caller has bound.
///
/// # Errors
/// When a stage cannot be built.
pub async fn run(
    config: Config,
    listeners: Vec<TcpListener>,
    stop: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    let registry = Registry::new();
    let tally = Arc::new(Tally::default());
    let account = Account::build(config.account, &registry)?;
    live::register(&registry, &tally, account.cache());
    for listener in &listeners {
        info!(address = %listener.local_addr()?, "listening");
    }
    let site = Site {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        accounts: vec![account.on_the_web()],
        live: live::encoder(registry),
        tally,
    };
    web::serve(listeners, Arc::new(site), config.web, stop).await;
    account.close();
    info!("stopped");
    Ok(())
}

async fn listen(address: &str, fall_back: bool) -> anyhow::Result<TcpListener> {
    // As Go programs write "any address".
    let full = if address.starts_with(':') { format!("[::]{address}") } else { address.to_owned() };
    match TcpListener::bind(&full).await {
        Err(_) if fall_back || address.starts_with(':') => {
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default();
            // The host has no IPv6, or the error comes again and is told.
            TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await
        }
        bound => bound,
    }
    .with_context(|| format!("cannot listen on {address}"))
}
