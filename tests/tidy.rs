//! Documents agree with the code, and modules with the code map of ARCHITECTURE.md.
//!
//! Compared are the tables of metrics, flags, limits and API fields, the examples, and the imports of modules. Only
//! `promtool`, `amtool` and `python3` are started. This file has the helpers that the parts share.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[path = "tidy/compatibility.rs"]
mod compatibility;
#[path = "tidy/contract.rs"]
mod contract;
#[path = "tidy/dashboards.rs"]
mod dashboards;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/house.rs"]
mod house;
#[path = "tidy/logs.rs"]
mod logs;
#[path = "tidy/packages.rs"]
mod packages;
#[path = "tidy/reference.rs"]
mod reference;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/tables.rs"]
mod tables;

use clap::Parser;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use swr_exporter::catalog::{self, Kind};
use swr_exporter::cli::{self, Cli};
use swr_exporter::config::{self, environment::Environment};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs a program in a folder and gives its output; where it fails, all that it says.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).current_dir(folder).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; tests/run installs it"));
    let [out, said] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    if output.status.success() { Ok(out) } else { Err(out + &said) }
}

/// Asserts that settings can be made of the flags of a command of ours, and tells whether it serves.
fn serves(arguments: &[String], environment: &[(&str, &str)]) -> bool {
    let line = std::iter::once("swr-exporter").chain(arguments.iter().map(String::as_str));
    let cli = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    let settings = match &cli.command {
        None => &cli.serve,
        Some(cli::Command::Check(args)) => &args.serve,
        Some(_) => return false,
    };
    let resolved = config::resolve(settings, &Environment::from(environment));
    assert!(resolved.is_ok(), "{arguments:?}: {}", resolved.unwrap_err());
    cli.command.is_none()
}

/// The Rust files below a directory of the project, by their path from its root.
fn rust_files(directory: &str) -> Vec<PathBuf> {
    let (mut files, mut directories) = (Vec::new(), vec![root().join(directory)]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

// ---- Markdown

/// The section under a heading, up to the next heading of the same or a higher rank.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let rank = heading.split(' ').next().unwrap().len();
    let start = document.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading `{heading}`")) + 1;
    let body = &document[start + heading.len()..];
    let mut in_block = false;
    let mut end = 0;
    for line in body.split_inclusive('\n') {
        in_block ^= line.starts_with("```");
        let level = line.bytes().take_while(|byte| *byte == b'#').count();
        if !in_block && (1..=rank).contains(&level) {
            break;
        }
        end += line.len();
    }
    &body[..end]
}

/// The cells of the rows of all tables in a text, without headings and rulers.
fn rows(part: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = part.lines().collect();
    let ruler = |line: &str| line.starts_with("|-") || line.starts_with("| -");
    let mut rows = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let heading = lines.get(index + 1).is_some_and(|next| ruler(next));
        if line.starts_with('|') && !ruler(line) && !heading {
            let cells = line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
            rows.push(cells.collect());
        }
    }
    rows
}

/// The texts between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The fenced blocks of one language.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    document.split(fence.as_str()).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// The commands of a shell block as words: continued lines joined, comments dropped.
fn commands(block: &str) -> Vec<Vec<String>> {
    let joined = block.replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let is_argument = |word: &&str| !matches!(*word, ">" | "|");
    let words = |line: &str| line.split_whitespace().take_while(is_argument).map(str::to_owned).collect();
    lines.map(words).collect()
}

/// Every name that a sample can have.
fn names_of_metrics() -> BTreeSet<String> {
    let mut known: BTreeSet<String> = catalog::ALL.iter().map(|family| family.name.to_owned()).collect();
    for histogram in catalog::ALL.iter().filter(|family| family.kind == Kind::Histogram) {
        known.extend(["bucket", "sum", "count"].map(|suffix| format!("{}_{suffix}", histogram.name)));
    }
    known
}

/// The documents and the dashboards, by path.
fn documents() -> Vec<PathBuf> {
    let mut documents: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(PathBuf::from).into();
    for (folder, ending) in [("docs", "md"), ("dashboards", "json")] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == ending) {
                documents.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    documents
}

// ---- Rust

/// The code of a file without comments and tests, and the paths of modules that it declares only for tests.
fn shipped(path: &Path) -> (String, Vec<PathBuf>) {
    let text = read(path);
    let mut lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let (mut code, mut test_files) = (String::new(), Vec::new());
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            code.push_str(line);
            code.push('\n');
            continue;
        }
        let item = lines.by_ref().find(|line| !line.trim_start().starts_with('#')).unwrap();
        if let Some(name) = item.trim().strip_suffix(';').and_then(|item| item.rsplit(' ').next()) {
            test_files.push(path.with_extension("").join(name));
        } else {
            let end = format!("{}}}", &item[..item.len() - item.trim_start().len()]);
            lines.by_ref().find(|line| *line == end);
        }
    }
    (code, test_files)
}

/// The files below `src` with their code, without tests.
fn shipped_files() -> BTreeMap<PathBuf, String> {
    let (mut files, mut tests) = (BTreeMap::new(), Vec::new());
    for path in rust_files("src") {
        let (code, test_files) = shipped(&path);
        tests.extend(test_files);
        files.insert(path, code);
    }
    files.retain(|path, _| {
        let for_tests = tests.iter().any(|test| path.with_extension("").starts_with(test));
        !for_tests && !path.to_str().unwrap().ends_with("_tests.rs")
    });
    files
}

/// The value of a constant as a document writes it.
fn constant(path: &str, name: &str) -> String {
    let code = read(path);
    let value = code.split(&format!("const {name}: ")).nth(1).and_then(|rest| rest.split(" = ").nth(1)).unwrap();
    let value = value.split(';').next().unwrap().replace('_', ",");
    let amount = |ending: &str| value.strip_suffix(ending);
    match (amount(" << 20"), amount(" << 30"), amount(" * 1024"), value.strip_prefix("Duration::from,secs(")) {
        (Some(mebibytes), ..) => format!("{mebibytes} MiB"),
        (_, Some(gibibytes), ..) => format!("{gibibytes} GiB"),
        (.., Some(kibibytes), _) => format!("{kibibytes} KiB"),
        (.., Some(seconds)) => format!("{} s", seconds.trim_end_matches(')')),
        _ => value,
    }
}

fn is_part_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
