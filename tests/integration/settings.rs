//! What an operator may get wrong, and what the program says to it: exit codes, and every problem at once.

use crate::support::{PATIENCE, command, simulator};
use std::process::{Output, Stdio};
use tokio::net::TcpListener;
use tokio::process::Command;

/// Runs a command that is to end by itself.
async fn run(mut command: Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends by itself").unwrap()
}

/// The exporter with these arguments and no settings but the demo's access key.
async fn exit_of(arguments: &[&str]) -> (i32, String) {
    let mut command = command();
    command.args(arguments);
    let output = run(command).await;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), said)
}

#[tokio::test]
async fn every_problem_is_listed_before_anything_listens() {
    // The port is taken: whoever tried to listen would fail with 1 and speak of the address.
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let mut command = command();
    command.env_remove("SWR_EXPORTER_SECRET_KEY").env("SWR_EXPORTER_SWR_CONCURRENCY", "many").args([
        "--web.listen-address",
        &taken,
        "--cache.window",
        "10m",
        "--cache.max-age",
        "1m",
        "--swr.page-size",
        "0",
        "--log.level",
        "shout",
    ]);
    let output = run(command).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for expected in [
        "6 problems",
        "SWR_EXPORTER_SWR_CONCURRENCY: `many`",
        "--cache.max-age: 1m is shorter than --cache.window 10m",
        "--swr.page-size: `0`",
        "--log.level: `shout`",
        "no endpoint: give --swr.region",
        "no secret key: set SWR_EXPORTER_SECRET_KEY or --credentials.secret-key-file",
    ] {
        assert!(said.contains(expected), "{expected}\n---\n{said}");
    }
    assert!(output.stdout.is_empty() && !said.contains(&taken), "{said}");
}

#[tokio::test]
async fn what_the_program_does_not_know_is_refused_with_2() {
    for arguments in [&["--swr.regoin", "cn-north-4"][..], &["exprot"], &["demo", "--speed", "fast"], &["--swr.region"]]
    {
        let (code, said) = exit_of(arguments).await;
        assert_eq!(code, 2, "{arguments:?}: {said}");
        assert!(said.contains(arguments.iter().rfind(|word| !word.starts_with("cn-")).unwrap()), "{said}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_a_failure_to_start() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let upstream = simulator(3, 1).await;
    let (code, said) = exit_of(&["--swr.endpoint", &upstream.url(), "--web.listen-address", &taken]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("cannot listen on {taken}: ")), "{said}");
    assert_eq!(upstream.handle.total(), 0, "nothing is asked");
    for command in [&["demo", "--web.listen-address"][..], &["simulate", "--listen-address"]] {
        let (code, said) = exit_of(&[command, &[&taken]].concat()).await;
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(&format!("cannot listen on {taken}: ")), "{said}");
    }
}

#[tokio::test]
async fn help_and_version_are_no_failures() {
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["serve", "--help"],
        &["demo", "--help"],
        &["simulate", "--help"],
        &["help"],
        &["help", "serve"],
    ] {
        let (code, said) = exit_of(arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {said}");
        assert!(said.contains("Usage: swr-exporter"), "{said}");
    }
    let (code, said) = exit_of(&["--version"]).await;
    assert_eq!((code, said.trim()), (0, concat!("swr-exporter ", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn the_name_of_serve_may_be_left_out() {
    let (with, without) = (exit_of(&["serve", "--cache.window", "x"]).await, exit_of(&["--cache.window", "x"]).await);
    assert_eq!(with, without);
    assert_eq!(with.0, 2);
}

#[tokio::test]
async fn a_file_that_is_none_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for file in [pipe.to_str().unwrap(), "/dev/zero"] {
        for (flag, said) in [
            ("--swr.ca-file", "cannot read certificates from"),
            ("--credentials.token-file", "cannot read the token from"),
            ("--config.file", "pipe: it is no regular file"),
        ] {
            let (code, all) = exit_of(&["check", "--offline", "--swr.endpoint=https://swr.example", flag, file]).await;
            assert!(code != 0 && all.contains(&said.replace("pipe", file)), "{flag} {file}: {code}\n{all}");
            assert!(all.contains("it is no regular file"), "{flag} {file}: {all}");
        }
        let (code, said) = exit_of(&["--swr.endpoint=https://swr.example", "--swr.ca-file", file]).await;
        assert_eq!(code, 1, "{said}");
    }
}
