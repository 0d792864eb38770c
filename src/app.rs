//! The composition root: builds the stages, joins those that must not know each other by passing functions, and drains
//! them in order. Nothing is decided here that a stage could decide.

mod call_counter;
mod landing;
mod account;
pub mod check;
mod shared_resources;
#[cfg(feature = "demo")]
pub mod demo;
mod reload_metrics;
mod account_manager;
pub mod healthcheck;
mod live_metrics;
pub mod manual;
mod memory;
mod blocking_reader;
mod refresh;
pub mod scrape;
pub mod service;
mod snapshot_file;
mod tag_file;
mod web_config;

use crate::cli::ServeArgs;
use crate::config::Config;
use crate::web;
use account_manager::AccountManager;
use anyhow::Context;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, ToSocketAddrs, lookup_host};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

/// What still runs on blocking threads once all is served may take so long: a snapshot that is being kept is finished,
/// a disk or a resolver that hangs is not waited for.
const LAST_WORK: Duration = Duration::from_millis(300);

/// Runs a program on a runtime of its own.
///
/// # Errors
/// Those of the program, or when threads cannot be started.
pub fn block_on(program: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let outcome = runtime.block_on(program);
    runtime.shutdown_timeout(LAST_WORK);
    outcome
}

/// The runtime. Two threads serve whatever this does: pages are finished bytes. The blocking threads encode, sort and
/// resolve names; a few are enough, and a resolver that hangs cannot pile up more.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
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

/// Serves until `stop` completes, then drains. `args` are what the settings are read from again. Where sockets were handed
/// over, they are listened on in the place of the addresses of the settings.
///
/// # Errors
/// When an address cannot be listened on or a stage cannot be built.
pub async fn serve(
    config: Config,
    args: ServeArgs,
    sockets: Vec<std::net::TcpListener>,
    stop: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    let mut listeners = Vec::new();
    if !sockets.is_empty() {
        for socket in sockets {
            socket.set_nonblocking(true).context("cannot use a socket that was handed over")?;
            listeners.push(TcpListener::from_std(socket).context("cannot use a socket that was handed over")?);
        }
        if !config.listen_is_default {
            info!("sockets were handed over: --web.listen-address is left alone");
        }
        return run(config, listeners, Some(args), stop).await;
    }
    for address in &config.listen {
        listeners.push(listen(address, config.listen_is_default).await?);
    }
    run(config, listeners, Some(args), stop).await
}

/// Serves on listeners that the caller has bound. Without `args` the settings cannot be read again.
///
/// # Errors
/// When a stage cannot be built.
pub async fn run(
    config: Config,
    listeners: Vec<TcpListener>,
    args: Option<ServeArgs>,
    stop: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    // Before anything is built: from here on SIGHUP is a request and no longer the end of the process. Where there is
    // nothing to read again it stays the end, as of a terminal that is closed.
    let mut hangups = args.as_ref().map(|_| signal(SignalKind::hangup())).transpose()?;
    let fleet =
        AccountManager::start(config.accounts, config.web_file, config.shown, &config.web.telemetry_path, args)?;
    for listener in &listeners {
        info!(address = %listener.local_addr()?, "listening");
    }
    // The refreshes end first: whoever waits for one is answered with what there is, while connections drain.
    let stop = async {
        stop.await;
        service::stopping();
        fleet.close();
    };
    let reloads = async {
        let Some(hangups) = &mut hangups else { return };
        while hangups.recv().await.is_some() {
            service::reloading();
            // What is wrong is in the log and in the metrics; those before stay in force.
            let _ = fleet.reload("on SIGHUP").await;
            service::ready();
        }
    };
    let changes = async {
        match &config.file {
            Some((path, read)) => fleet.follow(path, *read).await,
            None => std::future::pending().await,
        }
    };
    let (web, security) = (bounded(config.web), fleet.web_config().current());
    service::ready();
    tokio::select! {
        () = web::serve(listeners, fleet.sites(), web, security, fleet.web_metrics(), stop) => {}
        () = async { tokio::join!(reloads, changes, fleet.web_config().follow(), service::heartbeat()); } => {}
    }
    fleet.kept().await;
    info!("stopped");
    Ok(())
}

/// Descriptors for all that is no client's connection: standard streams, the runtime, listeners, the upstream (64 at the
/// most), files.
const RESERVED_FILES: usize = 96;

/// No more connections than there are descriptors for: a flood of clients must not keep us from the upstream.
fn bounded(mut web: web::Options) -> web::Options {
    if let Some(files) = most_open_files() {
        // Where there is little, half is for clients.
        let free = files.saturating_sub(RESERVED_FILES).max(files / 2).max(1);
        if free < web.limits.connections {
            info!(limit = free, open_files = files, "at most {free} connections are served: {files} files may be open");
            web.limits.connections = free;
        }
    }
    web
}

/// The soft limit of open files, where the system says it in `/proc` (Linux) and there is one.
fn most_open_files() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Connections that the kernel holds ready until there is room for them; more find the door shut for a moment. The
/// system may allow fewer (`net.core.somaxconn`).
const BACKLOG: u32 = 1024;

async fn listen(address: &str, fall_back: bool) -> anyhow::Result<TcpListener> {
    // As Go programs write "any address".
    let full = if address.starts_with(':') { format!("[::]{address}") } else { address.to_owned() };
    match bind(&full).await {
        Err(_) if fall_back || address.starts_with(':') => {
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default();
            // The host has no IPv6, or the error comes again and is told.
            bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await
        }
        bound => bound,
    }
    .with_context(|| format!("cannot listen on {address}"))
}

/// As `TcpListener::bind`, which has no say in the backlog: the first address of a name that can be listened on.
async fn bind(name: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let mut outcome = Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address"));
    for address in lookup_host(name).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        outcome = socket.and_then(|socket| {
            // A restart need not wait for the connections of the process before.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        });
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}
