//! Completions and manual pages, made of the definitions of commands and flags, to standard output.

use crate::cli::Cli;
use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use std::io::{self, Write};

/// Prints completions for a shell.
///
/// # Errors
/// When they cannot be written.
pub fn completions(shell: Shell) -> anyhow::Result<()> {
    // Not at once into the pipe: what writes them panics where that is closed.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "swr-exporter", &mut script);
    // Of a name with a hyphen, what is called one way is looked for in another, and no flag of a command is found
    // (https://github.com/clap-rs/clap/issues/6421).
    let script = String::from_utf8(script)?.replace("swr__subcmd__exporter", "swr__exporter");
    print(script.as_bytes())
}

/// Prints the page of a command, or of the program.
///
/// # Errors
/// When it cannot be written, or there is no such command.
pub fn page(command: Option<&str>) -> anyhow::Result<()> {
    let mut program = Cli::command();
    // Names of commands are whole only then.
    program.build();
    let command = match command {
        None => program,
        Some(name) => program.find_subcommand(name).with_context(|| format!("there is no command `{name}`"))?.clone(),
    };
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    print(&page)
}

fn print(text: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text).and_then(|()| out.flush()).context("cannot write to standard output")
}
