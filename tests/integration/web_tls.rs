//! TLS by the web configuration file: versions, client certificates, and reloads under load.

use crate::peers::{self, SCRAPE};
use crate::support::{Exporter, PATIENCE, Scrape, eventually, simulator, text, until};
use crate::upstream_tls::{Issued, authority};
use crate::web_reload::reload_succeeded;
use crate::web_support::{Folder, fixtures, https, of_client};
use rcgen::{IsCa, SanType, date_time_ymd};
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A TLS connection.
pub async fn connect(exporter: &Exporter, tls: rustls::ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(exporter.address()).await?;
    let name = ServerName::try_from("localhost").unwrap();
    tokio::time::timeout(PATIENCE, TlsConnector::from(Arc::new(tls)).connect(name, stream)).await.unwrap()
}

/// The response to a request on a connection of its own. In TLS 1.3 a client must read to learn that its certificate was
/// refused.
async fn exchange(exporter: &Exporter, tls: rustls::ClientConfig, request: &str) -> std::io::Result<String> {
    let mut stream = connect(exporter, tls).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap()?;
    Ok(String::from_utf8(answer).unwrap())
}

/// Whether a scrape gets through.
async fn lets_in(exporter: &Exporter, folder: &Folder, identity: Option<&Issued>) -> bool {
    exchange(exporter, folder.tls(identity), SCRAPE).await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 OK\r\n"))
}

#[tokio::test]
async fn with_a_certificate_only_tls_is_served_with_http_2_unless_disabled() {
    let (folder, upstream) = (Folder::new(), simulator(5, 1).await);
    for (fixture, version) in [
        ("tls.good", reqwest::Version::HTTP_2),
        ("tls-inline.good", reqwest::Version::HTTP_2),
        ("tls-chain.good", reqwest::Version::HTTP_2),
        ("ciphers-all.good", reqwest::Version::HTTP_2),
        ("curves-all.good", reqwest::Version::HTTP_2),
        ("http2-off.good", reqwest::Version::HTTP_11),
    ] {
        let exporter = folder.exporter_with(fixture, &upstream.url()).await;
        let answer = folder.client(None).get(https(&exporter, "/metrics")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version), "{fixture}");
        assert_eq!(Scrape::parse(text(answer).await).get("swr_up"), Some(1.0));
        let head = folder.client(None).head(https(&exporter, "/metrics")).send().await.unwrap();
        assert!(head.headers()["content-length"].to_str().unwrap().parse::<usize>().unwrap() > 1000, "{fixture}");
        let plain = peers::exchange(peers::connect(exporter.address(), 0).await, SCRAPE).await.unwrap();
        assert_eq!(plain.status(), 400, "{fixture}");
        assert!(plain.text().contains("https://"), "whoever speaks HTTP is told why it does not work");
    }
    let exporter = folder.exporter_with("tls-empty.good", &upstream.url()).await;
    assert_eq!(exporter.scrape().await.get("swr_up"), Some(1.0), "nothing is set, so it is plain");
}

#[tokio::test]
async fn versions_suites_and_curves_are_those_of_the_settings() {
    use rustls::CipherSuite::{TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384};
    let (folder, upstream) = (Folder::new(), simulator(5, 1).await);
    // A client that offers only these groups and suites, in this order.
    let offering = |groups: &[rustls::NamedGroup], suites: &[rustls::CipherSuite], version| {
        let mut provider = rustls::crypto::ring::default_provider();
        provider.kx_groups.retain(|group| groups.contains(&group.name()));
        let find = |suite: &rustls::CipherSuite| *provider.cipher_suites.iter().find(|s| s.suite() == *suite).unwrap();
        if !suites.is_empty() {
            provider.cipher_suites = suites.iter().map(find).collect();
        }
        folder.tls_by(provider, &[version], None)
    };
    let all = [rustls::NamedGroup::X25519, rustls::NamedGroup::secp256r1, rustls::NamedGroup::secp384r1];
    let both = [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384];
    let (old, new) = (&rustls::version::TLS12, &rustls::version::TLS13);

    for (fixture, expected) in [
        ("ciphers-some.good", TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
        ("ciphers-clients-order.good", TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ] {
        let exporter = folder.exporter_with(fixture, &upstream.url()).await;
        let stream = connect(&exporter, offering(&all, &both, old)).await.unwrap();
        assert_eq!(stream.get_ref().1.negotiated_cipher_suite().unwrap().suite(), expected, "{fixture}");
        let other = [rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256];
        assert!(connect(&exporter, offering(&all, &other, old)).await.is_err(), "{fixture}: none in common");
        assert!(connect(&exporter, offering(&all, &[], new)).await.is_err(), "{fixture}: TLS 1.3 is switched off");
    }

    let exporter = folder.exporter_with("curves-some.good", &upstream.url()).await;
    let stream = connect(&exporter, offering(&all, &[], new)).await.unwrap();
    let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, rustls::NamedGroup::secp384r1);
    assert!(connect(&exporter, offering(&all[..2], &[], new)).await.is_err(), "none in common");

    let exporter = folder.exporter_with("tls-versions.good", &upstream.url()).await;
    assert!(connect(&exporter, offering(&all, &[], new)).await.is_ok());
    assert!(connect(&exporter, offering(&all, &[], old)).await.is_err(), "TLS 1.2 is switched off");
    let scrape = Scrape::parse(text(folder.client(None).get(https(&exporter, "/metrics")).send().await.unwrap()).await);
    let failed = scrape.value("swr_exporter_connections_closed_total", &[("reason", "tls")]);
    assert_eq!(failed, Some(1.0), "a handshake that fails is counted");
}

#[tokio::test]
async fn only_clients_with_the_required_certificate_reach_http() {
    let (folder, upstream) = (Folder::new(), simulator(5, 1).await);
    let name = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let named = |names: Vec<SanType>| folder.clients.issue(&[], of_client(names));
    let good = named(vec![name("prometheus.example")]);
    let other_name = named(vec![name("grafana.example"), name("x.prometheus.example")]);
    let stranger = authority("strangers").issue(&[], of_client(vec![name("prometheus.example")]));
    let expired = folder.clients.issue(&[], |params| {
        of_client(vec![name("prometheus.example")])(params);
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    });
    let of_server = folder.clients.issue(&["prometheus.example"], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        params.is_ca = IsCa::NoCa;
    });
    // A certificate copied from the wire, with another key.
    let stolen = Issued { certificate: good.certificate.clone(), key: stranger.key.clone() };

    //                      none, good, other name, other authority, expired, for servers
    let policies: [(&str, [bool; 6]); 7] = [
        ("client-none.good", [true; 6]),
        ("client-asked.good", [true; 6]),
        ("client-any.good", [false, true, true, true, true, true]),
        ("client-if-given.good", [true, true, true, false, false, false]),
        ("client-verified.good", [false, true, true, false, false, false]),
        ("client-verified-inline.good", [false, true, true, false, false, false]),
        ("client-names.good", [false, true, false, false, false, false]),
    ];
    for (fixture, expected) in policies {
        let exporter = folder.exporter_with(fixture, &upstream.url()).await;
        let identities = [None, Some(&good), Some(&other_name), Some(&stranger), Some(&expired), Some(&of_server)];
        let mut found = Vec::new();
        for identity in identities {
            found.push(lets_in(&exporter, &folder, identity).await);
        }
        assert_eq!(found, expected, "{fixture}");
        if fixture != "client-none.good" {
            assert!(!lets_in(&exporter, &folder, Some(&stolen)).await, "{fixture}: without its key");
        }
    }

    let exporter = folder.exporter_with("client-names.good", &upstream.url()).await;
    for (names, expected) in [
        (vec![SanType::IpAddress("192.0.2.7".parse().unwrap())], true),
        (vec![SanType::IpAddress("192.0.2.8".parse().unwrap())], false),
        (vec![SanType::Rfc822Name("ops@example.org".try_into().unwrap())], true),
        (vec![SanType::URI("spiffe://example/prometheus".try_into().unwrap())], true),
        (vec![name("*.example"), name("PROMETHEUS.example")], false),
        (vec![name("grafana.example"), name("prometheus.example")], true),
        (Vec::new(), false),
    ] {
        assert_eq!(lets_in(&exporter, &folder, Some(&named(names.clone()))).await, expected, "{names:?}");
    }

    // Excluded paths need no certificate.
    let exporter = folder.exporter_with("client-excluded-paths.good", &upstream.url()).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    for (identity, path, expected) in [
        (None, "/-/healthy", Some("200")),
        (None, "/-/ready", Some("403")),
        (None, "/metrics", Some("403")),
        (None, "/-/healthy/../../metrics", Some("403")),
        (Some(&good), "/metrics", Some("200")),
        (Some(&stranger), "/-/healthy", None),
    ] {
        let answer = exchange(&exporter, folder.tls(identity), &get(path)).await;
        let status = answer.as_ref().ok().and_then(|answer| answer.split(' ').nth(1));
        assert_eq!(status, expected, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stalls_in_the_handshake_is_closed_in_time() {
    peers::allow_many_files();
    let (folder, upstream) = (Folder::new(), simulator(5, 1).await);
    let exporter = folder.exporter_with("tls.good", &upstream.url()).await;
    let mut waiting = tokio::task::JoinSet::new();
    // The beginning of a long record, and then nothing.
    for number in 0..400 {
        let mut stream = peers::connect(exporter.address(), number).await;
        waiting.spawn(async move {
            match number % 4 {
                0 => {}
                1 => stream.write_all(&[22, 3, 1]).await.unwrap(),
                2 => stream.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await.unwrap(),
                // Byte by byte: progress does not extend the deadline.
                _ => {
                    let (mut reader, mut writer) = stream.into_split();
                    let start = tokio::time::Instant::now();
                    let closed = async { while let Ok(1..) = reader.read(&mut [0; 64]).await {} };
                    let dripping = async {
                        for byte in [22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3].into_iter().chain(std::iter::repeat(7)) {
                            if writer.write_all(&[byte]).await.is_err() {
                                std::future::pending::<()>().await;
                            }
                            tokio::time::sleep(Duration::from_millis(500)).await;
                        }
                    };
                    tokio::select! { () = closed => {}, () = dripping => {} }
                    return start.elapsed();
                }
            }
            peers::closed(&mut stream).await
        });
    }
    let lasted = waiting.join_all().await;
    let (shortest, longest) = (lasted.iter().min().unwrap(), lasted.iter().max().unwrap());
    println!("400 stalled handshakes lasted {shortest:?} to {longest:?}");
    assert!(*longest < Duration::from_secs(12) && *shortest > Duration::from_secs(9), "{shortest:?} to {longest:?}");
    assert!(lets_in(&exporter, &folder, None).await);
}

/// The serial number of the certificate that a new connection is shown.
async fn certificate(exporter: &Exporter, folder: &Folder) -> Vec<u8> {
    let stream = connect(exporter, folder.tls(None)).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_replaced_under_load_without_a_failed_request() {
    const ROTATIONS: usize = 100;
    let (folder, upstream) = (Arc::new(Folder::new()), simulator(50, 2).await);
    let exporter = Arc::new(folder.exporter_with("tls.good", &upstream.url()).await);
    let (stop, scrapes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut load = tokio::task::JoinSet::new();
    // Fifty requests a second, each on a connection of its own, and one connection that stays.
    for _ in 0..5 {
        let (folder, exporter, stop, scrapes) = (folder.clone(), exporter.clone(), stop.clone(), scrapes.clone());
        load.spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(100));
            while !stop.load(Ordering::Relaxed) {
                pace.tick().await;
                let answer = exchange(&exporter, folder.tls(None), SCRAPE).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
                scrapes.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let kept = folder.client(None);
    assert_eq!(kept.get(https(&exporter, "/metrics")).send().await.unwrap().status(), 200);

    // The certificate is written before its key, and sometimes only in part. Every tenth rotation is waited for; the others are
    // faster than the files are polled.
    let mut shown = vec![certificate(&exporter, &folder).await];
    for rotation in 0..ROTATIONS {
        let Issued { certificate: new, key } = folder.server();
        match rotation % 10 {
            3 => folder.write("server.crt", &new[..new.len() / 2]),
            5 => folder.write("server.crt", ""),
            7 => std::fs::remove_file(folder.path("server.key")).unwrap(),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
        folder.write("server.crt", &new);
        if rotation % 10 == 0 {
            reload_succeeded(&exporter, &folder.client(None), false).await;
            assert_eq!(certificate(&exporter, &folder).await, *shown.last().unwrap(), "the pair before stays");
        }
        folder.write("server.key", &key);
        if rotation % 10 == 0 {
            reload_succeeded(&exporter, &folder.client(None), true).await;
            shown.push(certificate(&exporter, &folder).await);
        }
    }
    reload_succeeded(&exporter, &folder.client(None), true).await;
    let last = {
        use rustls::pki_types::pem::PemObject;
        rustls::pki_types::CertificateDer::from_pem_slice(folder.read("server.crt").as_bytes()).unwrap().to_vec()
    };
    until(PATIENCE, async || if certificate(&exporter, &folder).await == last { Ok(()) } else { Err(exporter.log()) })
        .await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = load.join_next().await {
        ended.unwrap();
    }
    shown.sort();
    shown.dedup();
    assert_eq!(shown.len(), 11, "each of the ten that were waited for was shown");
    assert_eq!(kept.get(https(&exporter, "/metrics")).send().await.unwrap().status(), 200);
    println!("{} scrapes during {ROTATIONS} rotations", scrapes.load(Ordering::Relaxed));
    let scrape = Scrape::parse(text(kept.get(https(&exporter, "/metrics")).send().await.unwrap()).await);
    assert_eq!(scrape.value("swr_exporter_connections_closed_total", &[("reason", "tls")]), Some(0.0));
    assert!(exporter.log().contains("tls_server_config.key_file: it is not the key of the certificate"));
}

#[tokio::test]
async fn an_invalid_file_changes_nothing_and_the_next_valid_one_is_accepted() {
    let (folder, upstream) = (Folder::new(), simulator(5, 1).await);
    folder.fill_in(&fixtures().join("tls.good.yml"));
    let exporter = folder.exporter(&upstream.url(), &["--web.enable-lifecycle"]).await;
    let good = folder.read("web.yml");
    let frame_options = async || {
        let answer = folder.client(None).get(https(&exporter, "/-/healthy")).send().await.unwrap();
        answer.headers().get("x-frame-options").map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(frame_options().await, None);
    for bad in ["", "tls_server_config: [", "tls_server_conf: {}\n", "tls_server_config:\n  cert_file: none.crt\n"] {
        if bad.is_empty() {
            std::fs::remove_file(folder.path("web.yml")).unwrap();
        } else {
            folder.write("web.yml", bad);
        }
        reload_succeeded(&exporter, &folder.client(None), false).await;
        let better = format!("{good}http_server_config: {{ headers: {{ X-Frame-Options: deny }} }} # {}\n", bad.len());
        folder.write("web.yml", &better);
        reload_succeeded(&exporter, &folder.client(None), true).await;
        assert_eq!(frame_options().await.as_deref(), Some("deny"));
    }

    // A reload by request reads all settings and answers with the problems.
    folder.write("web.yml", &format!("{good}  min_versoin: TLS13\n"));
    let answer = folder.client(None).post(https(&exporter, "/-/reload")).send().await.unwrap();
    assert_eq!(answer.status(), 500);
    assert!(text(answer).await.contains("tls_server_config.min_versoin: unknown key (did you mean `min_version`?)"));
    assert_eq!(frame_options().await.as_deref(), Some("deny"), "nothing has changed");
    folder.write("web.yml", &good);
    let answer = folder.client(None).post(https(&exporter, "/-/reload")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(frame_options().await, None, "at once");
    folder.write("web.yml", &format!("{good}http_server_config: {{ headers: {{ X-Frame-Options: sameorigin }} }}\n"));
    exporter.signal("HUP");
    eventually("it is read again", || exporter.log().contains("settings reloaded on SIGHUP")).await;
    assert_eq!(frame_options().await.as_deref(), Some("sameorigin"));
}
