//! Accounts of a configuration file: precedence of values, and messages about wrong ones.

use super::tests::{args, table};
use super::*;
use crate::auth::{CredentialProvider, SecretSource};
use crate::collect::fetch_task::FetchKind;
use crate::exposition::ConstantLabels;

/// Resolves a file with flags and environment.
fn of(yaml: &str, line: &str, environment: &[(&str, &str)]) -> Result<Config, Problems> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.yml");
    std::fs::write(&path, yaml).unwrap();
    resolve(&args(&format!("--config.file {} {line}", path.display())), &table(environment))
}

fn good(yaml: &str) -> Vec<AccountOptions> {
    of(yaml, "", &[]).unwrap().accounts
}

/// The problems, each from the name of the file on.
fn problems(yaml: &str, line: &str) -> Vec<String> {
    let problems = of(yaml, line, &[]).unwrap_err();
    let short = |problem: &String| match problem.find("accounts.yml:") {
        Some(index) if problem.starts_with('/') => problem[index..].to_owned(),
        _ => problem.clone(),
    };
    problems.list().iter().map(short).collect()
}

#[test]
fn a_secret_of_an_account_wins_over_the_default_wherever_each_is_kept() {
    let secrets = |yaml: &str, line: &str| -> Vec<String> {
        let shown = |account: &AccountOptions| match &account.credentials.source {
            CredentialProvider::AccessKey(key) => match &key.secret {
                SecretSource::Given(secret) => secret.expose().to_owned(),
                SecretSource::File(path) => path.display().to_string(),
            },
            other => other.name().to_owned(),
        };
        of(yaml, line, &[]).unwrap().accounts.iter().map(shown).collect()
    };
    let accounts = "accounts:\n  own: { credentials: { secret_key: own } }\n  file: { credentials: { secret_key_file: /own } }\n  \
                    both: { credentials: { secret_key: own, secret_key_file: /own } }\n  none: {}\n";
    let defaults =
        |secret: &str| format!("defaults: {{ region: cn-north-4, credentials: {{ access_key: AK, {secret} }} }}\n");
    let (in_file, given) = (defaults("secret_key_file: /all") + accounts, defaults("secret_key: all") + accounts);
    assert_eq!(secrets(&in_file, ""), ["own", "/own", "/own", "/all"]);
    assert_eq!(secrets(&given, ""), ["own", "/own", "/own", "all"]);
    assert_eq!(secrets(&in_file, "--credentials.secret-key-file /flag"), ["/flag"; 4]);
}

#[test]
fn labels_of_accounts_and_defaults_are_joined_and_the_nearer_place_wins() {
    let yaml = "defaults: { region: cn-north-4, credentials: { token: t }, labels: { cloud: huawei, account: all } }\n\
                accounts:\n  one: { labels: { account: \"${NAME}\" } }\n  two: { labels: {} }\n";
    let labels = |line: &str| -> Vec<ConstantLabels> {
        let config = of(yaml, line, &[("NAME", "production")]).unwrap();
        config.accounts.into_iter().map(|account| account.exposition.labels).collect()
    };
    let expected = |pairs: &[(&str, &str)]| {
        let mut labels = ConstantLabels::default();
        pairs.iter().for_each(|(name, value)| labels.set(name, value).unwrap());
        labels
    };
    let one = expected(&[("account", "production"), ("cloud", "huawei")]);
    assert_eq!(labels(""), [one, expected(&[("account", "all"), ("cloud", "huawei")])]);
    let flags = labels("--account.label cloud=a,b --account.label team=x");
    assert_eq!(flags[0], expected(&[("account", "production"), ("cloud", "a,b"), ("team", "x")]));
    let shown = of(yaml, "", &[("NAME", "production")]).unwrap().shown;
    assert!(shown.contains("    labels: {\"account\": \"production\", \"cloud\": \"huawei\"} #"), "{shown}");
}

#[test]
fn every_wrong_label_is_told() {
    let yaml = "accounts:\n  one:\n    region: cn-north-4\n    credentials: { token: t }\n    labels:\n      namespace: a\n      \
                a-b: c\n      team: [x]\n      le: x\n";
    assert_eq!(
        problems(yaml, ""),
        [
            "accounts.yml:8: accounts.one.labels.team: expected a text, found a list",
            "accounts.yml:5: accounts.one.labels: `namespace` is a label that some series have already",
            "accounts.yml:5: accounts.one.labels: invalid label name `a-b` (allowed: letters, digits and `_`, no digit \
             first, not `__` first)",
            "accounts.yml:5: accounts.one.labels: `le` is a label that some series have already",
        ]
    );
    let said =
        problems("accounts: { one: { region: cn-north-4, credentials: { token: t } } }", "--account.label production");
    assert_eq!(said, ["--account.label: invalid label `production` (example: account=production)"]);
}

#[test]
fn an_empty_value_counts_as_absent() {
    let accounts = good(
        "defaults: { region: cn-north-4, cache_window: 7m, namespaces: [a], credentials: { access_key: AK, secret_key: sk } }\n\
         accounts:\n  one:\n    ca_file: ''\n    cache_window: ''\n    namespaces: ''\n    collectors: ''\n    cache_directory: \"\"\n    \
         credentials: { token: '', secret_key: '', token_file: '' }\n",
    );
    let [account] = &accounts[..] else { panic!("one account") };
    assert_eq!((&account.https.ca_file, &account.state), (&None, &None));
    assert_eq!(
        (account.cache.window, &account.collect.namespaces[..]),
        (Duration::from_secs(420), &["a".to_owned()][..])
    );
    assert_eq!(account.credentials.source.name(), "access-key");
    assert!(account.tags.collected.kinds().next().is_none());
    // A list without entries is a value: all organizations. Collectors are only added and removed by name.
    let accounts = good(
        "defaults: { region: cn-north-4, namespaces: [a], collectors: [tags], credentials: { token: t } }\n\
         accounts: { one: { namespaces: [], collectors: [] } }\n",
    );
    assert!(accounts[0].collect.namespaces.is_empty() && accounts[0].tags.collected.enabled[FetchKind::Tags]);
    // An empty variable, and then credentials come from the environment.
    let yaml =
        "accounts: { one: { region: cn-north-4, ca_file: \"${EMPTY}\", credentials: { token: \"${EMPTY}\" } } }\n";
    let config = of(yaml, "", &[("EMPTY", ""), ("SWR_EXPORTER_TOKEN", "t")]).unwrap();
    assert_eq!(config.accounts[0].credentials.source.name(), "token");
    assert_eq!(config.accounts[0].https.ca_file, None);
}

#[test]
fn lists_may_be_written_in_any_form() {
    let account = "accounts: { one: { region: cn-north-4, credentials: { token: t }, ";
    for (namespaces, line) in [
        ("namespaces: [a, b, c]", ""),
        ("namespaces: 'a,b,c'", ""),
        ("namespaces: \"a, b ,c\"", ""),
        ("namespaces: [\"a,b\", c]", ""),
        ("namespaces: \"${LIST}\"", ""),
        ("", "--swr.namespace a,b,c"),
        ("", "--swr.namespace a --swr.namespace b,c"),
    ] {
        let config = of(&format!("{account}{namespaces} }} }}\n"), line, &[("LIST", "a,b,c")]).unwrap();
        assert_eq!(config.accounts[0].collect.namespaces, ["a", "b", "c"], "{namespaces} {line}");
    }
    for collectors in ["[tags, details]", "'tags,details'", "\"${LIST}\""] {
        let config =
            of(&format!("{account}collectors: {collectors} }} }}\n"), "", &[("LIST", "tags, details")]).unwrap();
        let tags = &config.accounts[0].tags;
        assert_eq!(tags.collected.kinds().collect::<Vec<_>>(), [FetchKind::Tags, FetchKind::Details], "{collectors}");
    }
    let said = problems(&format!("{account}namespaces: 'a,,b' }} }}\n"), "");
    assert_eq!(said, ["accounts.yml:1: accounts.one.namespaces: empty name"]);
}

#[test]
fn a_problem_of_several_accounts_is_reported_once() {
    let defaults = "defaults:\n  region: cn-north-4\n  cache_window: never\n  credentials: { token: t }\n";
    let all = format!("{defaults}accounts: {{ a: {{}}, b: {{}}, c: {{}} }}\n");
    assert_eq!(
        problems(&all, "--swr.page-size 0"),
        [
            "accounts.yml:3: defaults.cache_window: invalid duration `never` (examples: 500ms, 30s, 5m)",
            "--swr.page-size: invalid number `0` (allowed: 10 to 1000)"
        ]
    );
    let some = format!("{defaults}accounts: {{ a: {{}}, b: {{ cache_window: 5m }}, c: {{}} }}\n");
    let said = problems(&some, "");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("accounts `a`, `c`: ")
            && said[0].contains(":3: defaults.cache_window: invalid duration `never`"),
        "{said:?}"
    );
    let said = problems("accounts: { a: { region: cn-north-4 }, b: {}, c: { credentials: { secret_key: s } } }\n", "");
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("accounts `b`, `c`: no endpoint: set `region`"), "{said:?}");
    assert!(said[1].starts_with("account `c`: the secret key lacks its access key: "), "{said:?}");
    let said = problems("accounts: { a: { page_size: 0 }, default: {} }\n", "--swr.region cn-north-4");
    assert_eq!(said, ["accounts.yml:1: accounts.a.page_size: invalid number `0` (allowed: 10 to 1000)"]);
}

#[test]
fn a_file_without_accounts_is_a_problem_among_others() {
    let said = problems("accounts: {}\nregion: x\n", "--log.level loud");
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said.contains(&"accounts.yml:1: no accounts: add one below `accounts`".to_owned()), "{said:?}");
    assert_eq!(problems("accounts: [a]\n", ""), ["accounts.yml:1: accounts: expected a mapping, found a list"]);
}

#[test]
fn a_variable_that_yaml_takes_for_a_mapping_gets_a_hint_to_quote_it() {
    for yaml in ["accounts:\n  a: { region: ${REGION} }\n", "accounts:\n  a: { namespaces: [${ONE}, b] }\n"] {
        let said = problems(yaml, "");
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].starts_with("accounts.yml:2: ") && said[0].ends_with("; write \"${NAME}\" with its quotes"),
            "{said:?}"
        );
    }
    let said = problems("accounts:\n  a: { region: 'x }\n  b: ${NAME}\n", "");
    assert!(!said[0].contains("quotes"), "{said:?}");
}

#[test]
fn collectors_are_added_to_the_default_and_removed_by_name() {
    let of = |defaults: &str, account: &str| {
        let accounts = good(&format!(
            "defaults: {{ region: cn-north-4, credentials: {{ token: t }}, {defaults} }}\naccounts: {{ one: {{ {account} }} }}\n"
        ));
        let of = &accounts[0];
        let enabled = of.tags.collected.enabled;
        let has_series = of.exposition.repository_metrics != crate::exposition::RepositoryMetrics::NONE;
        (has_series, enabled[FetchKind::Tags], enabled[FetchKind::Details])
    };
    assert_eq!(of("", "collectors: [tags, details]"), (true, true, true));
    assert_eq!(of("", "collectors: [tags, -repositories]"), (false, true, false));
    assert_eq!(of("", "collectors: -repositories"), (false, false, false));
    assert_eq!(of("collectors: [tags]", "collectors: details"), (true, true, true));
    assert_eq!(of("collectors: 'tags, details'", "collectors: '- tags'"), (true, false, true));
    let account = "accounts: { one: { region: cn-north-4, credentials: { token: t }, ";
    let said = problems(&format!("{account}collectors: [-tagz, tags, -tags] }} }}\n"), "");
    assert_eq!(
        said,
        [
            "accounts.yml:1: accounts.one.collectors: unknown collector `tagz` (did you mean `tags`?)",
            "accounts.yml:1: accounts.one.collectors: `tags` is both on and off",
        ]
    );
}

#[test]
fn a_byte_order_mark_and_white_space_around_values_are_removed() {
    let yaml = "\u{feff}accounts:\n  one:\n    region: |\n      cn-north-4\n    project_id: ' 0a '\n    credentials:\n      \
                username: \"${USER_NAME}\"\n      domain_name: \"d\\n\"\n      password: \" ${PW} \\n\"\n";
    let config = of(yaml, "", &[("USER_NAME", " exporter\r\n"), ("PW", "p w\n")]).unwrap();
    let account = &config.accounts[0];
    assert!(account.meta_labels.contains(&("__meta_swr_region", "cn-north-4".to_owned())));
    let CredentialProvider::Password(login) = &account.credentials.source else { panic!("a password") };
    let SecretSource::Given(password) = &login.password else { panic!("given") };
    assert_eq!((&*login.user, &*login.domain, password.expose()), ("exporter", "d", " p w "));
}

#[test]
fn problems_of_accounts_are_told_in_the_words_of_the_file_and_only_their_cause() {
    let said = problems("accounts: { a: { credentials: { secret_key: s } } }\n", "");
    assert_eq!(
        said,
        [
            "no endpoint: set `region` (such as cn-north-4) or `endpoint`",
            "the secret key lacks its access key: set `access_key` or `access_key_file` below `credentials`",
        ]
    );
    let said = problems(
        "accounts: { a: { region: cn-north-4, credentials: { access_key: \"${NOPE}\", secret_key: s } } }\n",
        "",
    );
    assert_eq!(said, ["accounts.yml:1: accounts.a.credentials.access_key: the environment variable NOPE is not set"]);
}

#[test]
fn warnings_name_their_accounts() {
    let yaml = "accounts:\n  a: { region: cn-north-4, credentials: { token: t, access_key: k, secret_key: s } }\n  \
                b: { region: cn-north-4, credentials: { token: t } }\n";
    let config = of(yaml, "", &[("SWR_EXPORTER_REGION", "x"), ("SWR_EXPORTER_SERVICE_HOST", "x")]).unwrap();
    assert_eq!(
        config.warnings,
        [
            "unknown environment variable SWR_EXPORTER_REGION (did you mean `SWR_EXPORTER_SWR_REGION`?)",
            "account `a`: the credential is token; also configured and not used: access-key",
        ]
    );
}

#[test]
fn the_settings_that_are_shown_are_a_configuration_file() {
    let line = "--swr.region cn-north-4 --swr.namespace a,b --collector.tags --no-collector.repositories --cache.window 7m \
                --credentials.access-key-file /access --credentials.secret-key-file /secret";
    let config = resolve(&args(line), &table(&[])).unwrap();
    let again = of(&config.shown, "", &[]).unwrap_or_else(|problems| panic!("{problems}\n{}", config.shown));
    // The two ways to give a credential are told in other words.
    let resolved = |config: &Config| {
        let words =
            ["set SWR_EXPORTER_TOKEN or --credentials.token-file", "set `token` or `token_file` below `credentials`"];
        words.iter().fold(format!("{:?}", config.accounts), |text, words| text.replace(words, ""))
    };
    assert_eq!(resolved(&again), resolved(&config), "{}", config.shown);
}

#[test]
fn every_value_that_completions_suggest_is_valid() {
    let mut suggested = 0;
    for flag in flags::ALL {
        for value in flag.suggestions() {
            let problems = resolve(&args(&format!("--{}={value}", flag.name)), &table(&[])).unwrap_err();
            let of_flag = format!("--{}", flag.name);
            // A named source of credentials lacks its settings here.
            let wrong = problems.list().iter().find(|it| it.starts_with(&of_flag) && it.contains("unknown"));
            assert!(wrong.is_none(), "{wrong:?}");
            suggested += 1;
        }
    }
    assert!(suggested > 20, "{suggested}");
}

#[test]
fn an_inline_secret_beside_its_file_gets_a_warning() {
    let account = "accounts:\n  one:\n    region: cn-north-4\n    credentials:\n      token: hunter2\n";
    let warnings = of(&format!("{account}      token_file: /run/token\n"), "", &[]).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].ends_with(":5: accounts.one.credentials.token: not used, because token_file gives it too"));
}

#[test]
fn a_path_from_the_home_directory_is_refused() {
    let account = "accounts:\n  one:\n    region: cn-north-4\n    credentials: { token: hunter2 }\n";
    let said = problems(&format!("{account}    cache_directory: ~/state\n"), "");
    assert_eq!(
        said,
        [
            "accounts.yml:5: accounts.one.cache_directory: `~` does not stand for the home directory here: write the whole path"
        ]
    );
}
