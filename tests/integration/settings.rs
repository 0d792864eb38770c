//! Mistakes of operators: exit codes, and every problem reported at once.

use crate::support::{Ended, bare, command, done, simulator};
use tokio::net::TcpListener;

/// Runs the exporter with these arguments and the access key of the demo.
async fn exit_of(arguments: &[&str]) -> Ended {
    let mut command = command();
    command.args(arguments);
    done(command).await
}

#[tokio::test]
async fn every_problem_is_listed_before_anything_listens() {
    // The port is taken: listening would fail with code 1 and name the address.
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let mut command = command();
    command.env_remove("SWR_EXPORTER_SECRET_KEY").env("SWR_EXPORTER_SWR_CONCURRENCY", "many");
    command.args(["--web.listen-address", &taken, "--log.level", "shout"]);
    let expected = [
        "4 problems",
        "SWR_EXPORTER_SWR_CONCURRENCY: invalid number `many`",
        "--log.level: unknown value `shout`",
        "no endpoint: set --swr.region",
        "lacks its secret key: set SWR_EXPORTER_SECRET_KEY or --credentials.secret-key-file",
    ];
    let Ended { out, said, .. } = done(command).await.with(2, &expected);
    assert!(out.is_empty() && !said.contains(&taken), "{said}");
}

#[tokio::test]
async fn unknown_flags_commands_and_values_exit_with_2() {
    for arguments in [&["--swr.regoin", "cn-north-4"][..], &["exprot"], &["demo", "--speed", "fast"], &["--swr.region"]]
    {
        exit_of(arguments).await.with(2, &[arguments.iter().rfind(|word| !word.starts_with("cn-")).unwrap()]);
    }
}

#[tokio::test]
async fn a_port_in_use_exits_with_1() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let upstream = simulator(3, 1).await;
    let cannot = format!("cannot listen on {taken}: ");
    let ended = exit_of(&["--swr.endpoint", &upstream.url(), "--web.listen-address", &taken]).await;
    ended.with(1, &[&cannot, "choose another address or port"]);
    assert_eq!(upstream.handle.total(), 0, "nothing is called");
    for command in [&["demo", "--web.listen-address"][..], &["simulate", "--listen-address"]] {
        exit_of(&[command, &[&taken]].concat()).await.with(1, &[&cannot]);
    }
}

#[tokio::test]
async fn help_and_version_exit_with_0() {
    for arguments in [&["--help"][..], &["-h"], &["serve", "--help"], &["help", "demo"]] {
        let said = exit_of(arguments).await.well();
        assert!(said.contains("Usage: swr-exporter"), "{said}");
    }
    let said = exit_of(&["--version"]).await.well();
    let lines: Vec<&str> = said.lines().collect();
    let [first, compiler, platform] = lines[..] else { panic!("{said}") };
    let first = first.strip_prefix(concat!("swr-exporter, version ", env!("CARGO_PKG_VERSION"), " (revision: "));
    let revision = first.and_then(|rest| rest.strip_suffix(')')).unwrap_or_else(|| panic!("{said}"));
    assert!(revision == "unknown" || revision.len() >= 12, "{said}");
    assert!(compiler.starts_with("  compiler:  rustc 1."), "{said}");
    assert!(platform.starts_with("  platform:  ") && platform.contains(std::env::consts::ARCH), "{said}");
}

#[tokio::test]
async fn serve_is_the_default_command() {
    let (with, without) = (exit_of(&["serve", "--cache.window", "x"]).await, exit_of(&["--cache.window", "x"]).await);
    assert_eq!(with, without);
    with.with(2, &[]);
}

#[tokio::test]
async fn pipes_and_devices_are_refused_as_files() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for file in [pipe.to_str().unwrap(), "/dev/zero"] {
        for (flag, said) in [
            ("--swr.ca-file", "cannot read certificates from"),
            ("--credentials.token-file", "cannot read the token from"),
            ("--config.file", "pipe: not a regular file"),
        ] {
            let ended = exit_of(&["check", "--offline", "--swr.endpoint=https://swr.example", flag, file]).await;
            let (code, all) = (ended.code, ended.out + &ended.said);
            assert!(code > Some(0) && all.contains(&said.replace("pipe", file)), "{flag} {file}: {code:?}\n{all}");
            assert!(all.contains("not a regular file"), "{flag} {file}: {all}");
        }
        exit_of(&["--swr.endpoint=https://swr.example", "--swr.ca-file", file]).await.with(1, &[]);
    }
}

#[tokio::test]
async fn config_check_ends_as_an_offline_check_does() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "k").unwrap();
    let key = key.to_str().unwrap();
    let files = ["--swr.endpoint=https://swr.example", "--credentials.access-key-file", key];
    for (secret, code) in [(Some(key), 0), (Some("/nowhere"), 1), (None, 2)] {
        let mut command = bare();
        command.env("SWR_EXPORTER_CONFIG_CHECK", "true").args(files);
        command.args(secret.iter().flat_map(|secret| ["--credentials.secret-key-file", secret]));
        done(command).await.with(code, &[]);
    }
}

#[tokio::test]
async fn errors_before_the_log_are_lines_of_the_json_log_too() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let lines = async |arguments: &[&str]| {
        let said = exit_of(&[&["--log.format", "json"], arguments].concat()).await.said;
        let json = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("{said}"));
        said.lines().map(json).collect::<Vec<_>>()
    };
    let problems =
        lines(&["--cache.window", "x", "--swr.page-size", "y", "--swr.endpoint", "https://swr.example"]).await;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().all(|line| line["level"] == "error" && line["ts"].is_string()), "{problems:?}");
    let listening = lines(&["--web.listen-address", &taken, "--swr.endpoint", "https://swr.example"]).await;
    let last = listening.last().unwrap();
    assert!(last["msg"].as_str().unwrap().contains(&format!("cannot listen on {taken}: ")), "{listening:?}");
}

#[tokio::test]
async fn a_variable_that_is_not_utf_8_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let latin1 = std::ffi::OsStr::from_bytes(b"caf\xe9");
    for name in ["SWR_EXPORTER_TOKEN", "SWR_EXPORTER_SWR_REGION", "HUAWEICLOUD_SDK_AK"] {
        let mut command = command();
        command.env(name, latin1).args(["check", "--offline", "--swr.endpoint", "https://swr.example"]);
        done(command).await.with(2, &[&format!("{name}: the value is not UTF-8")]);
    }
}
