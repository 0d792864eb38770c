//! Mistakes of operators: exit codes, and every problem reported at once.

use crate::support::{PATIENCE, command, simulator};
use std::process::{Output, Stdio};
use tokio::net::TcpListener;
use tokio::process::Command;

/// Runs a command that ends without a signal.
async fn run(mut command: Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends by itself").unwrap()
}

/// Runs the exporter with these arguments and the access key of the demo: exit code and output.
async fn exit_of(arguments: &[&str]) -> (i32, String) {
    let mut command = command();
    command.args(arguments);
    let output = run(command).await;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), said)
}

#[tokio::test]
async fn every_problem_is_listed_before_anything_listens() {
    // The port is taken: listening would fail with code 1 and name the address.
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let mut command = command();
    command.env_remove("SWR_EXPORTER_SECRET_KEY").env("SWR_EXPORTER_SWR_CONCURRENCY", "many");
    command.args(["--web.listen-address", &taken, "--log.level", "shout"]);
    let output = run(command).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for expected in [
        "4 problems",
        "SWR_EXPORTER_SWR_CONCURRENCY: `many`",
        "--log.level: `shout`",
        "no endpoint: give --swr.region",
        "no secret key: set SWR_EXPORTER_SECRET_KEY or --credentials.secret-key-file",
    ] {
        assert!(said.contains(expected), "{expected}\n---\n{said}");
    }
    assert!(output.stdout.is_empty() && !said.contains(&taken), "{said}");
}

#[tokio::test]
async fn unknown_flags_commands_and_values_exit_with_2() {
    for arguments in [&["--swr.regoin", "cn-north-4"][..], &["exprot"], &["demo", "--speed", "fast"], &["--swr.region"]]
    {
        let (code, said) = exit_of(arguments).await;
        assert_eq!(code, 2, "{arguments:?}: {said}");
        assert!(said.contains(arguments.iter().rfind(|word| !word.starts_with("cn-")).unwrap()), "{said}");
    }
}

#[tokio::test]
async fn a_port_in_use_exits_with_1() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let upstream = simulator(3, 1).await;
    let (code, said) = exit_of(&["--swr.endpoint", &upstream.url(), "--web.listen-address", &taken]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("cannot listen on {taken}: ")), "{said}");
    assert_eq!(upstream.handle.total(), 0, "nothing is called");
    for command in [&["demo", "--web.listen-address"][..], &["simulate", "--listen-address"]] {
        let (code, said) = exit_of(&[command, &[&taken]].concat()).await;
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(&format!("cannot listen on {taken}: ")), "{said}");
    }
}

#[tokio::test]
async fn help_and_version_exit_with_0() {
    for arguments in [&["--help"][..], &["-h"], &["serve", "--help"], &["help", "demo"]] {
        let (code, said) = exit_of(arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {said}");
        assert!(said.contains("Usage: swr-exporter"), "{said}");
    }
    let (code, said) = exit_of(&["--version"]).await;
    assert_eq!((code, said.trim()), (0, concat!("swr-exporter ", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn serve_is_the_default_command() {
    let (with, without) = (exit_of(&["serve", "--cache.window", "x"]).await, exit_of(&["--cache.window", "x"]).await);
    assert_eq!(with, without);
    assert_eq!(with.0, 2);
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
