//! What users install: manifests, the unit, the compose file and the bill of materials hold what the program has.

use super::{commands, read, root, run, serves};
use clap::CommandFactory;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use swr_exporter::cli::{Cli, flags};

#[test]
fn the_manifests_start_the_exporter_with_flags_that_it_has() {
    let manifest = read("deploy/kubernetes/swr-exporter.yaml");
    let arguments: Vec<String> = manifest
        .lines()
        .skip_while(|line| line.trim() != "args:")
        .skip(1)
        .map_while(|line| line.trim().strip_prefix("- ").map(str::to_owned))
        .collect();
    assert_eq!(arguments.len(), 4);
    assert!(serves(&arguments, &[]));

    let chart = read("deploy/helm/swr-exporter/templates/_pod.tpl");
    let mut known = Cli::command();
    known.build();
    let known: BTreeSet<_> = known.get_arguments().filter_map(|flag| flag.get_long().map(str::to_owned)).collect();
    let named = chart.split("- --").skip(1).map(|rest| rest.split('=').next().unwrap());
    let named: BTreeSet<_> = named.filter(|flag| !flag.starts_with("{{")).map(str::to_owned).collect();
    assert!(named.len() >= 12 && named.is_subset(&known), "{named:?}");

    // The value `collectors` takes those that there are.
    let schema: Value = serde_json::from_str(&read("deploy/helm/swr-exporter/values.schema.json")).unwrap();
    let chosen = schema["properties"]["collectors"]["items"]["enum"].as_array().unwrap();
    let chosen: BTreeSet<_> = chosen.iter().map(|collector| collector.as_str().unwrap().to_owned()).collect();
    let collectors = flags::ALL.iter().filter(|flag| flag.key == Some("collectors"));
    let collectors: BTreeSet<_> = collectors
        .flat_map(|flag| {
            let collector = flag.name.trim_start_matches("collector.");
            [collector.to_owned(), format!("-{collector}")]
        })
        .collect();
    assert_eq!(
        chosen, collectors,
        "put it into deploy/helm/swr-exporter/values.yaml and run: REGENERATE=1 tests/chart"
    );
}

#[test]
fn the_unit_starts_the_exporter_with_flags_that_it_has() {
    let unit = read("deploy/systemd/swr-exporter.service").replace("\\\n", " ");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let mut words = commands(start).remove(0);
    words.remove(0);
    // The region is in the file of the environment.
    words.push("--swr.region=cn-north-4".to_owned());
    assert!(serves(&words, &[]));
}

#[test]
fn each_package_runs_it_as_nobody_in_particular_and_lets_it_write_nowhere_else() {
    // The chart's templates are rendered by tests/chart, which asserts the rest of them.
    for (file, needed) in [
        ("deploy/kubernetes/swr-exporter.yaml", "path: /-/healthy"),
        ("deploy/kubernetes/swr-exporter.yaml", "path: /-/ready"),
        ("deploy/kubernetes/swr-exporter.yaml", "--cache.directory=/var/lib/swr-exporter"),
        ("deploy/kubernetes/swr-exporter.yaml", "mountPath: /var/lib/swr-exporter"),
    ] {
        assert!(read(file).contains(needed), "{file} lacks {needed}");
    }
    for file in ["deploy/kubernetes/swr-exporter.yaml", "deploy/helm/swr-exporter/values.yaml"] {
        let text = read(file);
        for needed in [
            "runAsNonRoot: true",
            "runAsUser: 65534",
            "readOnlyRootFilesystem: true",
            "allowPrivilegeEscalation: false",
            "capabilities: { drop: [ALL] }",
            "seccompProfile: { type: RuntimeDefault }",
            "automountServiceAccountToken: false",
        ] {
            assert!(text.contains(needed), "{file} lacks {needed}");
        }
    }
    let image = read("Dockerfile");
    for needed in ["\nFROM scratch\n", "\nUSER 65534:65534\n", "CMD [\"/swr-exporter\", \"healthcheck\"]"] {
        assert!(image.contains(needed), "Dockerfile lacks {needed}");
    }
}

#[test]
fn the_rules_of_the_operator_are_the_rules() {
    let file = root().join("deploy/kubernetes/prometheusrule.yaml");
    let mut text = "# For the Prometheus operator: what dashboards/rules holds, as REGENERATE=1 cargo test --test tidy writes it.\n\
                    apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: swr-exporter\n  \
                    labels: { app.kubernetes.io/name: swr-exporter }\nspec:\n  groups:\n"
        .to_owned();
    for rules in ["thresholds.yml", "recording.yml", "alerts.yml"] {
        let rules = read(Path::new("dashboards/rules").join(rules));
        for line in rules.split_once("groups:\n").unwrap().1.lines() {
            text += &if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
        }
    }
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    assert!(std::fs::read_to_string(&file).unwrap_or_default() == text, "REGENERATE=1 cargo test --test tidy");

    let chart = root().join("deploy/helm/swr-exporter/dashboards");
    assert_eq!(chart.canonicalize().unwrap(), root().join("dashboards").canonicalize().unwrap());
}

#[test]
fn the_compose_file_has_one_day_and_mounts_what_is_there() {
    let compose = read("deploy/compose/compose.yml");
    // Exporter and history are the same world only with the same day.
    let commands = compose.lines().filter_map(|line| line.trim().strip_prefix("command: [demo, "));
    let mut days = BTreeSet::new();
    for demo in commands {
        let mut flags = demo.trim_end_matches(']').split(", ").map(|flag| flag.trim_matches('"'));
        let day = flags.find_map(|flag| flag.strip_prefix("--today=")).expect("a day");
        assert!(days.insert(day.to_owned()) && day.starts_with("${TODAY"), "{day}");
    }
    assert_eq!(days.len(), 2, "{days:?}");
    // What it mounts is there.
    for mount in
        compose.lines().filter_map(|line| line.trim().strip_prefix("- ")).filter(|mount| mount.starts_with('.'))
    {
        let from = root().join("deploy/compose").join(mount.split(':').next().unwrap());
        assert!(from.exists(), "{} is not there", from.display());
    }
}

#[test]
fn the_bill_of_materials_lists_what_is_linked_with_licence_and_checksum() {
    let bill: Value = serde_json::from_str(&run(root(), "deploy/sbom", &[]).unwrap()).unwrap();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["metadata"]["component"]["version"], env!("CARGO_PKG_VERSION"));
    let components = bill["components"].as_array().unwrap();
    let names: BTreeSet<_> = components.iter().map(|crate_| crate_["name"].as_str().unwrap()).collect();
    for linked in ["tokio", "rustls", "ring", "clap", "prometheus"] {
        assert!(names.contains(linked), "{linked} is missing");
    }
    for for_tests in ["criterion", "proptest", "tempfile"] {
        assert!(!names.contains(for_tests), "{for_tests} is not part of the binary");
    }
    for component in components {
        let licence = component["licenses"][0]["expression"].as_str().unwrap();
        let checksum = component["hashes"][0]["content"].as_str().unwrap();
        assert!(!licence.is_empty() && checksum.len() == 64, "{component}");
    }
}
