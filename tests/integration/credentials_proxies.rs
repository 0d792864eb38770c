//! Proxies: what goes through them, with which password, and what never does.

use crate::credentials_sources::{file_with, short_lived};
use crate::support::{Ended, Exporter, bare, command, done, eventually, start};
use base64::Engine;
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
    exporter.scrape_until("a failure", |scrape| scrape.sum("swr_refresh_failures_total") >= 1.0).await;
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
    let mut command = bare();
    command.args(["--swr.endpoint", ENDPOINT, "--credentials.metadata-endpoint", &upstream.url()]);
    command.env("HTTP_PROXY", format!("http://{address}")).env("HTTPS_PROXY", format!("http://{address}"));
    let exporter = start(command).await;
    exporter.scrape_until("the API fails", |scrape| scrape.sum("swr_refresh_failures_total") >= 1.0).await;
    assert_eq!(upstream.handle.count("/openstack"), 1, "{}", exporter.log());
    eventually("the API is asked through it", || asked.lock().unwrap().contains("CONNECT swr-api.test.example")).await;
    assert!(!asked.lock().unwrap().contains("openstack"));
}

/// A proxy notes every host that is called; whatever the variables of the vendor's SDK say, none is of the vendor's own cloud.
#[tokio::test]
async fn nothing_goes_to_huawei_cloud_when_the_api_is_that_of_another_cloud() {
    let (_folder, token) = file_with("header.payload.signature");
    let (_folder, password) = file_with("demo");
    let token = token.to_str().unwrap();
    let sts = [
        ("HUAWEICLOUD_OIDC_PROVIDER_URN", "iam::0:oidc-provider:p"),
        ("HUAWEICLOUD_OIDC_AGENCY_URN", "iam::0:agency:a"),
        ("HUAWEICLOUD_OIDC_TOKEN_FILE", token),
    ];
    let iam = [("HUAWEICLOUD_SDK_IDP_ID", "idp"), ("HUAWEICLOUD_SDK_ID_TOKEN_FILE", token)];
    let login = [
        ("SWR_EXPORTER_CREDENTIALS_DOMAIN_NAME", "OTC0"),
        ("SWR_EXPORTER_CREDENTIALS_USERNAME", "exporter"),
        ("SWR_EXPORTER_CREDENTIALS_PASSWORD_FILE", password.to_str().unwrap()),
    ];
    let key = [
        ("SWR_EXPORTER_ACCESS_KEY", "AK"),
        ("SWR_EXPORTER_SECRET_KEY", "sk"),
        ("SWR_EXPORTER_CREDENTIALS_AGENCY_NAME", "readers"),
        ("SWR_EXPORTER_CREDENTIALS_AGENCY_DOMAIN_ID", "0123"),
    ];
    let lookup = [&key[..2], &[("SWR_EXPORTER_COLLECTOR_ACCOUNT", "true")]].concat();
    // Regions of the vendor, one of which a partner has too: its addresses must not be taken for those of the other cloud.
    for region in ["", "ru-moscow-1", "cn-north-4"] {
        for (credential, service) in [(&sts[..], "sts"), (&iam, "iam"), (&login, "iam"), (&key, "iam"), (&lookup, "")] {
            let own = format!("https://{service}.ru-moscow-1.hc.cloud.example");
            let variable = format!("SWR_EXPORTER_SWR_{}_ENDPOINT", service.to_uppercase());
            for given in [false, true] {
                if given && service.is_empty() {
                    continue;
                }
                let (address, asked) = proxy().await;
                let mut command = bare();
                // It asks for a credential before anything else.
                command.arg("scrape").args(["--swr.endpoint", "https://swr-api.ru-moscow-1.hc.cloud.example"]);
                command.env("HTTPS_PROXY", format!("http://{address}")).env("SWR_EXPORTER_SWR_REGION", region);
                command.env("SWR_EXPORTER_SWR_PROJECT_ID", if service.is_empty() { "" } else { "0123" });
                command.envs(credential.iter().copied());
                if given {
                    command.env(&variable, &own);
                }
                let Ended { code, said, .. } = done(command).await;
                let asked = asked.lock().unwrap().clone();
                let hosts: Vec<&str> = asked.lines().filter(|line| line.starts_with("CONNECT ")).collect();
                let is_own = |line: &&str| line.contains(".ru-moscow-1.hc.cloud.example:443 ");
                assert!(hosts.iter().all(is_own), "{region} {service} {given}: {hosts:?}");
                // Without the service's address it is refused, before anything is sent.
                let refused = !given && !service.is_empty();
                assert_eq!(code, Some(if refused { 2 } else { 1 }), "{region} {service}: {said}");
                assert_eq!(hosts.is_empty(), refused, "{region} {service}: {said}");
                if given {
                    let asked_for = format!("CONNECT {}:443 ", own.trim_start_matches("https://"));
                    assert!(hosts.iter().any(|line| line.starts_with(&asked_for)), "{asked_for}: {hosts:?}");
                }
                if refused {
                    assert!(said.contains(&format!("--swr.{service}-endpoint")), "{said}");
                }
            }
        }
    }
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
            let ended = done(command).await.with(2, &[]);
            let text = ended.said + &ended.out;
            assert!(text.contains(name) && text.contains(said) && !text.contains("hunter2"), "{text}");
        }
    }
}
