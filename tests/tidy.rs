//! What is written about the program is true, and the house keeps its order.
//!
//! The documents are held against the code: tables of metrics, flags and limits, the examples, the rooms and what each
//! may name. Nothing is started here but `promtool`, which reads the example of a scrape configuration.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[path = "tidy/contract.rs"]
mod contract;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/packages.rs"]
mod packages;
#[path = "tidy/rules.rs"]
mod rules;

use clap::{Arg, CommandFactory, Parser};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use swr_exporter::catalog::{self, Kind};
use swr_exporter::cli::{Cli, Command};
use swr_exporter::{auth, collect, config, swr, web};

/// The most lines that a file may have before somebody asks whether a second topic moved in.
const LONGEST_FILE: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
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

/// The part of a document under a heading, up to the next heading of the same rank or a higher one.
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

/// The cells of each row of the tables in a part of a document, without headings and rulers.
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

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The fenced blocks of one language.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    document.split(fence.as_str()).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

// ---- Rust

/// The code of a file that ships: no comments, no tests. And the modules it declares for tests alone.
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

/// The files below `src` that ship, with their code.
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

/// The modules in the order of `lib.rs`.
fn rooms() -> Vec<String> {
    let lib = read("src/lib.rs");
    lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).map(str::to_owned).collect()
}

/// The room that a file belongs to; none for the roots `lib.rs` and `main.rs`.
fn room_of(path: &Path) -> String {
    path.with_extension("").components().nth(1).unwrap().as_os_str().to_str().unwrap().to_owned()
}

fn is_part_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The first names of what follows each `prefix` in the code: `a` and `b` in `use prefix{a::x, b}`.
fn named_after(code: &str, prefix: &str) -> BTreeSet<String> {
    let name = |text: &str| -> String { text.trim_start().chars().take_while(|c| is_part_of_a_name(*c)).collect() };
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        // `x_crate::` and `super::super::` are other paths than `crate::` and `super::`.
        if code[..at].ends_with(|c| is_part_of_a_name(c) || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(name(rest));
            continue;
        };
        let (mut depth, mut start) = (1, 0);
        for (index, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                names.insert(name(&group[start..index]));
                start = index + 1;
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

/// What ARCHITECTURE.md says of a room.
struct Room {
    name: String,
    /// `None`: every room.
    may_name: Option<BTreeSet<String>>,
    /// Crates of others.
    never: Vec<String>,
}

fn code_map() -> Vec<Room> {
    rows(section(&read("ARCHITECTURE.md"), "## Code map"))
        .iter()
        .map(|cells| {
            let texts = |cell: &str| quoted(cell).into_iter().map(str::to_owned).collect::<Vec<_>>();
            Room {
                name: texts(&cells[0]).remove(0),
                may_name: (cells[2] != "every room").then(|| texts(&cells[2]).into_iter().collect()),
                never: texts(&cells[3]),
            }
        })
        .collect()
}

#[test]
fn the_code_map_has_the_rooms_in_their_order_and_looks_only_back() {
    let (map, rooms) = (code_map(), rooms());
    assert_eq!(map.iter().map(|room| room.name.clone()).collect::<Vec<_>>(), rooms);
    for (place, room) in map.iter().enumerate() {
        for named in room.may_name.iter().flatten() {
            assert!(rooms[..place].contains(named), "`{}` may not name `{named}`: it is declared later", room.name);
        }
    }
}

#[test]
fn a_room_names_only_what_the_code_map_lets_it_name() {
    let (map, rooms) = (code_map(), rooms());
    let mut wrong = Vec::new();
    for (path, code) in shipped_files() {
        let Some(room) = map.iter().find(|room| room.name == room_of(&path)) else { continue };
        let mut names = named_after(&code, "crate::");
        // From src/web/scrape.rs, the root is two steps up.
        let steps = path.components().count() - 1;
        names.extend(named_after(&code, &"super::".repeat(steps)));
        for named in names.iter().filter(|name| **name != room.name && rooms.contains(name)) {
            let place = |name: &String| rooms.iter().position(|room| room == name);
            let allowed = match &room.may_name {
                Some(may_name) => may_name.contains(named),
                None => place(named) < place(&room.name),
            };
            if !allowed {
                wrong.push(format!("{} names `{named}`", path.display()));
            }
        }
        for foreign in &room.never {
            if !named_after(&code, &format!("{foreign}::")).is_empty() {
                wrong.push(format!("{} names the crate `{foreign}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against ARCHITECTURE.md's code map:\n{}", wrong.join("\n"));
}

#[test]
fn names_are_found_in_every_form_of_path() {
    let code = "use crate::web;\nuse crate::{swr::{self, error::{A, B}}, cache,\n auth::Source};\nx(my_crate::no::y);\n\
                fn f() -> super::super::model::Row {}";
    assert_eq!(Vec::from_iter(named_after(code, "crate::")), ["auth", "cache", "swr", "web"]);
    assert_eq!(Vec::from_iter(named_after(code, "super::super::")), ["model"]);
}

#[test]
fn files_are_of_a_length_to_be_read() {
    for path in rust_files("src") {
        let lines = read(&path).lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines: did a second topic move in?", path.display());
    }
}

#[test]
fn nothing_is_left_undone_and_no_test_is_left_out() {
    // Put together, so that this file does not hold what it looks for.
    let hollow = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];
    for path in ["src", "tests", "benches"].into_iter().flat_map(rust_files) {
        let text = read(&path);
        for word in hollow {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

// ---- Metrics

#[test]
fn the_readme_lists_every_metric_with_its_type_and_labels() {
    let readme = read("README.md");
    let listed: Vec<_> = rows(section(&readme, "## Metrics"))
        .into_iter()
        .filter(|cells| cells[0].starts_with("`swr_"))
        .map(|cells| {
            let labels: Vec<_> = quoted(&cells[2]).into_iter().map(str::to_owned).collect();
            (quoted(&cells[0])[0].to_owned(), cells[1].clone(), labels)
        })
        .collect();
    let declared: Vec<_> = catalog::ALL
        .iter()
        .map(|family| {
            let labels = family.labels.iter().map(|label| (*label).to_owned()).collect();
            (family.name.to_owned(), family.kind.as_str().to_owned(), labels)
        })
        .collect();
    assert_eq!(listed, declared, "left: README.md; right: src/catalog.rs");
}

/// Every name that a sample of ours can have.
fn names_of_metrics() -> BTreeSet<String> {
    let mut known: BTreeSet<String> = catalog::ALL.iter().map(|family| family.name.to_owned()).collect();
    for histogram in catalog::ALL.iter().filter(|family| family.kind == Kind::Histogram) {
        known.extend(["bucket", "sum", "count"].map(|suffix| format!("{}_{suffix}", histogram.name)));
    }
    known
}

/// The documents that users read, and the dashboards.
fn documents() -> Vec<PathBuf> {
    let mut documents: Vec<PathBuf> = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(PathBuf::from).into();
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

#[test]
fn documents_name_no_metric_that_does_not_exist() {
    let known = names_of_metrics();
    for document in documents() {
        let text = read(&document);
        let words = text.split(|c| !is_part_of_a_name(c)).filter(|word| word.starts_with("swr_"));
        // The library's own name is no metric.
        for word in words.filter(|word| *word != "swr_exporter") {
            let document = document.display();
            assert!(known.contains(word), "{document} names `{word}`, which src/catalog.rs does not have");
        }
    }
}

#[test]
fn every_field_of_the_api_is_accounted_for() {
    // As the vendor's pages list them.
    let repositories = "name category description size is_public num_images num_download created_at updated_at logo url path \
                        internal_path domain_name namespace tags status total_range";
    let tags = "id repo_id Tag image_id manifest digest schema path internal_path size is_trusted created updated deleted \
                domain_id scanned tag_type";
    let show = "id ns_id name category description creator_id creator_name size is_public num_images num_download url path \
                internal_path created updated domain_id priority";
    let table = rows(section(&read("ARCHITECTURE.md"), "## Every field of the API"));
    for (call, fields) in [("list repositories", repositories), ("list tags", tags), ("show repository", show)] {
        let mut listed: Vec<&str> =
            table.iter().filter(|cells| cells[0] == call).flat_map(|cells| quoted(&cells[1])).collect();
        let mut expected: Vec<&str> = fields.split_whitespace().collect();
        // A header, and no field.
        listed.retain(|field| *field != "Content-Range");
        listed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(listed, expected, "{call}");
    }
    for cells in &table {
        // That such a metric exists is another test.
        assert!(cells[2].starts_with("not exported") || cells[2].contains("`swr_"), "{cells:?}");
    }
}

// ---- Flags

/// The default as `--help` tells it.
fn default_of(flag: &Arg) -> Option<String> {
    if let Some(default) = flag.get_default_values().first() {
        return Some(default.to_str().unwrap().to_owned());
    }
    let help = flag.get_help()?.to_string();
    Some(help.rsplit_once("[default: ")?.1.strip_suffix(']')?.to_owned())
}

/// Flags and defaults of a command, by clap.
fn flags(command: &clap::Command) -> Vec<(String, Option<String>)> {
    let mut command = command.clone();
    command.build();
    let own = command.get_arguments().filter(|flag| !matches!(flag.get_id().as_str(), "help" | "version"));
    own.map(|flag| (format!("--{}", flag.get_long().unwrap()), default_of(flag))).collect()
}

#[test]
fn the_readme_lists_every_flag_with_its_default() {
    let (readme, cli) = (read("README.md"), Cli::command());
    let told = |default: &str| (default != "-").then(|| default.trim_matches('`').to_owned());
    let of_serve = flags(cli.find_subcommand("serve").unwrap());
    let listed: Vec<_> = rows(section(&readme, "### Flags of `serve`"))
        .into_iter()
        .map(|cells| (quoted(&cells[0])[0].to_owned(), told(&cells[1]), told(&cells[2])))
        .collect();
    let declared: Vec<_> = swr_exporter::cli::flags::ALL
        .iter()
        .map(|flag| {
            let default = (flag.default != "none").then(|| flag.default.to_owned());
            (format!("--{}", flag.name), flag.key.map(str::to_owned), default)
        })
        .collect();
    assert_eq!(listed, declared, "left: README.md; right: src/cli/flags.rs");
    for name in ["check", "scrape", "demo", "simulate"] {
        let mut own = flags(cli.find_subcommand(name).unwrap());
        if matches!(name, "check" | "scrape") {
            own.retain(|flag| !of_serve.contains(flag));
        }
        let listed: Vec<_> = rows(section(&readme, &format!("### Flags of `{name}`")))
            .into_iter()
            .map(|cells| (quoted(&cells[0])[0].to_owned(), told(&cells[1])))
            .collect();
        assert_eq!(listed, own, "left: README.md; right: src/cli.rs, `{name}`");
    }
}

#[test]
fn the_environment_rule_of_the_readme_holds_for_every_flag_of_serve() {
    let readme = read("README.md");
    assert!(readme.contains("`SWR_EXPORTER_` and its name in capitals, with `_` for `.` and `-`"));
    for flag in Cli::command().find_subcommand("serve").unwrap().get_arguments() {
        let Some(long) = flag.get_long().filter(|long| *long != "help" && !long.starts_with("no-")) else { continue };
        let variable = format!("SWR_EXPORTER_{}", long.to_uppercase().replace(['.', '-'], "_"));
        assert_eq!(flag.get_env().unwrap().to_str().unwrap(), variable);
    }
    // And no variable is told that nobody reads.
    let config = read("src/config/credentials.rs");
    for word in readme.split(|c| !is_part_of_a_name(c)).filter(|word| word.starts_with("SWR_EXPORTER_")) {
        let flag = word.strip_prefix("SWR_EXPORTER_").unwrap();
        let named = Cli::command()
            .find_subcommand("serve")
            .unwrap()
            .get_arguments()
            .any(|arg| arg.get_env().is_some_and(|name| name == word));
        let secret = config.contains(&format!("\"{word}\""));
        assert!(flag.is_empty() || named || secret, "nothing reads {word}");
    }
}

#[test]
fn every_region_the_readme_names_is_known() {
    let readme = read("README.md");
    for (_, region) in readme.match_indices("--swr.region").map(|(at, flag)| readme[at..].split_at(flag.len())) {
        let region = region.trim_start_matches(['=', ' ']).split_whitespace().next().unwrap_or_default();
        if region.starts_with(|c: char| c.is_ascii_lowercase()) && region.contains('-') {
            assert!(config::regions::endpoint(region.trim_matches('`')).is_some(), "{region}");
        }
    }
}

// ---- Log lines

/// The messages that the code logs at a level, with `…` for what differs from line to line, and without the marks that
/// would end a quotation in a document.
fn messages(code: &str, level: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, call) in code.match_indices(&format!("{level}!(")) {
        if code[..at].ends_with(is_part_of_a_name) {
            continue;
        }
        // Values of fields hold no literals: the first one is the message.
        let literal = code[at + call.len()..].split_once('"').unwrap().1;
        let mut message = String::new();
        let mut characters = literal.chars();
        while let Some(character) = characters.next() {
            match character {
                '"' => break,
                // A message that goes on in the next line of the code.
                '\\' => characters = characters.as_str().trim_start().chars(),
                '{' => {
                    characters.by_ref().find(|character| *character == '}');
                    message.push('…');
                }
                '`' => {}
                other => message.push(other),
            }
        }
        while message.contains("……") {
            message = message.replace("……", "…");
        }
        found.insert(message);
    }
    found
}

#[test]
fn the_log_lines_that_are_documented_are_those_that_are_written() {
    let document = read("docs/logs.md");
    for level in ["error", "warn", "info"] {
        let mut written = BTreeSet::new();
        for (path, code) in shipped_files() {
            // The simulator is no part of the exporter.
            if room_of(&path) != "simulator" {
                written.extend(messages(&code, level));
            }
        }
        let rows = rows(section(&document, &format!("## {level}")));
        let listed: BTreeSet<_> = rows.iter().map(|cells| cells[0].trim_matches('`').to_owned()).collect();
        assert_eq!(listed, written, "left: docs/logs.md; right: what src logs at level {level}");
        assert!(rows.iter().all(|cells| !cells[1].is_empty()));
    }
}

#[test]
fn messages_are_found_in_every_form_of_call() {
    let code =
        "warn!(a = %b, \"the `{}` of\\\n   {c:?} is {d}{e}\", x);\ntracing::warn!(\"plain\");\nforewarn!(\"no\")";
    assert_eq!(Vec::from_iter(messages(code, "warn")), ["plain", "the … of… is …"]);
}

// ---- Examples

/// The commands of a shell block, a word each: continued lines joined, comments and prompts gone.
fn commands(block: &str) -> Vec<Vec<String>> {
    let joined = block.replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    // What a redirection is for, the shell keeps to itself.
    let words = |line: &str| line.split_whitespace().take_while(|word| *word != ">").map(str::to_owned).collect();
    lines.map(words).collect()
}

/// Understands a command of ours, and says whether it serves; other programs' commands are let be. `accounts.yml` is the
/// example.
fn serves(words: &[String], example: &Path) -> bool {
    let words = if words[0] == "sudo" { &words[1..] } else { words };
    let ours = words.iter().position(|word| word.ends_with("swr-exporter") && !word.starts_with('-'));
    let is_cargo = words.starts_with(&["cargo".to_owned(), "run".to_owned()]);
    let arguments = match (words[0].as_str(), ours) {
        ("cargo", _) if is_cargo => &words[words.iter().position(|word| word == "--").unwrap() + 1..],
        // `docker run`: what follows the image.
        ("docker", _) if words[1] == "run" => {
            &words[words.iter().rposition(|word| word == "swr-exporter").unwrap() + 1..]
        }
        (_, Some(0)) => &words[1..],
        _ => return false,
    };
    let line = std::iter::once("swr-exporter").chain(arguments.iter().map(String::as_str));
    let line = line.map(|word| if word.ends_with("/accounts.yml") { example.to_str().unwrap() } else { word });
    let cli = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    let settings = match &cli.command {
        None => &cli.serve,
        Some(Command::Check(args)) => &args.serve,
        Some(_) => return false,
    };
    let resolved = config::resolve(settings, &|name| name.starts_with("OTC_").then(|| "abc123".to_owned()));
    assert!(resolved.is_ok(), "{words:?}: {}", resolved.unwrap_err());
    cli.command.is_none()
}

#[test]
fn the_test_command_of_the_readme_is_the_one_that_ci_runs() {
    let readme = read("README.md");
    let [command] = blocks(section(&readme, "## Test it"), "sh")[..] else { panic!("one command") };
    assert_eq!(commands(command).len(), 1, "one command");
    let ci = read(".ci/run");
    assert_eq!(ci.lines().rev().find(|line| !line.is_empty()), Some(command), "the last thing that .ci/run does");
}

// ---- Limits

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

#[test]
fn the_limits_of_the_readme_are_those_of_the_code() {
    let (web, client) = (web::Limits::default(), swr::Options::default());
    let seconds = |duration: std::time::Duration| format!("{} s", duration.as_secs());
    let mebibytes = |bytes: usize| format!("{} MiB", bytes >> 20);
    let expected = [
        ("repositories in a listing", thousands(collect::Options::default().most_repositories)),
        ("tags of one repository", thousands(swr::tags::MOST_TAGS as u64)),
        ("distinct layers and configurations", thousands(collect::tags::Options::default().most_layers as u64)),
        ("repositories of the Enterprise Edition", thousands(collect::enterprise::MOST_REPOSITORIES)),
        ("instances of the Enterprise Edition", thousands(collect::enterprise::MOST_INSTANCES)),
        ("wait of a finished listing for the figures beside it", seconds(collect::beside::PATIENCE)),
        ("one answer of the API, unpacked", mebibytes(client.largest_answer)),
        ("wait for more of an answer of the API", seconds(client.stall_timeout)),
        ("attempts at one request", swr::retry::MOST_ATTEMPTS.to_string()),
        ("pause that the API can ask for", seconds(swr::error::LONGEST_PAUSE)),
        (
            "refusals before a credential is held back",
            format!("{} in {}", auth::MOST_REJECTIONS, seconds(auth::REJECTION_PERIOD)),
        ),
        ("length of a label value", format!("{} bytes", thousands(swr_exporter::model::names::LONGEST as u64))),
        ("TLS handshake", seconds(web.first_byte)),
        ("first byte of a request", seconds(web.first_byte)),
        (
            "head of a request",
            format!("{}, {} KiB, {} headers", seconds(web.header), web.header_bytes >> 10, web.headers),
        ),
        ("rest between two requests", seconds(web.idle)),
        ("reader that takes no byte of an answer", seconds(web.write_progress)),
        ("reader that takes an answer slowly", seconds(web.response_total)),
        ("open answers after SIGTERM", seconds(web.drain)),
        ("answers at once on an HTTP/2 connection", web::STREAMS.to_string()),
    ];
    let listed: Vec<_> = rows(section(&read("README.md"), "## Limits"))
        .into_iter()
        .map(|mut cells| (cells.remove(0), cells.remove(0)))
        .collect();
    assert_eq!(listed, expected.map(|(what, limit)| (what.to_owned(), limit)), "left: README.md; right: the code");
}
