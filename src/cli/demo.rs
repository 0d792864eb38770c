//! Flags of `demo` and `simulate`.

use clap::Args;

/// The simulated world.
#[derive(Args, Clone, Debug)]
pub struct WorldArgs {
    /// Repositories to begin with
    #[arg(long, default_value_t = 200)]
    pub repositories: usize,
    /// Organisations
    #[arg(long, default_value_t = 8)]
    pub namespaces: usize,
    /// The same seed gives the same world
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Simulated seconds a second: how fast the world grows
    #[arg(long, default_value_t = 600.0)]
    pub speed: f64,
}

/// Flags of `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// The world.
    #[command(flatten)]
    pub world: WorldArgs,
    /// Address to listen on; port 0 is a free one
    #[arg(long = "web.listen-address", default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    pub listen_address: String,
    /// How long a snapshot is served without asking again
    #[arg(long = "cache.window", default_value = "15s", value_name = "DURATION")]
    pub cache_window: String,
}

/// Flags of `simulate`.
#[derive(Args, Clone, Debug)]
pub struct SimulateArgs {
    /// The world.
    #[command(flatten)]
    pub world: WorldArgs,
    /// Address to listen on; port 0 is a free one
    #[arg(long, default_value = "127.0.0.1:10180", value_name = "ADDRESS")]
    pub listen_address: String,
    /// For each new repository one goes: the world changes and does not grow
    #[arg(long)]
    pub steady: bool,
    /// Before each answer
    #[arg(long, default_value = "0s", value_name = "DURATION")]
    pub latency: String,
}
