//! Client certificates on connections that are older than the settings in force.

use crate::peers;
use crate::support::{Exporter, PATIENCE, eventually, simulator, until};
use crate::upstream_tls::authority;
use crate::web_support::{Folder, https, of_client};
use crate::web_tls::connect;
use rcgen::SanType;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// TLS settings with additions.
fn settings(more: &str) -> String {
    format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{more}")
}

/// Writes settings and waits until they are in force.
async fn put(exporter: &Exporter, folder: &Folder, more: &str) {
    let times = || exporter.log().matches("web configuration reloaded").count();
    let before = times();
    folder.write("web.yml", &settings(more));
    eventually("it is read again", || times() > before).await;
}

/// The status of a request on an open connection; `None` if it was closed.
async fn ask(stream: &mut TlsStream<TcpStream>) -> Option<u16> {
    let answer = peers::ask(stream, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
    answer.ok().map(|answer| answer.status())
}

const ANY: &str = "  client_auth_type: RequireAnyClientCert\n";
const VERIFIED: &str = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.crt\n";

#[tokio::test]
async fn a_certificate_accepted_under_an_older_policy_does_not_satisfy_a_stricter_one() {
    let (folder, upstream) = (Folder::new(), simulator(5, 1).await);
    folder.write("web.yml", &settings(ANY));
    let exporter = folder.exporter(&upstream.url(), &[]).await;
    let name = || vec![SanType::DnsName("prometheus.example".try_into().unwrap())];
    let stranger = authority("strangers").issue(&[], of_client(name()));
    let good = folder.clients.issue(&[], of_client(name()));
    let mut kept = connect(&exporter, folder.tls(Some(&stranger))).await.unwrap();
    let (of_stranger, of_good) = (folder.client(Some(&stranger)), folder.client(Some(&good)));
    let by_http2 = async |client: &reqwest::Client| {
        let answer = client.get(https(&exporter, "/metrics")).send().await.ok()?;
        assert_eq!(answer.version(), reqwest::Version::HTTP_2);
        Some(answer.status().as_u16())
    };
    assert_eq!(ask(&mut kept).await, Some(200));
    assert_eq!((by_http2(&of_stranger).await, by_http2(&of_good).await), (Some(200), Some(200)));

    // A new server certificate changes nothing for clients.
    let issued = folder.server();
    folder.write("server.crt", &issued.certificate);
    folder.write("server.key", &issued.key);
    put(&exporter, &folder, &format!("{ANY}  min_version: TLS12\n")).await;
    assert_eq!(ask(&mut kept).await, Some(200));
    assert_eq!((by_http2(&of_stranger).await, by_http2(&of_good).await), (Some(200), Some(200)));

    put(&exporter, &folder, VERIFIED).await;
    assert_eq!(ask(&mut kept).await, Some(403));
    assert_eq!(ask(&mut kept).await, None, "and the connection is closed");
    assert_eq!(by_http2(&of_stranger).await, Some(403));
    eventually_refused(&of_stranger, &exporter).await;
    // A client that complies may have to reconnect.
    let first = by_http2(&of_good).await;
    assert!(matches!(first, Some(200 | 403)), "{first:?}");
    until(PATIENCE, async || match by_http2(&of_good).await {
        Some(200) => Ok(()),
        seen => Err(format!("{seen:?}")),
    })
    .await;

    // Other names, by the same authority.
    let mut kept = connect(&exporter, folder.tls(Some(&good))).await.unwrap();
    assert_eq!(ask(&mut kept).await, Some(200));
    put(&exporter, &folder, &format!("{VERIFIED}  client_allowed_sans: [grafana.example]\n")).await;
    assert_eq!(ask(&mut kept).await, Some(403));
}

/// Waits until the HTTP/2 connection ends and no new one is possible.
async fn eventually_refused(client: &reqwest::Client, exporter: &Exporter) {
    until(PATIENCE, async || {
        let Ok(answer) = client.get(https(exporter, "/metrics")).send().await else { return Ok(()) };
        assert_eq!(answer.status(), 403);
        Err("the connection stays".to_owned())
    })
    .await;
}
