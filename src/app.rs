//! The composition root: builds the stages, connects those that must not know each other by passing functions, and shuts
//! them down in order. Nothing is decided here that a stage could decide.

mod memory;
mod call_counter;
mod landing;
mod shared_resources;
mod refresh;
mod live_metrics;
mod account;
mod reload_metrics;
mod web_config;
mod state_cleanup;
mod account_manager;
pub mod check;
#[cfg(feature = "demo")]
pub mod demo;
pub mod healthcheck;
pub mod manual;
mod progress_bar;
pub mod report;
pub mod scrape;
pub mod service;

use crate::cli::ServeArgs;
use crate::config::{Config, ListenAddress};
use crate::web;
use account_manager::AccountManager;
use anyhow::Context;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, ToSocketAddrs, lookup_host};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

/// How long the end of the program waits for blocking threads: enough to finish writing a snapshot, but a disk or a resolver
/// that hangs is not waited for.
const BLOCKING_SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(300);

/// Runs a program on a new runtime.
///
/// # Errors
/// Those of the program, or if threads cannot be started.
pub fn block_on<T>(program: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    try_threads()?;
    let runtime = runtime()?;
    // Boxed, as other large futures are: the main thread's stack keeps the memory of the copies that moving them makes.
    let program = Box::pin(program);
    let outcome = runtime.block_on(async {
        // A write beyond a limit on file sizes then fails like one on a full disk, instead of ending the process.
        let _file_size_signal = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
        program.await
    });
    runtime.shutdown_timeout(BLOCKING_SHUTDOWN_TIMEOUT);
    outcome
}

/// Threads besides the main one and that of the log without which nothing works: two of the runtime, and one for blocking
/// work.
const MIN_THREADS: usize = 3;

/// Starts and ends as many threads as are needed at least: the runtime and the log panic where they cannot start one.
///
/// # Errors
/// If they cannot be started.
pub fn try_threads() -> anyhow::Result<()> {
    let gate = parking_lot::RwLock::new(());
    let closed = gate.write();
    let started = std::thread::scope(|scope| {
        let threads = (0..MIN_THREADS).map(|_| std::thread::Builder::new().spawn_scoped(scope, || drop(gate.read())));
        let started = threads.collect::<io::Result<Vec<_>>>().map(drop);
        drop(closed);
        started
    });
    started.with_context(|| {
        format!(
            "cannot start {MIN_THREADS} threads: raise the limit of tasks (systemd: TasksMax, containers: pids limit)"
        )
    })
}

/// The runtime. Two threads are enough to serve responses, which are encoded beforehand. Blocking threads encode, sort and
/// resolve names; their number is limited, so that a resolver that hangs cannot pile up more.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .thread_keep_alive(Duration::from_secs(2))
        .enable_all()
        .build()
}

/// Writes to standard output.
fn print(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> anyhow::Result<()> {
    print_with(|out| parts.into_iter().try_for_each(|part| out.write_all(part.as_ref())))
}

/// Lets `write` write to standard output. If that is a pipe whose reader has gone, such as `head`, it has seen enough.
fn print_with(write: impl FnOnce(&mut io::StdoutLock<'static>) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Completes on SIGTERM or SIGINT. A second signal then ends the process at once.
///
/// Must be called within the runtime; the handlers are in place when it returns.
///
/// # Errors
/// If the handlers cannot be installed.
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

/// Serves until `stop` completes, then drains connections. Settings are reloaded from `args`. Sockets that systemd handed
/// over replace the addresses of the settings.
///
/// # Errors
/// If an address cannot be listened on or a stage cannot be built.
pub async fn serve(
    config: Config,
    args: ServeArgs,
    sockets: Vec<std::net::TcpListener>,
    stop: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    let mut listeners = Vec::new();
    if sockets.is_empty() {
        for address in &config.listen {
            listeners.push(listen(address, config.listen_is_default).await?);
        }
    } else if !config.listen_is_default {
        info!("listening on sockets of systemd; --web.listen-address is ignored");
    }
    for socket in sockets {
        let listener = socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket));
        listeners.push(listener.context("cannot use a socket that was handed over")?);
    }
    run(config, listeners, Some(args), stop).await
}

/// Serves on listeners that the caller has bound. Without `args` the settings cannot be reloaded.
///
/// # Errors
/// If a stage cannot be built.
pub async fn run(
    config: Config,
    listeners: Vec<TcpListener>,
    args: Option<ServeArgs>,
    stop: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    // Before anything is built: from here on SIGHUP is a request to reload. Without settings to reload it still ends the
    // process, as when its terminal is closed.
    let mut hangups = args.as_ref().map(|_| signal(SignalKind::hangup())).transpose()?;
    let mut stop = std::pin::pin!(stop);
    let landing = landing::Options { telemetry_path: config.web.telemetry_path.clone(), links: config.links };
    let starting = Box::pin(AccountManager::start(config.accounts, config.web_file, config.shown, landing, args));
    let accounts = tokio::select! {
        started = starting => started?,
        () = &mut stop => {
            info!("stopped");
            return Ok(());
        }
    };
    for listener in &listeners {
        info!(address = %listener.local_addr()?, "listening");
    }
    // Refreshes end first: scrapes that wait for one are answered with the data there is, while connections drain.
    let stop = async {
        stop.await;
        service::stopping();
        accounts.close();
    };
    let reloads = async {
        let Some(hangups) = &mut hangups else { return };
        while hangups.recv().await.is_some() {
            service::reloading();
            // Problems are in the log and in the metrics; the earlier settings stay in force.
            let _ = accounts.reload("on SIGHUP").await;
            service::ready();
        }
    };
    let changes = async {
        match &config.file {
            Some((path, read)) => accounts.follow(path, *read).await,
            None => std::future::pending().await,
        }
    };
    let web = web::Options { plain_text_bytes: accounts.plain_text_bytes(), ..bounded(config.web) };
    let security = accounts.web_config().current();
    service::ready();
    tokio::select! {
        () = web::serve(listeners, accounts.sites(), web, security, accounts.web_metrics(), stop) => {}
        () = async { tokio::join!(reloads, changes, accounts.clean_up(), accounts.web_config().follow(), service::heartbeat()); } => {}
    }
    accounts.last_writes().await;
    info!("stopped");
    Ok(())
}

/// File descriptors for everything but clients: standard streams, the runtime, listeners, at most 64 connections to the
/// API, files.
const RESERVED_FILES: usize = 96;

/// Limits connections to the file descriptors there are: a flood of clients must not cut the exporter off from the API.
fn bounded(mut web: web::Options) -> web::Options {
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
    if let Some(files) = files {
        // Of few, clients get half.
        let free = files.saturating_sub(RESERVED_FILES).max(files / 2).max(1);
        if free < web.limits.connections {
            info!(
                limit = free,
                open_files = files,
                "serving at most {free} connections: the limit is {files} open files"
            );
            web.limits.connections = free;
            web.limits.connections_per_address = web.limits.connections_per_address.min(free.div_ceil(4));
        }
    }
    web
}

/// Connections that the kernel queues until they are accepted; further ones are retried by the client. The system may
/// allow fewer (`net.core.somaxconn`).
const BACKLOG: u32 = 1024;

async fn listen(address: &ListenAddress, is_default: bool) -> anyhow::Result<TcpListener> {
    match address {
        ListenAddress::Any(port) => bind_any(*port).await,
        ListenAddress::Socket(address) if is_default => bind_any(address.port()).await,
        ListenAddress::Socket(address) => bind(address).await,
        ListenAddress::Name(host, port) => bind((host.as_str(), *port)).await,
    }
    .with_context(|| format!("cannot listen on {address}"))
}

/// Listens on every address: of IPv6 and IPv4, or of IPv4 alone if the host has no IPv6.
async fn bind_any(port: u16) -> io::Result<TcpListener> {
    let bound = bind((Ipv6Addr::UNSPECIFIED, port)).await;
    let has_no_ipv6 = |error: &io::Error| {
        matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL | Errno::PROTONOSUPPORT))
    };
    match bound {
        Err(error) if has_no_ipv6(&error) => bind((Ipv4Addr::UNSPECIFIED, port)).await,
        bound => bound,
    }
}

/// Binds the first usable address of a name, as `TcpListener::bind` does, which cannot set the backlog.
async fn bind(name: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let mut outcome = Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address"));
    for address in lookup_host(name).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        outcome = socket.and_then(|socket| {
            // A restart does not wait for connections of the earlier process to time out.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        });
        if outcome.is_ok() {
            break;
        }
    }
    outcome.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            io::Error::new(error.kind(), format!("{error}; choose another address or port with --web.listen-address"))
        }
        _ => error,
    })
}
