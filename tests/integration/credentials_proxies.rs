//! Proxies: what goes through them, with which password, and what never does.

use crate::credentials_sources::{short_lived, sum};
use crate::support::{Exporter, command, eventually, start};
use base64::Engine;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const ENDPOINT: &str = "https://swr-api.test.example";

/// A proxy that notes what it is asked for and lets nothing through.
async fn proxy() -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked: Arc<Mutex<String>> = Arc::default();
    let noted = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|count| count > 0) {}
            noted.lock().unwrap().push_str(&String::from_utf8_lossy(&head));
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    (address, asked)
}

async fn with_variables(variables: &[(&str, &str)]) -> Exporter {
    let mut command = command();
    command.args(["--swr.endpoint", ENDPOINT, "--cache.window", "100ms"]).envs(variables.iter().copied());
    let exporter = start(command).await;
    exporter.scrape_until("a failure", |scrape| sum(scrape, "swr_refresh_failures_total") >= 1.0).await;
    exporter
}

#[tokio::test]
async fn the_api_is_called_through_the_proxy_with_its_password_and_the_log_says_so_without() {
    let (address, asked) = proxy().await;
    let exporter = with_variables(&[("HTTPS_PROXY", &format!("http://user:p%40ss@{address}"))]).await;
    let asked = asked.lock().unwrap().clone();
    assert!(asked.starts_with("CONNECT swr-api.test.example:443 HTTP/1.1"), "{asked}");
    let login = base64::prelude::BASE64_STANDARD.encode("user:p@ss");
    assert!(asked.to_lowercase().contains(&format!("proxy-authorization: basic {}", login.to_lowercase())), "{asked}");
    let log = exporter.log();
    assert!(log.contains(&format!("calling the API through the proxy http://{address}")), "{log}");
    assert!(!log.contains("p%40ss") && !log.contains("p@ss") && !log.contains(&login), "{log}");
}

#[tokio::test]
async fn what_no_proxy_names_is_called_directly() {
    for no_proxy in ["*.test.example", ".test.example", "swr-api.test.example:443", "a,*"] {
        let (address, asked) = proxy().await;
        let exporter = with_variables(&[("HTTPS_PROXY", &format!("http://{address}")), ("NO_PROXY", no_proxy)]).await;
        assert_eq!(*asked.lock().unwrap(), "", "{no_proxy}");
        assert!(!exporter.log().contains("through the proxy"), "{no_proxy}: {}", exporter.log());
    }
}

#[tokio::test]
async fn services_of_this_machine_are_never_asked_through_a_proxy() {
    let (upstream, (address, asked)) = (short_lived().await, proxy().await);
    let mut command = command();
    command.env_remove("SWR_EXPORTER_ACCESS_KEY").env_remove("SWR_EXPORTER_SECRET_KEY");
    command.args(["--swr.endpoint", ENDPOINT, "--credentials.metadata-endpoint", &upstream.url()]);
    command.env("HTTP_PROXY", format!("http://{address}")).env("HTTPS_PROXY", format!("http://{address}"));
    let exporter = start(command).await;
    exporter.scrape_until("the API fails", |scrape| sum(scrape, "swr_refresh_failures_total") >= 1.0).await;
    assert_eq!(upstream.handle.count("/openstack"), 1, "{}", exporter.log());
    eventually("the API is asked through it", || asked.lock().unwrap().contains("CONNECT swr-api.test.example")).await;
    assert!(!asked.lock().unwrap().contains("openstack"));
}

#[tokio::test]
async fn a_proxy_variable_that_is_not_understood_is_refused_by_name_without_its_password() {
    for (name, value, said) in [
        ("HTTPS_PROXY", "http://us er:hunter2@x@127.0.0.1:1", "must be percent-encoded"),
        ("https_proxy", "socks5://user:hunter2@127.0.0.1:1", "SOCKS proxy, which is not supported"),
    ] {
        for arguments in [&["check", "--offline"][..], &["serve"], &["scrape"]] {
            let mut command = command();
            command.args(arguments).args(["--swr.endpoint", ENDPOINT]).env(name, value);
            let output = command.stdout(Stdio::piped()).output().await.unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
            assert!(text.contains(name) && text.contains(said) && !text.contains("hunter2"), "{text}");
        }
    }
}
