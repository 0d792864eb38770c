//! The exporter against the simulator, and the simulator alone: for trying both without an account.

use crate::auth::{CredentialProvider, ResolvedProvider, metadata};
use crate::base::rate_limit::Rate;
use crate::cli::{DemoArgs, SimulateArgs, WorldArgs};
use crate::config::{self, Account, Config, Problems};
use crate::logging;
use crate::transport::HttpsOptions;
use crate::{cache, collect, exposition, swr, web};
use anyhow::Context;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;
use swr_simulator::{DEMO_ACCESS_KEY, DEMO_PROJECT_ID, DEMO_SECRET_KEY, Simulator};
use tokio::net::TcpListener;

/// Runs the simulator and the exporter in one process until a signal comes.
///
/// # Errors
/// When an address cannot be listened on.
pub fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let window = config::of_flag("--cache.window", &args.cache_window, config::positive)?;
    config::of_flag("--web.listen-address", &args.listen_address, config::listen_address)?;
    let world = world(&args.world, Duration::ZERO)?;
    let _log = logging::start(logging::Options {
        level: tracing::level_filters::LevelFilter::INFO,
        format: logging::Format::Logfmt,
    })
    .map_err(anyhow::Error::msg)?;
    super::block_on(async {
        let stop = super::stop_signal()?;
        let upstream = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
        let endpoint = format!("http://{}", upstream.local_addr()?);
        // Some repositories that nobody cares for any more, as everywhere.
        let simulator = Simulator::new(swr_simulator::Options { abandoned: 8, ..world });
        let serving = tokio::spawn(async move { simulator.serve(upstream, std::future::pending()).await });
        let listener = super::listen(&args.listen_address, false).await?;
        let address = to_open(listener.local_addr()?);
        print(&format!(
            "A simulated account of {} repositories is being exported. Open\n\
             \n  http://{address}/          how it stands\
             \n  http://{address}/metrics   what Prometheus scrapes\n\
             \nand end it with Ctrl-C. The simulated SWR API is at {endpoint}.\n",
            args.world.repositories
        ))?;
        let config = demo_config(endpoint, window);
        let outcome = super::run(config, vec![listener], None, stop).await;
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
    config::of_flag("--listen-address", &args.listen_address, config::listen_address)?;
    let options = swr_simulator::Options { steady: args.steady, ..world(&args.world, latency)? };
    super::block_on(async {
        let stop = super::stop_signal()?;
        let listener = super::listen(&args.listen_address, false).await?;
        print(&format!(
            "The simulated SWR API is at http://{}\naccess key {DEMO_ACCESS_KEY}\nsecret key {DEMO_SECRET_KEY}\n",
            to_open(listener.local_addr()?)
        ))?;
        Simulator::new(options).serve(listener, stop).await;
        Ok(())
    })
}

/// Faster than a year in five minutes nobody could watch it.
const FASTEST: f64 = 100_000.0;

fn world(args: &WorldArgs, latency: Duration) -> Result<swr_simulator::Options, Problems> {
    if !(0.0..=FASTEST).contains(&args.speed) {
        return Err(Problems::of(format!("--speed: `{}` is no number from 0 to {FASTEST}", args.speed)));
    }
    Ok(swr_simulator::Options {
        repositories: args.repositories,
        namespaces: args.namespaces,
        seed: args.seed,
        speed: args.speed,
        latency,
        start: std::time::SystemTime::now(),
        ..swr_simulator::Options::default()
    })
}

/// Where to reach from here who listens there.
fn to_open(address: SocketAddr) -> String {
    if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() }
}

/// The signed path, as with a real account on an instance that an agency is bound to; only the addresses differ.
fn demo_config(endpoint: String, window: Duration) -> Config {
    let account = Account {
        name: "demo".to_owned(),
        credentials: ResolvedProvider::named(CredentialProvider::Metadata(metadata::MetadataProvider {
            endpoint: endpoint.clone(),
            because: metadata::Selection::Chosen,
        })),
        // No cloud has to be spared, and the small world is to be read at once.
        client: swr::Options {
            endpoint,
            project_id: Some(DEMO_PROJECT_ID.to_owned()),
            rate: Rate { per_second: 1000.0, burst: 1000.0 },
            ..swr::Options::default()
        },
        https: HttpsOptions::default(),
        collect: collect::Options { account: true, enterprise: true, ..collect::Options::default() },
        tags: collect::tags::Options {
            tags: true,
            details: true,
            series: "platform/.*".parse().ok(),
            // Faster than a listing waits for them: the first page has the tags of the usual world.
            per_second: 500.0,
            ..collect::tags::Options::default()
        },
        cache: cache::Options { window, ..cache::Options::default() },
        exposition: exposition::Options::default(),
        state: None,
        about: config::About::default(),
        fingerprint: config::Fingerprint::default(),
        origins: config::Origins::default(),
    };
    let limits = web::Limits { connections: 2048, connections_per_address: 2048, ..web::Limits::default() };
    Config {
        file: None,
        listen: Vec::new(),
        listen_is_default: false,
        // Whoever tries it tries it from one machine.
        web: web::Options { max_requests: 1000, limits, ..web::Options::default() },
        web_file: None,
        accounts: vec![account],
        shown: "# The demo has its own settings.\n".to_owned(),
        log: logging::Options { level: tracing::level_filters::LevelFilter::INFO, format: logging::Format::Logfmt },
    }
}

/// To standard output, also when it is a pipe.
fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
