//! Shell completions and manual pages, generated from the definitions of commands and flags; the version.

use crate::cli::{Cli, help};
use anyhow::Context;
use clap::CommandFactory;
use clap::error::ErrorKind;
use clap_complete::Shell;
use clap_mangen::Man;

/// Prints completions for a shell.
///
/// # Errors
/// If they cannot be written.
pub fn completions(shell: Shell) -> anyhow::Result<()> {
    // Into memory first: the generator panics on a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "swr-exporter", &mut script);
    // Works around names with a hyphen, which the script writes in one way and looks up in another
    // (https://github.com/clap-rs/clap/issues/6421).
    let script = String::from_utf8(script)?.replace("swr__subcmd__exporter", "swr__exporter");
    super::print([script])
}

/// Prints the manual page of a command, or of the program.
///
/// # Errors
/// If it cannot be written, or there is no such command.
pub fn page(command: Option<&str>) -> anyhow::Result<()> {
    let mut program = Cli::command().disable_help_subcommand(true);
    // Completes the names of commands.
    program.build();
    let is_program = command.is_none();
    let command = match command {
        None => program,
        Some(name) => program.find_subcommand(name).with_context(|| format!("there is no command `{name}`"))?.clone(),
    };
    // The generated synopsis lists every flag, and the end of help is in sections of their own here.
    let mut command = command.after_help("").after_long_help("");
    let usage = command.render_usage().to_string().replace("Usage: ", "").replace('-', "\\-");
    let usage: Vec<&str> = usage.lines().map(str::trim).collect();
    let synopsis = format!(".SH SYNOPSIS\n{}\n", usage.join("\n.br\n"));
    let man = Man::new(command);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    page.extend(synopsis.as_bytes());
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if is_program {
        man.render_subcommands_section(&mut page)?;
        page.extend(help::MANUAL.as_bytes());
        man.render_version_section(&mut page)?;
    }
    super::print([page])
}

/// Prints what `--help` or `--version` asked for.
///
/// # Errors
/// If it cannot be written.
pub fn answer(asked: &clap::Error) -> anyhow::Result<()> {
    if asked.kind() == ErrorKind::DisplayVersion { version() } else { super::print_with(|_| asked.print()) }
}

/// Prints the version, revision and build, in the form of Prometheus' own programs.
fn version() -> anyhow::Result<()> {
    let text = concat!(
        "swr-exporter, version ",
        env!("CARGO_PKG_VERSION"),
        " (revision: ",
        env!("SWR_EXPORTER_REVISION"),
        ")\n  compiler:  rustc ",
        env!("SWR_EXPORTER_RUSTC"),
        "\n  platform:  ",
        env!("SWR_EXPORTER_TARGET"),
        "\n"
    );
    super::print([text])
}
