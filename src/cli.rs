//! Commands and flags as clap parses them. Values stay texts here: `config` parses them, so that it can report every
//! problem at once.
#![allow(rustdoc::broken_intra_doc_links, rustdoc::bare_urls, reason = "these comments are what --help prints")]

pub mod flags;
#[cfg(feature = "demo")]
mod demo;

use clap::{Args, Parser, Subcommand};
#[cfg(feature = "demo")]
pub use demo::{DemoArgs, SimulateArgs, WorldArgs};
pub use flags::ServeArgs;
use std::path::PathBuf;

/// Prometheus exporter for Huawei Cloud SWR (Software Repository for Container).
#[derive(Debug, Parser)]
#[command(name = "swr-exporter", version, args_conflicts_with_subcommands = true, max_term_width = 120)]
pub struct Cli {
    /// What to do; without a command, `serve`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of `serve`, which may be given without its name.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve metrics (what is done without a command).
    Serve(Box<ServeArgs>),
    /// Try all that a refresh needs and say what does not work: 0 if everything does, 1 if not, 2 for wrong settings.
    Check(Box<CheckArgs>),
    /// Collect once and write the metrics to standard output or into a file, e.g. for node_exporter's textfile collector.
    Scrape(Box<ScrapeArgs>),
    /// Serve metrics of a simulated account: no cloud, no credentials, no settings.
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Serve the simulated SWR API alone, to try other clients against.
    #[cfg(feature = "demo")]
    Simulate(SimulateArgs),
    /// Print completions for a shell, to be put where it looks for them.
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page, that of a command or, without one, of all with the flags of `serve`.
    Man {
        /// Command
        #[arg(value_parser = COMMANDS)]
        command: Option<String>,
    },
    /// Ask an exporter on this machine whether it works: 0 if it does, 1 if not.
    Healthcheck(HealthcheckArgs),
}

/// The names of the commands.
#[cfg(feature = "demo")]
const COMMANDS: [&str; 8] = ["serve", "check", "scrape", "demo", "simulate", "completions", "man", "healthcheck"];
#[cfg(not(feature = "demo"))]
const COMMANDS: [&str; 6] = ["serve", "check", "scrape", "completions", "man", "healthcheck"];

/// Flags of `check`: those of `serve`, and how to check them.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// The settings.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Check settings and secret files alone, and ask nobody
    #[arg(long, help_heading = "Check")]
    pub offline: bool,
    /// text or json
    #[arg(long, default_value = "text", value_parser = ["text", "json"], value_name = "FORMAT", help_heading = "Check")]
    pub format: String,
}

/// Flags of `scrape`: those of `serve` that concern accounts, and where to write which format.
#[derive(Args, Clone, Debug)]
pub struct ScrapeArgs {
    /// The settings.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Account of the configuration file to collect, where there are several
    #[arg(long, value_name = "NAME", help_heading = "Scrape once")]
    pub account: Option<String>,
    /// text or openmetrics
    #[arg(
        long,
        default_value = "text",
        value_parser = ["text", "openmetrics"],
        value_name = "FORMAT",
        help_heading = "Scrape once"
    )]
    pub format: String,
    /// File to write instead of standard output; replaced as a whole, and left as it is when nothing could be read
    #[arg(long, value_name = "FILE", help_heading = "Scrape once")]
    pub output: Option<PathBuf>,
}

/// Flags of `healthcheck`.
#[derive(Args, Clone, Debug)]
pub struct HealthcheckArgs {
    /// Address that the exporter listens on, of several the first [default: where an exporter on this machine listens, or else
    /// [::]:10179]
    #[arg(
        long = "web.listen-address",
        env = "SWR_EXPORTER_WEB_LISTEN_ADDRESS",
        value_name = "ADDRESS",
        hide_env_values = true
    )]
    pub listen_address: Option<String>,
    /// The longest that connecting and answering may take
    #[arg(long, default_value = "3s", value_name = "DURATION")]
    pub timeout: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn each_command_has_a_manual_page() {
        let command = Cli::command();
        let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(names, COMMANDS);
    }
}
