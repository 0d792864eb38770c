//! The tables of metrics, flags, limits and API fields agree with the code.

use super::{constant, documents, is_part_of_a_name, quoted, read, rows, section};
use clap::{Arg, CommandFactory};
use swr_exporter::catalog;
use swr_exporter::cli::Cli;
use swr_exporter::{auth, collect, config, swr, web};

#[test]
fn every_metric_is_listed_with_its_type_and_labels() {
    let listed: Vec<_> = rows(&read("docs/metrics.md"))
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
    assert_eq!(listed, declared, "left: docs/metrics.md; right: src/catalog.rs");
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
    let table = rows(section(&read("docs/api-fields.md"), "## Repositories and tags"));
    for (call, fields) in [("list repositories", repositories), ("list tags", tags), ("show repository", show)] {
        let mut listed: Vec<&str> =
            table.iter().filter(|cells| cells[0] == call).flat_map(|cells| quoted(&cells[1])).collect();
        let mut expected: Vec<&str> = fields.split_whitespace().collect();
        // A header, not a field.
        listed.retain(|field| *field != "Content-Range");
        listed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(listed, expected, "{call}");
    }
    for cells in &table {
        // Another test checks that the metric exists.
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
fn every_flag_is_listed_with_its_default() {
    let (settings, cli) = (read("docs/settings.md"), Cli::command());
    let told = |default: &str| (default != "-").then(|| default.trim_matches('`').to_owned());
    let of_serve = flags(cli.find_subcommand("serve").unwrap());
    let listed: Vec<_> = rows(section(&settings, "## Flags of `serve`"))
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
    assert_eq!(listed, declared, "left: docs/settings.md; right: src/cli/flags.rs");
    for name in ["check", "scrape", "report", "demo", "simulate", "healthcheck"] {
        let mut own = flags(cli.find_subcommand(name).unwrap());
        if matches!(name, "check" | "scrape" | "report") {
            own.retain(|flag| !of_serve.contains(flag));
        }
        let listed: Vec<_> = rows(section(&settings, &format!("## Flags of `{name}`")))
            .into_iter()
            .map(|cells| (quoted(&cells[0])[0].to_owned(), told(&cells[1])))
            .collect();
        assert_eq!(listed, own, "left: docs/settings.md; right: src/cli.rs, `{name}`");
    }
}

#[test]
fn the_rule_of_variables_holds_for_every_flag_of_serve() {
    let settings = read("docs/settings.md");
    assert!(settings.contains("`SWR_EXPORTER_` and its name in capitals, with `_` for `.` and `-`"));
    for flag in Cli::command().find_subcommand("serve").unwrap().get_arguments() {
        let Some(long) = flag.get_long().filter(|long| *long != "help" && !long.starts_with("no-")) else { continue };
        let variable = format!("SWR_EXPORTER_{}", long.to_uppercase().replace(['.', '-'], "_"));
        assert_eq!(flag.get_env().unwrap().to_str().unwrap(), variable);
    }
    // The variables without a flag are in a table, and every variable that a document names is read.
    let secrets = config::environment::SECRETS;
    let table = rows(section(&settings, "## Variables without a flag"));
    let listed = table.iter().map(|cells| quoted(&cells[0])[0]).filter(|name| name.starts_with("SWR_EXPORTER_"));
    assert_eq!(Vec::from_iter(listed), secrets);
    let cli = Cli::command();
    let serve = cli.find_subcommand("serve").unwrap();
    let texts: Vec<String> = documents().iter().filter(|path| !path.starts_with("dashboards")).map(read).collect();
    for word in texts.iter().flat_map(|text| text.split(|c| !is_part_of_a_name(c))) {
        let Some(rest) = word.strip_prefix("SWR_EXPORTER_") else { continue };
        let named = serve.get_arguments().any(|arg| arg.get_env().is_some_and(|name| name == word));
        assert!(rest.is_empty() || named || secrets.contains(&word), "nothing reads {word}");
    }
}

#[test]
fn every_region_that_a_document_names_is_known() {
    let text: String = documents().iter().map(read).collect();
    for (_, region) in text.match_indices("--swr.region").map(|(at, flag)| text[at..].split_at(flag.len())) {
        let region = region.trim_start_matches(['=', ' ']).split_whitespace().next().unwrap_or_default();
        if region.starts_with(|c: char| c.is_ascii_lowercase()) && region.contains('-') {
            assert!(config::regions::endpoint(region.trim_matches('`')).is_some(), "{region}");
        }
    }
}

// ---- Limits

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

#[test]
fn the_limits_that_are_documented_are_those_of_the_code() {
    let (web, client) = (web::Limits::default(), swr::Options::default());
    let seconds = |duration: std::time::Duration| format!("{} s", duration.as_secs());
    let mebibytes = |bytes: usize| format!("{} MiB", bytes >> 20);
    let expected = [
        ("repositories in a listing", thousands(collect::Options::default().max_repositories)),
        ("tags of a repository", thousands(swr::tags::MAX_TAGS as u64)),
        ("distinct layers and configurations", thousands(collect::tags::Options::default().max_layers as u64)),
        ("repositories of the Enterprise Edition", thousands(collect::enterprise::MAX_REPOSITORIES)),
        ("instances of the Enterprise Edition", thousands(collect::enterprise::MAX_INSTANCES)),
        ("artifacts of an instance", thousands(collect::artifacts::MAX_ARTIFACTS)),
        ("wait of a complete listing for other collectors", seconds(collect::auxiliary::MAX_WAIT)),
        ("size of an API response, decompressed", mebibytes(client.max_response_bytes)),
        ("pause within an API response", seconds(client.stall_timeout)),
        ("attempts of an API call", swr::retry::MAX_ATTEMPTS.to_string()),
        ("attempts of a listing that keeps changing", collect::walk::MAX_WALKS.to_string()),
        ("time of a call for tags, details or artifacts", constant("src/collect/tags/worker.rs", "CALL_TIMEOUT")),
        ("rows of one response", constant("src/swr/buffered.rs", "MAX_ROWS")),
        ("failures in a row before calls are held back", swr::breaker::THRESHOLD.to_string()),
        ("pause that the API can ask for", seconds(swr::error::MAX_PAUSE)),
        (
            "refusals before a credential is held back",
            format!("{} in {}", auth::MAX_REJECTIONS, seconds(auth::REJECTION_PERIOD)),
        ),
        (
            "length of a label value",
            format!("{} bytes", thousands(swr_exporter::model::label_value::MAX_LENGTH as u64)),
        ),
        ("labels of `--account.label`", constant("src/exposition/constant_labels.rs", "MOST")),
        ("length of an account's name", constant("src/config/accounts_file.rs", "MAX_NAME") + " bytes"),
        ("configuration file, web configuration file", constant("src/config/yaml.rs", "MAX_FILE")),
        ("file with a secret", constant("src/auth/secret_source.rs", "MAX_SIZE")),
        ("file of `--swr.ca-file`", constant("src/transport/https.rs", "MAX_CA_FILE")),
        ("file with a certificate or key of the web server", constant("src/config/web_file/tls.rs", "MAX_PEM")),
        ("state file", constant("src/base/state_file.rs", "MAX_FILE")),
        ("scrape timeout that a scraper can ask for", constant("src/web/scrape.rs", "MAX_TIMEOUT")),
        ("TLS handshake", seconds(web.first_byte)),
        ("time until the first byte of a request", seconds(web.first_byte)),
        ("request header", format!("{}, {} KiB, {} headers", seconds(web.header), web.header_bytes >> 10, web.headers)),
        ("idle time between two requests", seconds(web.idle)),
        ("time without reading a byte of a response", seconds(web.write_progress)),
        ("time to read a response", seconds(web.response_total)),
        ("time for open responses after SIGTERM", seconds(web.drain)),
        ("parallel requests on an HTTP/2 connection", web::STREAMS.to_string()),
    ];
    let listed: Vec<_> = rows(section(&read("docs/limits.md"), "## Limits"))
        .into_iter()
        .map(|mut cells| (cells.remove(0), cells.remove(0)))
        .collect();
    assert_eq!(listed, expected.map(|(what, limit)| (what.to_owned(), limit)), "left: docs/limits.md; right: the code");
}
