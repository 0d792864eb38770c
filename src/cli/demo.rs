//! Flags of `demo` and `simulate`.

use clap::Args;
use std::path::PathBuf;

/// The simulated world.
#[derive(Args, Clone, Debug)]
pub struct WorldArgs {
    /// Repositories at the start
    #[arg(long, default_value_t = 200)]
    pub repositories: usize,
    /// Organizations; `demo` has up to four more
    #[arg(long, default_value_t = 8)]
    pub namespaces: usize,
    /// The same seed gives the same world
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Simulated seconds per second: how fast the world grows; dates never lie in the future
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
}

/// Flags of `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// The world.
    #[command(flatten)]
    pub world: WorldArgs,
    /// Address to listen on; port 0 takes a free port
    #[arg(long = "web.listen-address", default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    pub listen_address: String,
    /// How long data is served without a refresh; the demo scrapes itself as often
    #[arg(long = "cache.window", default_value = "15s", value_name = "DURATION")]
    pub cache_window: String,
    /// Write the past of the world, up to 45 days, to --output and exit
    #[arg(long, requires = "output", value_name = "DURATION")]
    pub history: Option<String>,
    /// File for --history: OpenMetrics for `promtool tsdb create-blocks-from openmetrics`
    #[arg(long, requires = "history", value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Label `instance` in --history: the target as Prometheus scrapes it
    #[arg(long, default_value = "localhost:10179", value_name = "ADDRESS")]
    pub instance: String,
    /// Day (UTC) on which the past of the world ends [default: today]; --history and the demo must use the same
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub today: Option<String>,
}

/// Flags of `simulate`.
#[derive(Args, Clone, Debug)]
pub struct SimulateArgs {
    /// The world.
    #[command(flatten)]
    pub world: WorldArgs,
    /// Address to listen on; port 0 takes a free port
    #[arg(long, default_value = "127.0.0.1:10180", value_name = "ADDRESS")]
    pub listen_address: String,
    /// Delete a repository for each new one: the world changes and does not grow
    #[arg(long)]
    pub steady: bool,
    /// Delay of each response
    #[arg(long, default_value = "0s", value_name = "DURATION")]
    pub latency: String,
}
