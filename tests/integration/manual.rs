//! Completions and manual pages, as shells and `man` read them.

use crate::support::{command, done};
use swr_exporter::cli::flags::ALL;
use tokio::process::Command;

async fn printed(arguments: &[&str]) -> String {
    let mut command = command();
    // A value that must not be printed.
    command.args(arguments).env("SWR_EXPORTER_SWR_REGION", "a-value-of-the-environment");
    let out = done(command).await.well();
    assert!(!out.contains("a-value-of-the-environment"));
    out
}

#[tokio::test]
async fn bash_completes_commands_and_flags() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("swr-exporter");
    std::fs::write(&script, printed(&["completions", "bash"]).await).unwrap();
    for (words, word, expected) in [
        ("swr-exporter scr", 1, "scrape"),
        ("swr-exporter --swr.reg", 1, "--swr.region"),
        ("swr-exporter scrape --outp", 2, "--output"),
        ("swr-exporter scrape --format open", 3, "openmetrics"),
        ("swr-exporter --log.level de", 2, "debug"),
        ("swr-exporter --credentials.source access", 2, "access-key"),
    ] {
        let current = words.rsplit(' ').next().unwrap();
        let before = words.rsplit(' ').nth(1).unwrap();
        let line = format!(
            "set -eu; source {}; COMP_WORDS=({words}); COMP_CWORD={word}; COMPREPLY=(); \
             f=$(complete -p swr-exporter | grep -o -- '-F [^ ]*'); \
             ${{f#-F }} swr-exporter '{current}' '{before}' || true; echo \"${{COMPREPLY[*]}}\"",
            script.display()
        );
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", &line]);
        assert_eq!(done(bash).await.well(), format!("{expected}\n"), "{words}");
    }
}

#[tokio::test]
async fn completions_contain_every_flag() {
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&["completions", shell]).await;
        for flag in ALL {
            assert!(script.contains(flag.name), "{shell}: {}", flag.name);
        }
    }
    let mut unknown = command();
    unknown.args(["completions", "cmd"]);
    done(unknown).await.with(2, &[]);
}

#[tokio::test]
async fn man_shows_every_page_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, title, expected) in [
        (&["man"][..], "swr-exporter(1)", "SWR_EXPORTER_CACHE_WINDOW"),
        (&["man"], "EXAMPLES", "swr-exporter --config.file /etc/swr-exporter/accounts.yml"),
        (&["man"], "FILES", "~/.huaweicloud/credentials"),
        (&["man"], "ENVIRONMENT", "SWR_EXPORTER_PASSWORD"),
        (&["man"], "EXIT STATUS", "Invalid flags or settings."),
        (&["man", "scrape"], "swr-exporter-scrape(1)", "--output <FILE>"),
        (&["man", "report"], "swr-exporter-report(1)", "--only <NAMESPACE"),
        (&["man", "check"], "swr-exporter-check(1)", "--offline"),
        (&["man", "healthcheck"], "swr-exporter-healthcheck(1)", "--timeout <DURATION>"),
        (&["man", "completions"], "swr-exporter-completions(1)", "powershell"),
        (&["man", "demo"], "swr-exporter-demo(1)", "--speed <SPEED>"),
    ] {
        let page = folder.path().join("page.1");
        std::fs::write(&page, printed(arguments).await).unwrap();
        let mut man = Command::new("man");
        man.args(["--warnings", "-l"])
            .arg(&page)
            .env("MANWIDTH", "200")
            .env("LC_ALL", "C.UTF-8")
            .env("MANPAGER", "cat");
        let shown = done(man).await.well();
        assert!(shown.contains(title) && shown.contains(expected), "{shown}");
    }
}

#[tokio::test]
async fn the_short_help_fits_on_a_screen_and_the_long_one_has_every_flag() {
    for command in [&[][..], &["serve"], &["check"], &["scrape"], &["report"]] {
        let short = printed(&[command, &["-h"]].concat()).await;
        assert!(short.lines().count() < 45 && short.lines().all(|line| line.len() <= 100), "{short}");
        assert!(short.contains("--swr.region REGION") && short.contains("swr-exporter demo"), "{short}");
        let long = printed(&[command, &["--help"]].concat()).await;
        for flag in ALL {
            assert!(long.contains(&format!("--{}", flag.name)) && long.contains(&flag.variable()), "{}", flag.name);
        }
        assert!(!long.contains("[default: none]"));
    }
}
