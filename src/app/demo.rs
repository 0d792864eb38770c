//! The exporter against the simulator, and the simulator alone: for trying both without an account.

mod history;
mod world;

use crate::cli::{Cli, DemoArgs, SimulateArgs};
use crate::config::environment::Environment;
use crate::config::{self, Config, Problems};
use crate::logging;
use anyhow::Context;
use clap::Parser;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};
use swr_simulator::{DEMO_ACCESS_KEY, DEMO_PROJECT_ID, DEMO_SECRET_KEY, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

/// The collectors that make a call per repository.
const SINGLE_REPOSITORIES: [&str; 3] = ["--collector.tags", "--collector.details", "--collector.retention"];

/// Runs the simulator and the exporter in one process until a signal comes, or writes the past of the simulated world.
///
/// # Errors
/// When a flag is wrong, an address cannot be listened on or a file cannot be written.
pub fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let window = config::of_flag("--cache.window", &args.cache_window, config::positive)?;
    let address = config::of_flag("--web.listen-address", &args.listen_address, str::parse)?;
    let world = world::options(&args.world, Duration::ZERO)?;
    let today = world::beginning_of(args.today.as_deref())?;
    if let (Some(length), Some(output)) = (&args.history, &args.output) {
        let length = config::of_flag("--history", length, history::length)?;
        return super::block_on(history::write(world, today, length, args, output));
    }
    let _log = logging::start(logging::Options {
        level: tracing::level_filters::LevelFilter::INFO,
        format: logging::Format::Logfmt,
    })
    .map_err(anyhow::Error::msg)?;
    super::block_on(async {
        let stop = super::stop_signal()?;
        let speed = world.speed;
        let simulator = world::at(world, today, SystemTime::now());
        simulator.configure(|options| options.speed = speed);
        let (endpoint, serving) = serve(simulator).await?;
        // Data must not be withdrawn before it is read again.
        let max_age = if window > Duration::from_hours(1) { args.cache_window.as_str() } else { "1h" };
        let flags = ["--cache.max-age", max_age].into_iter().chain(SINGLE_REPOSITORIES).collect::<Vec<_>>();
        let config = demo_config(&endpoint, &args.cache_window, &flags)?;
        let listener = super::listen(&address, false).await?;
        let address = to_open(listener.local_addr()?);
        super::print([format!(
            "Exporting a simulated account with {} repositories. Open\n\
             \n  http://{address}/          status\
             \n  http://{address}/metrics   metrics, as Prometheus scrapes them\n\
             \nand end it with Ctrl-C. The simulated SWR API is at {endpoint}.\n",
            args.world.repositories
        )])?;
        let scraping = tokio::spawn(scrape_regularly(address, window));
        let outcome = super::run(config, vec![listener], None, stop).await;
        scraping.abort();
        serving.abort();
        outcome
    })
}

/// Serves the simulated API until a signal comes.
///
/// # Errors
/// When the address cannot be listened on.
pub fn simulate(args: &SimulateArgs) -> anyhow::Result<()> {
    let latency = config::of_flag("--latency", &args.latency, config::duration)?;
    let address = config::of_flag("--listen-address", &args.listen_address, str::parse)?;
    let options = swr_simulator::Options { steady: args.steady, ..world::options(&args.world, latency)? };
    super::block_on(async {
        let stop = super::stop_signal()?;
        let listener = super::listen(&address, false).await?;
        super::print([format!(
            "The simulated SWR API is at http://{}\naccess key {DEMO_ACCESS_KEY}\nsecret key {DEMO_SECRET_KEY}\n",
            to_open(listener.local_addr()?)
        )])?;
        Simulator::new(options).serve(listener, stop).await;
        Ok(())
    })
}

/// Serves a simulator on loopback until the task is aborted; its URL and the task.
async fn serve(simulator: Simulator) -> anyhow::Result<(String, tokio::task::JoinHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let serving = tokio::spawn(async move { simulator.serve(listener, std::future::pending()).await });
    Ok((endpoint, serving))
}

/// Settings as a user would give them, for an account on a virtual machine with an agency.
fn demo_config(endpoint: &str, window: &str, more: &[&str]) -> Result<Config, Problems> {
    let settings = [
        ("--swr.endpoint", endpoint),
        ("--swr.project-id", DEMO_PROJECT_ID),
        ("--credentials.source", "metadata"),
        ("--credentials.metadata-endpoint", endpoint),
        ("--cache.window", window),
        // The simulated API needs no sparing.
        ("--swr.rate-limit", "1000"),
        ("--swr.burst", "1000"),
        ("--collector.tags.rate-limit", "500"),
        ("--collector.tags.detail", "platform/.*"),
        // All clients are on one machine.
        ("--web.max-requests", "1000"),
        ("--web.max-connections", "2048"),
        ("--web.max-connections-per-address", "2048"),
    ];
    let settings = settings.iter().flat_map(|(flag, value)| [*flag, *value]);
    let flags = ["swr-exporter", "--collector.account", "--collector.enterprise.artifacts"].into_iter();
    let cli = Cli::try_parse_from(flags.chain(more.iter().copied()).chain(settings));
    // The environment belongs to the real exporter.
    config::resolve(&cli.map_err(|error| Problems::of(error.to_string()))?.serve, &Environment::default())
}

/// Scrapes the demo once per window, so that its status page lives without a Prometheus.
async fn scrape_regularly(address: String, window: Duration) {
    loop {
        if let Err(error) = scrape(&address).await {
            debug!(%error, "the demo cannot scrape itself: {error}");
        }
        tokio::time::sleep(window).await;
    }
}

async fn scrape(address: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())
        .await?;
    let mut buffer = vec![0; 64 << 10];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// An address to open from this machine.
fn to_open(address: SocketAddr) -> String {
    if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() }
}
