//! Parses the command line, runs the command and prints an error with its causes once. Exit codes: 0 done, 1 failed while
//! starting or running, 2 invalid flags or settings.

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;
use swr_exporter::cli::{Cli, Command, HealthcheckArgs};
use swr_exporter::{app, config, logging};

/// Returns memory to the system after a refresh; Cargo.toml has the figures.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    no_core_dumps();
    let cli = Cli::parse();
    let outcome = match cli.command {
        None => serve(&cli.serve),
        Some(Command::Serve(args)) => serve(&args),
        Some(Command::Check(args)) => match app::check::run(&args) {
            Ok(true) => return ExitCode::SUCCESS,
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => Err(error),
        },
        Some(Command::Scrape(args)) => app::scrape::run(&args),
        Some(Command::Completions { shell }) => app::manual::completions(shell),
        Some(Command::Man { command }) => app::manual::page(command.as_deref()),
        #[cfg(feature = "demo")]
        Some(Command::Demo(args)) => app::demo::run(&args),
        #[cfg(feature = "demo")]
        Some(Command::Simulate(args)) => app::demo::simulate(&args),
        Some(Command::Healthcheck(args)) => healthcheck(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If even this fails there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "swr-exporter: {error:#}");
            ExitCode::from(if error.is::<config::Problems>() { 2 } else { 1 })
        }
    }
}

/// Disables core dumps, which would contain secrets. Making the process undumpable would be stricter, but hides the files
/// that `process_*` metrics are read from.
fn no_core_dumps() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    // If the system forbids it, nothing else can be done.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
}

fn serve(args: &swr_exporter::cli::ServeArgs) -> anyhow::Result<()> {
    // Before any thread is started.
    let sockets = app::service::sockets()?;
    let config = config::resolve(args, &|name| std::env::var(name).ok())?;
    app::try_threads()?;
    let _log = logging::start(config.log).map_err(anyhow::Error::msg)?;
    app::block_on(async { app::serve(config, args.clone(), sockets, app::stop_signal()?).await })
}

fn healthcheck(args: &HealthcheckArgs) -> anyhow::Result<()> {
    let timeout = config::of_flag("--timeout", &args.timeout, config::positive)?;
    // An empty variable counts as unset, as for `serve`.
    let addresses = args.listen_address.iter().flat_map(|addresses| addresses.split(','));
    app::healthcheck::run(addresses.map(str::trim).find(|address| !address.is_empty()), timeout)
}
