//! The services of the compose file without containers: their commands and files with the programs of this machine.

use crate::prometheus::{Prometheus, Server};
use crate::support::{bare, done_within, start_as_it_is, until};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

/// Imports and rules take seconds, many more on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is shorter here than for people who look on.
const SHORTER: [(&str, &str); 4] =
    [("interval: 15s", "interval: 2s"), ("timeout: 10s", "timeout: 2s"), ("for: 1m", "for: 4s"), ("=30d", "=10d")];

/// The compose file, and what stands for its volumes and host names.
struct Compose {
    text: String,
    folder: PathBuf,
    day: String,
    hosts: Vec<(&'static str, String)>,
}

fn shipped(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/compose").join(file)
}

impl Compose {
    fn service(&self, name: &str) -> &str {
        let (_, rest) = self.text.split_once(&format!("\n  {name}:\n")).unwrap();
        rest.split_once("\n\n").unwrap().0
    }

    /// The text with paths of this machine for those below the mounts of a service, and with everything else that differs here.
    fn here(&self, service: &str, text: &str) -> String {
        let mut text = text.replace("$$", "$").replace("65534:65534", "$(id -u):$(id -g)");
        while let Some((before, after)) = text.split_once("${TODAY") {
            text = format!("{before}{}{}", self.day, after.split_once('}').unwrap().1);
        }
        for (from, to) in SHORTER.iter().copied().chain(self.hosts.iter().map(|(name, address)| (*name, &**address))) {
            text = text.replace(from, to);
        }
        for (inside, outside) in self.mounts(service) {
            let mut rest = &*text;
            let mut mapped = String::new();
            while let Some((before, after)) = rest.split_once(&inside) {
                mapped += before;
                let is_start = !mapped.ends_with(|c: char| c.is_alphanumeric());
                mapped += if is_start { outside.to_str().unwrap() } else { &inside };
                rest = after;
            }
            text = mapped + rest;
        }
        text
    }

    /// Where the mounts of a service are in its container and here, the longest path first.
    fn mounts(&self, service: &str) -> Vec<(String, PathBuf)> {
        let (_, volumes) = self.service(service).split_once("volumes:").unwrap();
        let in_brackets = volumes.lines().next().unwrap().trim().trim_matches(['[', ']']).trim_matches('"');
        let listed = volumes.lines().skip(1).map_while(|line| line.trim().strip_prefix("- "));
        let mut mounts: Vec<_> = std::iter::once(in_brackets)
            .chain(listed)
            .filter_map(|mount| mount.split_once(':'))
            .map(|(from, to)| {
                let inside = to.trim_end_matches(":ro").to_owned();
                let from = if from.starts_with('.') { shipped(from) } else { self.folder.join(from) };
                // Files name paths and hosts themselves.
                let is_ours = from.is_file();
                (inside, if is_ours { self.folder.join(from.file_name().unwrap()) } else { from })
            })
            .collect();
        mounts.sort_by_key(|(inside, _)| std::cmp::Reverse(inside.len()));
        mounts
    }

    /// The command of a service, without containers.
    fn command(&self, service: &str) -> Vec<String> {
        let (_, command) = self.service(service).split_once("\n    command: [").unwrap();
        let flags = command.split_once("]\n").map_or(command, |(flags, _)| flags);
        flags.split(", ").map(|flag| self.here(service, flag.trim_matches('"'))).collect()
    }

    /// Writes a mounted file as it has to be here.
    fn write(&self, service: &str, file: &str) {
        let text = std::fs::read_to_string(shipped(file)).unwrap();
        std::fs::write(self.folder.join(file), self.here(service, &text)).unwrap();
    }

    fn demo(&self, service: &str) -> Command {
        let mut command = bare();
        command.args(self.command(service)).args(["--repositories", "60", "--namespaces", "4"]);
        command
    }
}

#[tokio::test]
async fn the_services_of_the_compose_file_lead_to_growth_alerts_in_alertmanager() {
    let folder = tempfile::tempdir().unwrap();
    for volume in ["history", "prometheus"] {
        std::fs::create_dir(folder.path().join(volume)).unwrap();
    }
    let mut compose = Compose {
        text: std::fs::read_to_string(shipped("compose.yml")).unwrap(),
        folder: folder.path().to_owned(),
        day: jiff::Timestamp::now().to_string()[..10].to_owned(),
        hosts: vec![("0.0.0.0:10179", "127.0.0.1:0".to_owned())],
    };
    let exporter = start_as_it_is(compose.demo("exporter")).await;
    compose.hosts.push(("exporter:10179", exporter.address().to_owned()));

    done_within(PATIENCE, compose.demo("history")).await.with(0, &[]);

    let service = compose.service("import");
    let (_, script) = service.split_once("- |\n").unwrap();
    let lines: Vec<&str> = script.lines().take_while(|line| line.starts_with("        ")).collect();
    let import = compose.here("import", &lines.join("\n"));
    let mut importing = Command::new("/bin/sh");
    importing.args(["-ec", &import]);
    done_within(PATIENCE, importing).await.with(0, &[]);

    compose.write("alertmanager", "alertmanager.yml");
    let flags = compose.command("alertmanager");
    let alertmanager = Server::start("prometheus-alertmanager", |own, address| {
        let flags = flags.iter().filter(|flag| !flag.starts_with("--storage.path=")).cloned();
        let ours = [
            format!("--storage.path={}", own.display()),
            format!("--web.listen-address={address}"),
            "--cluster.listen-address=".to_owned(),
        ];
        flags.chain(ours).collect()
    })
    .await;
    compose.hosts.push(("alertmanager:9093", alertmanager.address.clone()));

    compose.write("prometheus", "prometheus.yml");
    let flags = compose.command("prometheus");
    let server = Server::start("prometheus", |_, address| {
        let ours = [format!("--web.listen-address={address}"), "--log.level=warn".to_owned()];
        flags.iter().cloned().chain(ours).collect()
    });
    let prometheus = Prometheus { server: server.await };

    until(PATIENCE, async || {
        let alerts = alertmanager.json("/api/v2/alerts", &[]).await;
        let names = alerts.as_array().unwrap().iter().map(|alert| alert["labels"]["alertname"].as_str().unwrap());
        let growth: BTreeSet<_> = names.filter(|name| name.contains("Grow") || name.contains("LargeNew")).collect();
        if growth.len() >= 4 { Ok(()) } else { Err(format!("{alerts}\n{}", prometheus.server.log())) }
    })
    .await;
}
