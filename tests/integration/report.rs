//! `report`: its promises hold when the tags that it lists are deleted, in every format, and it only reads.

use crate::support::{Ended, PATIENCE, Scrape, bare, cache_directory, command, done, simulator, start, until};
use crate::tags::{fast, settled};
use serde_json::Value;
use swr_simulator::{
    DEMO_AGENCY_URN, DEMO_DOMAIN, DEMO_ID_TOKEN, DEMO_IDP_ID, DEMO_PASSWORD, DEMO_PROJECT, DEMO_PROJECT_ID,
    DEMO_PROVIDER_URN, DEMO_USER,
};

/// Runs `report`.
async fn report(arguments: &[&str]) -> Ended {
    let mut command = command();
    command.arg("report").args(arguments);
    done(command).await
}

/// From the state files, once they are what was scraped.
async fn offline(cache: &str, scrape: &Scrape, arguments: &[&str]) -> Value {
    let stored = scrape.get("swr_unique_layer_bytes").unwrap();
    until(PATIENCE, async || {
        let all = [&["--offline", cache, "--format", "json"], arguments].concat();
        let ended = report(&all).await;
        let value: Value = serde_json::from_str(&ended.out).unwrap_or_default();
        if value["totals"]["stored_bytes"].as_f64() != Some(stored) {
            return Err(ended.said);
        }
        ended.well();
        Ok(value)
    })
    .await
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes(value: &Value) -> f64 {
    value["bytes"].as_f64().unwrap()
}

#[tokio::test]
async fn deleting_the_listed_tags_frees_what_was_promised() {
    let upstream = simulator(80, 4).await;
    let (_directory, cache) = cache_directory();
    let mut exporter = fast(&upstream, &[&cache]).await;
    let scrape = settled(&exporter).await;
    let all = offline(&cache, &scrape, &[]).await;
    // The report counts by itself, and agrees with the metrics.
    for rule in all["rules"].as_array().unwrap() {
        let metric = scrape.value("swr_reclaimable_layer_bytes", &[("rule", text(&rule["rule"]))]);
        assert_eq!(metric, Some(bytes(&rule["total"])));
    }
    let rule = &all["rules"][0];
    let (one, organization) = (&rule["repositories"][0], &rule["organizations"][0]);
    let repository = format!("{}/{}", text(&one["namespace"]), text(&one["repository"]));
    let scopes = [
        (vec!["--only", &repository], bytes(one)),
        (vec!["--only", text(&organization["namespace"])], f64::NAN),
        (vec!["--rule", "beyond_newest_1"], f64::NAN),
    ];
    for (scope, expected) in scopes {
        let before = settled(&exporter).await;
        let rule = ["--rule", "older_than_90d"];
        let rule = if scope[0] == "--rule" { &[][..] } else { &rule[..] };
        let report = offline(&cache, &before, &[&["--tags"], rule, &scope].concat()).await;
        let promised = &report["rules"][0];
        let steps = promised["tags"].as_array().unwrap();
        assert!(!steps.is_empty() && bytes(&promised["total"]) > 0.0, "{scope:?}");
        assert!(expected.is_nan() || expected == bytes(&promised["total"]));
        assert_eq!(steps.iter().map(bytes).sum::<f64>(), bytes(&promised["total"]), "{scope:?}");
        // Also on the way: the first half frees what its lines say.
        let mut left = before.get("swr_unique_layer_bytes").unwrap();
        let (first, second) = steps.split_at(steps.len() / 2);
        for part in [first, second] {
            for step in part {
                assert!(upstream.handle.untag(text(&step["namespace"]), text(&step["repository"]), text(&step["tag"])));
            }
            left -= part.iter().map(bytes).sum::<f64>();
            let after = settled(&exporter).await;
            assert_eq!(after.get("swr_unique_layer_bytes"), Some(left), "{scope:?}");
        }
    }
    // A killed exporter leaves files that say the same.
    let last = settled(&exporter).await;
    let before = offline(&cache, &last, &[]).await;
    exporter.kill().await;
    assert_eq!(offline(&cache, &last, &[]).await["rules"], before["rules"]);
}

/// Checks a value against a schema. Refuses keywords that it does not know.
fn validate(value: &Value, schema: &Value, root: &Value, place: &str) {
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let name = text(rule).strip_prefix("#/$defs/").unwrap();
                validate(value, &root["$defs"][name], root, place);
            }
            "anyOf" => {
                let is_null = value.is_null() && rule[1] == serde_json::json!({ "type": "null" });
                if !is_null {
                    validate(value, &rule[0], root, place);
                }
            }
            "enum" => assert!(rule.as_array().unwrap().contains(value), "{place}: {value}"),
            "minimum" => assert!(value.is_null() || value.as_f64() >= rule.as_f64(), "{place}: {value}"),
            "type" => {
                let is = |name: &Value| match text(name) {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_u64(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    other => panic!("{other}"),
                };
                let types = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                assert!(types.iter().any(is), "{place}: {value} is none of {types:?}");
            }
            "required" => {
                for name in rule.as_array().unwrap() {
                    assert!(value.get(text(name)).is_some(), "{place}: {name} is missing");
                }
            }
            "additionalProperties" => {
                assert_eq!(rule, &Value::Bool(false));
                let unknown = value.as_object().unwrap().keys().find(|key| schema["properties"].get(*key).is_none());
                assert_eq!(unknown, None, "{place}");
            }
            "properties" => {
                for (name, schema) in rule.as_object().unwrap() {
                    validate(&value[name], schema, root, &format!("{place}.{name}"));
                }
            }
            "items" => {
                for (item, number) in value.as_array().into_iter().flatten().zip(0..) {
                    validate(item, rule, root, &format!("{place}[{number}]"));
                }
            }
            other => panic!("{place}: the keyword {other} is not checked"),
        }
    }
}

#[tokio::test]
async fn every_format_says_the_same() {
    let upstream = simulator(60, 3).await;
    let url = upstream.url();
    let flags = [
        "--swr.endpoint",
        &url,
        "--collector.tags.rate-limit=1000",
        "--collector.retention",
        "--rule",
        "older_than_90d",
    ];
    let with = async |more: &[&str]| report(&[&flags[..], more].concat()).await.well();
    let schema: Value = serde_json::from_str(include_str!("../../docs/report.schema.json")).unwrap();
    let json: Value = serde_json::from_str(&with(&["--format", "json", "--tags"]).await).unwrap();
    validate(&json, &schema, &schema, "report");
    validate(&serde_json::from_str(&with(&["--format", "json"]).await).unwrap(), &schema, &schema, "report");
    let rule = &json["rules"][0];
    assert!(json["without_retention"]["count"].as_u64() > Some(0), "retention rules are read");

    let plain = with(&["--tags"]).await;
    assert!(plain.lines().all(|line| line.chars().count() <= 80), "{plain}");
    assert!(plain.contains("This command deletes\nnothing.") || plain.contains("deletes nothing."), "{plain}");
    let tags = rule["total"]["tags"].as_u64().unwrap();
    assert!(plain.contains(&format!("  total: {tags} tags ")), "{plain}");
    // Each list can be made longer and shorter.
    assert!(with(&["--tags", "--top", "3"]).await.contains(&format!("  and {} more tags ", tags - 3)));

    let csv = with(&["--tags", "--format", "csv"]).await;
    let rows: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let sum: f64 = rows.iter().map(|row| row[6].parse::<f64>().unwrap()).sum();
    assert_eq!((rows.len() as u64, sum), (tags, bytes(&rule["total"])));
    let csv = with(&["--format", "csv"]).await;
    assert!(csv.contains(&format!("older_than_90d,account,,,{tags},{}\r\n", bytes(&rule["total"]))), "{csv}");
    let markdown = with(&["--format", "markdown", "--tags"]).await;
    assert!(markdown.contains(&format!("| older\\_than\\_90d | {tags} | ")), "{markdown}");
    assert!(markdown.lines().filter(|line| line.starts_with('|')).count() as u64 > tags);
}

#[tokio::test]
async fn what_is_wrong_is_said_at_once_with_its_remedy() {
    let wrong = ["--rule=older_than_0d,x", "--top=0", "--only=/", "--offline", "--swr.endpoint=http://127.0.0.1:1"];
    report(&wrong).await.with(2, &["older_than_90d", "`x` is no rule", "--top: `0`", "--only: `/`"]);
    report(&["--offline"]).await.with(2, &["give --cache.directory"]);
    let (directory, cache) = cache_directory();
    report(&["--offline", &cache]).await.with(1, &["has no state"]);
    std::fs::write(directory.path().join("prod.snapshot"), "damaged").unwrap();
    report(&["--offline", &cache]).await.with(1, &["--account; there are prod"]);
    report(&["--offline", &cache, "--account", "prod"]).await.with(1, &["is no state file of this exporter"]);
    let upstream = simulator(5, 1).await;
    let ended =
        report(&["--swr.endpoint", &upstream.url(), "--only", "nobody", "--collector.tags.rate-limit=1000"]).await;
    assert_eq!(ended.with(1, &["there is no nobody in this account"]).out, "");
}

#[tokio::test]
async fn an_account_that_is_read_in_part_is_reported_with_a_warning() {
    let upstream = simulator(60, 2).await;
    let url = upstream.url();
    let arguments = ["--swr.endpoint", &url, "--swr.refresh-timeout=1500ms", "--collector.tags.rate-limit=1"];
    let out = report(&arguments).await.with(1, &["repositories are still to be read"]).out;
    assert!(out.contains("repositories are not known. They may share layers"), "{out}");
}

/// Every command that talks to the API, with every collector, by each kind of login.
#[tokio::test]
async fn no_command_sends_anything_but_reads_and_logins() {
    let upstream = simulator(20, 2).await;
    let directory = tempfile::tempdir().unwrap();
    let [password, id_token] = ["password", "id_token"].map(|name| directory.path().join(name));
    std::fs::write(&password, DEMO_PASSWORD).unwrap();
    std::fs::write(&id_token, DEMO_ID_TOKEN).unwrap();
    let collectors = [
        "--collector.tags",
        "--collector.details",
        "--collector.retention",
        "--collector.account",
        "--collector.enterprise",
        "--collector.enterprise.artifacts",
        "--collector.tags.rate-limit=1000",
        "--swr.project-id",
        DEMO_PROJECT_ID,
    ];
    for login in ["key", "password", "iam", "sts"] {
        let with = |arguments: &[&str]| {
            let mut command = if login == "key" { command() } else { bare() };
            command.args(arguments).args(["--swr.endpoint", &upstream.url()]);
            match login {
                "password" => {
                    command.args(["--swr.iam-endpoint", &upstream.url(), "--swr.region", DEMO_PROJECT]);
                    command.args(["--credentials.domain-name", DEMO_DOMAIN, "--credentials.username", DEMO_USER]);
                    command.arg("--credentials.password-file").arg(&password);
                }
                "iam" => {
                    command.env("HUAWEICLOUD_SDK_IDP_ID", DEMO_IDP_ID);
                    command.env("HUAWEICLOUD_SDK_ID_TOKEN_FILE", &id_token);
                    command.env("HUAWEICLOUD_SDK_IAM_ENDPOINT", upstream.url());
                }
                "sts" => {
                    command.env("HUAWEICLOUD_OIDC_PROVIDER_URN", DEMO_PROVIDER_URN);
                    command.env("HUAWEICLOUD_OIDC_AGENCY_URN", DEMO_AGENCY_URN);
                    command.env("HUAWEICLOUD_OIDC_TOKEN_FILE", &id_token);
                    command.env("HUAWEICLOUD_SDK_STS_ENDPOINT", upstream.url());
                }
                _ => {}
            }
            command.args(collectors);
            command
        };
        for arguments in [&["check"][..], &["scrape"], &["report", "--tags"], &["report", "--only", "nobody"]] {
            let Ended { code, said, .. } = done(with(arguments)).await;
            assert!(code.is_some_and(|code| code < 2), "{arguments:?} by {login}: {said}");
        }
        settled(&start(with(&["serve", "--cache.window=50ms"])).await).await;
    }
    let requests = upstream.handle.requests();
    let paths: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
    let logins = [
        "/v3/auth/tokens",
        "/v3.0/OS-AUTH/id-token/tokens",
        "/v3.0/OS-CREDENTIAL/securitytokens",
        "/v5/agencies/assume-with-oidc",
    ];
    for part in ["/tags", "/retentions", "/artifacts"].into_iter().chain(logins) {
        assert!(paths.iter().any(|path| path.ends_with(part)), "the test reaches {part}");
    }
    for request in requests {
        let is_login = request.method == "POST" && logins.contains(&request.path.as_str());
        assert!(request.method == "GET" || is_login, "{} {}", request.method, request.path);
    }
}
