//! Parses the command line, runs the command and prints an error with its causes once. Exit codes: 0 done, 1 failed while
//! starting or running, 2 invalid flags or settings.

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;
use swr_exporter::cli::{CheckArgs, Cli, Command, HealthcheckArgs, ServeArgs};
use swr_exporter::config::environment::Environment;
use swr_exporter::{app, config, logging};

/// Returns memory to the system after a refresh; Cargo.toml has the figures.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    no_core_dumps();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(asked) if !asked.use_stderr() => {
            return app::manual::answer(&asked)
                .map_or_else(|error| failed(&error, logging::Format::Logfmt), |()| ExitCode::SUCCESS);
        }
        Err(error) => error.exit(),
    };
    let environment = Environment::of_process();
    let format = match &cli.command {
        None => config::log_format(&cli.serve, &environment),
        Some(Command::Serve(args)) => config::log_format(args, &environment),
        Some(_) => logging::Format::Logfmt,
    };
    match run(cli, &environment) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(&error, format),
    }
}

/// Tells an error, and gives its exit code.
fn failed(error: &anyhow::Error, format: logging::Format) -> ExitCode {
    let problems = error.downcast_ref::<config::Problems>();
    let text = match (format, problems) {
        // For programs that read the log; people read the lines as they are.
        (logging::Format::Json, Some(problems)) => problems.list().iter().map(|it| format.error(it)).collect(),
        (logging::Format::Json, None) => format.error(&format!("{error:#}")),
        (logging::Format::Logfmt, _) => format!("swr-exporter: {error:#}\n"),
    };
    // If even this fails there is nobody left to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(if problems.is_some() { 2 } else { 1 })
}

/// Runs a command; false if a check failed.
fn run(cli: Cli, environment: &Environment) -> anyhow::Result<bool> {
    match cli.command {
        None => return serve(&cli.serve, environment),
        Some(Command::Serve(args)) => return serve(&args, environment),
        Some(Command::Check(args)) => return app::check::run(&args),
        Some(Command::Scrape(args)) => app::scrape::run(&args),
        Some(Command::Report(args)) => app::report::run(&args),
        Some(Command::Completions { shell }) => app::manual::completions(shell),
        Some(Command::Man { command }) => app::manual::page(command.as_deref()),
        #[cfg(feature = "demo")]
        Some(Command::Demo(args)) => app::demo::run(&args),
        #[cfg(feature = "demo")]
        Some(Command::Simulate(args)) => app::demo::simulate(&args),
        Some(Command::Healthcheck(args)) => healthcheck(&args),
    }
    .map(|()| true)
}

/// Disables core dumps, which would contain secrets. Making the process undumpable would be stricter, but hides the files
/// that `process_*` metrics are read from.
fn no_core_dumps() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    // If the system forbids it, nothing else can be done.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
}

fn serve(args: &ServeArgs, environment: &Environment) -> anyhow::Result<bool> {
    if config::is_check_only(args, environment)? {
        return app::check::run(&CheckArgs {
            serve: args.clone(),
            offline: true,
            verbose: false,
            format: "text".to_owned(),
        });
    }
    // Before any thread is started.
    let sockets = app::service::sockets()?;
    let config = config::resolve(args, environment)?;
    app::try_threads()?;
    let _log = logging::start(config.log).map_err(anyhow::Error::msg)?;
    config.log_warnings();
    app::block_on(async { app::serve(config, args.clone(), sockets, app::stop_signal()?).await })?;
    Ok(true)
}

fn healthcheck(args: &HealthcheckArgs) -> anyhow::Result<()> {
    let timeout = config::of_flag("--timeout", &args.timeout, config::positive)?;
    // An empty variable counts as unset, as for `serve`.
    let addresses = args.listen_address.iter().flat_map(|addresses| addresses.split(','));
    app::healthcheck::run(addresses.map(str::trim).find(|address| !address.is_empty()), timeout)
}
