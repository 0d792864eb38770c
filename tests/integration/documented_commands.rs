//! The commands of README and docs do what the text says.
//!
//! They run as they stand in a sandbox with its own `/etc`, `/usr` and `/var`. An account of the simulator stands in for the
//! cloud's, and programs that change the machine (`sudo`, `systemctl`, `apt-get`) only pass on or accept what they are given.

use crate::observing::alertmanager;
use crate::prometheus::Server;
use crate::support::{Exporter, Scrape, blocks, exporter, simulator, start_as_it_is, text};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use swr_simulator::{
    DEMO_ACCESS_KEY, DEMO_DOMAIN, DEMO_PASSWORD, DEMO_PROJECT_ID, DEMO_SECRET_KEY, DEMO_USER, Running,
};
use tokio::process::Command;

/// Blocks that begin so are not run here, and why.
const ELSEWHERE: [(&str, &str); 9] = [
    ("cargo ", "builds and tests: this is one of them"),
    ("tests/run", "runs these tests"),
    ("sudo apt-get install --yes prometheus\ndeploy/demo", "takes minutes; `demo` runs it with shorter times"),
    ("docker ", "needs docker; `packaged` runs the binary of the image"),
    ("TODAY=", "the same"),
    ("kubectl ", "needs a cluster; `tests/chart` renders the chart"),
    ("helm ", "the same"),
    ("deploy/deb", "builds and installs a package: `tests/package` does"),
    ("HOST_EXECUTABLE=", "the same for another architecture"),
];

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README, CONTRIBUTING and docs, in this order.
fn documents() -> Vec<PathBuf> {
    let mut docs: Vec<PathBuf> =
        fs::read_dir(checkout().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    docs.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    docs.sort();
    ["README.md", "CONTRIBUTING.md"].map(|name| checkout().join(name)).into_iter().chain(docs).collect()
}

struct Sandbox {
    root: tempfile::TempDir,
    upstream: Running,
    running: Exporter,
    alertmanager: Server,
}

impl Sandbox {
    async fn new() -> Self {
        let upstream = simulator(30, 2).await;
        let running = exporter(&upstream.url(), &[]).await;
        let sandbox =
            Self { root: tempfile::tempdir().unwrap(), running, upstream, alertmanager: alertmanager().await };
        for folder in [
            "bin",
            "etc/systemd/system",
            "etc/default",
            "etc/prometheus",
            "etc/swr-exporter",
            "usr/local/bin",
            "usr/share/bash-completion/completions",
            "var/lib/prometheus/node-exporter",
            "checkout/target/release",
        ] {
            fs::create_dir_all(sandbox.path(folder)).unwrap();
        }
        for (name, script) in [("sudo", "exec \"$@\""), ("systemctl", ":"), ("apt-get", ":")] {
            let path = sandbox.path("bin").join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        for folder in ["deploy", "dashboards"] {
            symlink(checkout().join(folder), sandbox.path("checkout").join(folder)).unwrap();
        }
        fs::copy(checkout().join("dashboards/rules/thresholds.yml"), sandbox.path("checkout/thresholds.yml")).unwrap();
        let built = env!("CARGO_BIN_EXE_swr-exporter");
        symlink(built, sandbox.path("bin/swr-exporter")).unwrap();
        symlink(built, sandbox.path("checkout/target/release/swr-exporter")).unwrap();
        sandbox.write_secrets();
        let accounts = blocks("docs/configuration.md", "yaml");
        let accounts = accounts.iter().find(|block| block.contains("production:")).unwrap();
        fs::write(sandbox.path("etc/swr-exporter/accounts.yml"), sandbox.here(accounts)).unwrap();
        sandbox
    }

    /// What a person writes with an editor.
    fn write_secrets(&self) {
        for (name, secret) in
            [("access-key", DEMO_ACCESS_KEY), ("secret-key", DEMO_SECRET_KEY), ("password", DEMO_PASSWORD)]
        {
            fs::write(self.path("etc/swr-exporter").join(name), format!("{secret}\n")).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The text with the places and the account of this sandbox.
    fn here(&self, text: &str) -> String {
        let mut text = text.replace("/run/secrets/", "/etc/swr-exporter/");
        for folder in ["/etc/", "/usr/", "/var/"] {
            for before in [" ", "=", "'", "\""] {
                let there = format!("{before}{}{folder}", self.root.path().display());
                text = text.replace(&format!("{before}{folder}"), &there);
            }
        }
        let repositories = self.upstream.handle.repositories();
        let example = repositories.iter().find(|row| ["payments", "web"].contains(&row.namespace.as_str())).unwrap();
        text.replace("payments/api", &format!("{}/{}", example.namespace, example.name))
            .replace("https://swr-api.eu-de.otc.t-systems.com", &self.upstream.url())
            .replace("https://iam.eu-de.otc.t-systems.com", &self.upstream.url())
            .replace("OTC00000000001000000000", DEMO_DOMAIN)
            .replace("username exporter", &format!("username {DEMO_USER}"))
            .replace("username: exporter", &format!("username: {DEMO_USER}"))
            .replace("localhost:10179", self.running.address())
            .replace("localhost:9093", &self.alertmanager.address)
    }

    fn shell(&self, script: &str) -> Command {
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", script]).current_dir(self.path("checkout")).env_clear();
        shell.env("PATH", format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap()));
        shell.env("HUAWEICLOUD_SDK_REGION_SWR_CN_NORTH_4", self.upstream.url());
        shell.envs([("OTC_PASSWORD", DEMO_PASSWORD), ("OTC_PROJECT", DEMO_PROJECT_ID)]);
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        shell
    }

    /// Runs a block and checks its result.
    async fn run(&self, block: &str) {
        let script = self.here(block);
        let serves = script.starts_with("swr-exporter --") || script.starts_with("swr-exporter \\");
        if serves {
            return self.serves(&script).await;
        }
        let output = self.shell(&script).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{script}\n{said}{}", String::from_utf8_lossy(&output.stderr));
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        if script.contains("swr-exporter check") {
            assert!(said.ends_with("all checks passed\n"), "{said}");
        } else if script.contains("install target/release/swr-exporter") {
            assert!(self.path("usr/local/bin/swr-exporter").is_file());
            let mode =
                |name: &str| fs::metadata(self.path("etc/swr-exporter").join(name)).unwrap().permissions().mode();
            assert_eq!([mode("access-key"), mode("secret-key")].map(|mode| mode & 0o777), [0o600; 2]);
            self.write_secrets();
        } else if script.contains("swr-exporter.service") {
            assert_eq!(read("etc/default/swr-exporter"), "SWR_EXPORTER_SWR_REGION=cn-north-4\n");
            assert!(read("etc/systemd/system/swr-exporter.service").contains("ExecStart="));
        } else if script.lines().all(|line| line.starts_with("sudo systemctl ")) {
            // `tests/package` starts the service.
        } else if script.contains("swr-exporter.socket") {
            assert!(read("etc/systemd/system/swr-exporter.socket").contains("ListenStream="));
        } else if script.contains("swr_up") {
            assert_eq!(said, "swr_up 1\n");
        } else if script.contains("rule_files") || script.contains("prometheus.yml") {
            // `tidy` checks this configuration with its rules.
            assert!(read("etc/prometheus/prometheus.yml").contains("swr/alerts.yml"));
        } else if script.contains("swr-exporter scrape") {
            let file = script.rsplit(' ').next().unwrap().trim();
            let scrape = Scrape::parse(fs::read_to_string(file).unwrap());
            assert!(!scrape.series("swr_repository_size_bytes").is_empty());
        } else if script.contains("swr-exporter report") {
            assert!(said.contains("older_than_90d"), "{said}");
        } else if script.contains("swr-exporter man") {
            assert!(read("usr/local/share/man/man1/swr-exporter-scrape.1").contains(".TH"));
            assert!(read("usr/share/bash-completion/completions/swr-exporter").contains("complete -F"));
        } else if script.starts_with("sed -i") {
            let thresholds = read("checkout/thresholds.yml");
            assert!(
                thresholds.contains("git.example.com") && thresholds.contains("grafana.example.com"),
                "{thresholds}"
            );
        } else if script.starts_with("amtool alert add") {
            let alerts = self.alertmanager.json("/api/v2/alerts", &[]).await;
            assert_eq!(alerts[0]["labels"]["alertname"], "SwrRepositoryGrowsFast", "{alerts}");
        } else {
            panic!("what is the result of this block?\n{block}");
        }
    }

    async fn serves(&self, script: &str) {
        let mut shell = self.shell(&format!("exec {script}"));
        let exporter = start_as_it_is({
            shell.env("SWR_EXPORTER_WEB_LISTEN_ADDRESS", "127.0.0.1:0");
            shell
        });
        let exporter = exporter.await;
        let path = if script.contains("accounts.yml") { "/probe?account=production" } else { "/metrics" };
        let scrape = Scrape::parse(text(exporter.get(path).await).await);
        assert_eq!(scrape.get("swr_up"), Some(1.0), "{script}\n{}", exporter.log());
    }
}

#[tokio::test]
async fn the_commands_of_the_documents_do_what_the_text_says() {
    let sandbox = Sandbox::new().await;
    let mut run = 0;
    for document in documents() {
        for block in blocks(&document, "sh") {
            if ELSEWHERE.iter().all(|(start, _)| !block.starts_with(start)) {
                sandbox.run(&block).await;
                run += 1;
            }
        }
    }
    assert!(run >= 14, "{run}");
}
