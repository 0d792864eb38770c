//! The exporter as a systemd service: socket activation, readiness, reload, watchdog.

use crate::support::{PATIENCE, command, eventually, simulator, start, start_as_it_is, text};
use std::collections::BTreeMap;
use tokio::net::UnixDatagram;
use tokio::process::Command;

/// The notification socket of systemd.
struct Systemd {
    folder: tempfile::TempDir,
    socket: UnixDatagram,
}

impl Systemd {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        Self { folder, socket }
    }

    /// Starts the exporter as its service.
    fn service(&self, flags: &[&str]) -> Command {
        let mut command = command();
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify")).args(flags);
        command
    }

    /// The next message.
    async fn told(&self) -> BTreeMap<String, String> {
        let mut message = [0; 512];
        let length = tokio::time::timeout(PATIENCE, self.socket.recv(&mut message)).await.expect("a message").unwrap();
        let message = std::str::from_utf8(&message[..length]).unwrap();
        let pairs = message.lines().map(|line| line.split_once('=').unwrap());
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    async fn is_told(&self, name: &str) {
        assert_eq!(self.told().await, BTreeMap::from([(name.to_owned(), "1".to_owned())]));
    }
}

#[tokio::test]
async fn systemd_is_told_when_the_service_is_ready_reloads_and_stops() {
    let (systemd, upstream) = (Systemd::new(), simulator(3, 1).await);
    let mut exporter = start(systemd.service(&["--swr.endpoint", &upstream.url()])).await;
    systemd.is_told("READY").await;
    exporter.signal("HUP");
    let reloading = systemd.told().await;
    assert_eq!(reloading["RELOADING"], "1");
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let told = reloading["MONOTONIC_USEC"].parse::<f64>().unwrap() / 1e6;
    // The monotonic clock stands still while the machine sleeps; else both say the same.
    assert!(told > 0.0 && told <= uptime + 1.0, "{told} {uptime}");
    systemd.is_told("READY").await;
    exporter.signal("TERM");
    systemd.is_told("STOPPING").await;
    assert!(exporter.ended().await.success());
}

#[tokio::test]
async fn the_watchdog_is_notified_while_the_process_runs() {
    let systemd = Systemd::new();
    let mut command = systemd.service(&["--swr.endpoint", "http://127.0.0.1:9"]);
    command.env("WATCHDOG_USEC", "200000");
    let exporter = start(command).await;
    systemd.is_told("READY").await;
    for _ in 0..3 {
        systemd.is_told("WATCHDOG").await;
    }
    // A stopped process is silent. Messages sent before are read first.
    exporter.signal("STOP");
    let silent =
        async { while tokio::time::timeout(std::time::Duration::from_millis(400), systemd.told()).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, silent).await.expect("a process that stands still is silent");
    exporter.signal("CONT");
    systemd.is_told("WATCHDOG").await;
}

#[tokio::test]
async fn a_missing_notification_socket_is_harmless() {
    let mut command = command();
    command.args(["--swr.endpoint", "http://127.0.0.1:9"]).env("NOTIFY_SOCKET", "/nowhere/notify");
    let exporter = start(command).await;
    assert_eq!(exporter.get("/-/ready").await.status(), 200);
    eventually("it is told", || exporter.log().contains("cannot notify systemd")).await;
}

#[tokio::test]
async fn only_the_sockets_of_socket_activation_are_served() {
    let upstream = simulator(3, 1).await;
    // The tool cannot choose free ports itself, and those chosen for it may be taken by another process meanwhile.
    for _ in 0..5 {
        let free = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let free = free.map(|listener| listener.local_addr().unwrap().to_string());
        let mut activate = Command::new("systemd-socket-activate");
        for (name, value) in command().as_std().get_envs() {
            let Some(value) = value else { continue };
            activate.arg(format!("--setenv={}={}", name.to_str().unwrap(), value.to_str().unwrap()));
        }
        activate
            .args(["-l", &free[0], "-l", &free[1], env!("CARGO_BIN_EXE_swr-exporter")])
            .args(["--swr.endpoint", &upstream.url(), "--web.listen-address", "127.0.0.1:1"])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true);
        // It starts the exporter on the first connection.
        let (first, second) = (free[0].clone(), free[1].clone());
        let waiting = tokio::spawn(async move {
            loop {
                match crate::support::client().get(format!("http://{second}/metrics")).send().await {
                    Ok(answer) => return text(answer).await,
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                }
            }
        });
        let started = tokio::spawn(start_as_it_is(activate)).await;
        let Ok(exporter) = started else {
            waiting.abort();
            continue;
        };
        let metrics = tokio::time::timeout(PATIENCE, waiting).await.expect("an answer").unwrap();
        assert!(metrics.contains("swr_up 1"), "{metrics}");
        assert_eq!(exporter.address(), first);
        assert_eq!(exporter.get("/-/healthy").await.status(), 200);
        let log = exporter.log();
        assert!(log.contains("--web.listen-address is ignored") && !log.contains("127.0.0.1:1\n"), "{log}");
        return;
    }
    panic!("the tool does not start the exporter, five times");
}
