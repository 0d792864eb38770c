//! Commands and flags as clap parses them. Values stay texts here: `config` parses them, so that it can report every
//! problem at once.
#![allow(rustdoc::broken_intra_doc_links, rustdoc::bare_urls, reason = "these comments are what --help prints")]

pub mod flags;
pub mod help;
#[cfg(feature = "demo")]
mod demo;

use clap::{Args, Parser, Subcommand};
#[cfg(feature = "demo")]
pub use demo::{DemoArgs, SimulateArgs, WorldArgs};
pub use flags::ServeArgs;
use std::path::PathBuf;

/// Prometheus exporter for Huawei Cloud SWR (Software Repository for Container).
#[derive(Debug, Parser)]
#[command(
    name = "swr-exporter",
    version,
    args_conflicts_with_subcommands = true,
    max_term_width = 120,
    after_help = help::short(), after_long_help = help::LONG
)]
pub struct Cli {
    /// The command; `serve` by default.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of `serve`, whose name can be left out.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the exporter (default)
    #[command(after_help = help::short(), after_long_help = help::LONG)]
    Serve(Box<ServeArgs>),
    /// Verify settings, credentials, connectivity and permissions
    #[command(after_help = help::short(), after_long_help = help::LONG)]
    Check(Box<CheckArgs>),
    /// Collect once and write the metrics, for cron and node_exporter
    #[command(after_help = help::short(), after_long_help = help::LONG)]
    Scrape(Box<ScrapeArgs>),
    /// Report what could be deleted and what that would free; deletes nothing
    #[command(after_help = help::short(), after_long_help = help::LONG)]
    Report(Box<ReportArgs>),
    /// Run the exporter with a simulated account
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Run the simulated API alone, to try other clients
    #[cfg(feature = "demo")]
    Simulate(SimulateArgs),
    /// Print shell completions
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page
    Man {
        /// Command
        #[arg(value_parser = COMMANDS)]
        command: Option<String>,
    },
    /// Ask an exporter on this machine whether it works (exit code: 0 yes, 1 no)
    Healthcheck(HealthcheckArgs),
}

/// The names of the commands.
#[cfg(feature = "demo")]
const COMMANDS: [&str; 9] =
    ["serve", "check", "scrape", "report", "demo", "simulate", "completions", "man", "healthcheck"];
#[cfg(not(feature = "demo"))]
const COMMANDS: [&str; 7] = ["serve", "check", "scrape", "report", "completions", "man", "healthcheck"];

/// Flags of `check`: those of `serve`, and how to check them.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Check")]
pub struct CheckArgs {
    /// The settings.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Validate settings and secret files only, and contact nobody
    #[arg(long)]
    pub offline: bool,
    /// Show every check, not only failures
    #[arg(short, long)]
    pub verbose: bool,
    /// text or json
    #[arg(long, default_value = "text", value_parser = ["text", "json"], hide_possible_values = true)]
    pub format: String,
}

/// Flags of `scrape`: those of `serve` that concern accounts, and where to write which format.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Scrape once")]
pub struct ScrapeArgs {
    /// The settings.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Account of the configuration file to collect, if it has several
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// text or openmetrics
    #[arg(long, default_value = "text", value_parser = ["text", "openmetrics"], hide_possible_values = true)]
    pub format: String,
    /// File to write instead of standard output; replaced as a whole, and left alone if nothing could be read
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Flags of `report`: those of `serve` that concern accounts, and what to report.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Report")]
pub struct ReportArgs {
    /// The settings.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Account of the configuration file to report on, if it has several
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// Clean-up rule, such as older_than_30d or beyond_newest_5, instead of --collector.tags.reclaim; can be repeated
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    pub rule: Vec<String>,
    /// Apply the rules only in this organization, or in this one repository
    #[arg(long, value_name = "NAMESPACE[/REPOSITORY]")]
    pub only: Option<String>,
    /// List the selected tags, those that free most first
    #[arg(long)]
    pub tags: bool,
    /// Length of each list [default: 10, and every tag]
    #[arg(long, value_name = "N")]
    pub top: Option<String>,
    /// text, markdown, json or csv
    #[arg(long, default_value = "text", value_parser = ["text", "markdown", "json", "csv"], hide_possible_values = true)]
    pub format: String,
    /// Use what an exporter keeps in --cache.directory, and contact nobody
    #[arg(long)]
    pub offline: bool,
}

/// Flags of `healthcheck`.
#[derive(Args, Clone, Debug)]
pub struct HealthcheckArgs {
    /// Address of the exporter; of several the first [default: found by its process, or else [::]:10179]
    #[arg(
        long = "web.listen-address",
        env = "SWR_EXPORTER_WEB_LISTEN_ADDRESS",
        value_name = "ADDRESS",
        hide_env_values = true
    )]
    pub listen_address: Option<String>,
    /// Time limit
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
