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
    /// Report what could be deleted and what that would free: by clean-up rule, organization, repository and tag. Deletes
    /// nothing.
    Report(Box<ReportArgs>),
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
const COMMANDS: [&str; 9] =
    ["serve", "check", "scrape", "report", "demo", "simulate", "completions", "man", "healthcheck"];
#[cfg(not(feature = "demo"))]
const COMMANDS: [&str; 7] = ["serve", "check", "scrape", "report", "completions", "man", "healthcheck"];

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

/// Flags of `report`: those of `serve` that concern accounts, and what to report.
#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// The settings.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Account of the configuration file to report on, where there are several
    #[arg(long, value_name = "NAME", help_heading = "Report")]
    pub account: Option<String>,
    /// Clean-up rule, such as older_than_30d or beyond_newest_5, in place of --collector.tags.reclaim; may be repeated
    #[arg(long, value_name = "RULE", value_delimiter = ',', help_heading = "Report")]
    pub rule: Vec<String>,
    /// Apply the rules only in this organization, or in this one repository
    #[arg(long, value_name = "NAMESPACE[/REPOSITORY]", help_heading = "Report")]
    pub only: Option<String>,
    /// List the tags that the rules pick, those first that free most
    #[arg(long, help_heading = "Report")]
    pub tags: bool,
    /// Length of each list [default: 10, and every tag]
    #[arg(long, value_name = "N", help_heading = "Report")]
    pub top: Option<String>,
    /// text, markdown, json or csv
    #[arg(
        long,
        default_value = "text",
        value_parser = ["text", "markdown", "json", "csv"],
        value_name = "FORMAT",
        help_heading = "Report"
    )]
    pub format: String,
    /// Use what an exporter has left in --cache.directory, and ask nobody
    #[arg(long, help_heading = "Report")]
    pub offline: bool,
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
