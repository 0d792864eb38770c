use super::*;
use crate::auth::oidc::Exchange;
use crate::auth::{CredentialProvider, SecretSource};
use crate::cli::flags::{self, FlagKind};

pub(super) fn args(line: &str) -> ServeArgs {
    use clap::Parser;
    crate::cli::Cli::try_parse_from(std::iter::once("swr-exporter").chain(line.split_whitespace())).unwrap().serve
}

fn resolved(line: &str, environment: &[(&str, &str)]) -> Config {
    resolve(&args(line), &table(environment)).unwrap()
}

/// The options of the one account.
fn account(line: &str, environment: &[(&str, &str)]) -> AccountOptions {
    resolved(line, environment).accounts.remove(0)
}

fn problems(line: &str, environment: &[(&str, &str)]) -> String {
    resolve(&args(line), &table(environment)).unwrap_err().to_string()
}

pub(super) fn table(variables: &[(&str, &str)]) -> Environment {
    Environment::from(variables)
}

const KEY: [(&str, &str); 2] = [("SWR_EXPORTER_ACCESS_KEY", "AK"), ("SWR_EXPORTER_SECRET_KEY", "sk-secret")];

#[test]
fn a_region_and_a_key_are_enough() {
    let config = resolved("--swr.region cn-north-4", &KEY);
    assert_eq!(config.accounts[0].client.endpoint, "https://swr-api.cn-north-4.myhuaweicloud.com");
    assert_eq!(config.accounts[0].credentials.source.name(), "access-key");
    assert_eq!(config.listen, [DEFAULT_ADDRESS.parse().unwrap()]);
    assert!(!format!("{config:?}").contains("sk-secret"));
}

#[test]
fn the_sdks_variables_and_files_work_too() {
    let sdk = [("HUAWEICLOUD_SDK_AK", "AK"), ("HUAWEICLOUD_SDK_SK", "s"), ("HUAWEICLOUD_SDK_SECURITY_TOKEN", "t")];
    let of_sdk = account("--swr.region eu-west-101", &sdk);
    assert_eq!(of_sdk.client.endpoint, "https://swr-api.eu-west-101.myhuaweicloud.eu");
    let CredentialProvider::AccessKey(key) = &of_sdk.credentials.source else { panic!("an access key") };
    assert!(key.security_token.is_some());
    let line = "--swr.region cn-north-4 --credentials.token-file /run/token";
    assert_eq!(account(line, &KEY).credentials.source.name(), "token", "token comes first");
    let line = format!("{line} --credentials.source access-key");
    assert_eq!(account(&line, &KEY).credentials.source.name(), "access-key");
}

#[test]
fn every_problem_is_listed_with_its_place_and_remedy() {
    let text = problems(
        "--swr.page-size 5000 --cache.window never --swr.concurrency 0 --log.level loud --web.listen-address nowhere \
         --collector.repositories.metrics size,colour --swr.rate-limit=-1 --web.telemetry-path metrics",
        &[],
    );
    for expected in [
        "9 problems in the settings:",
        "--swr.page-size: invalid number `5000` (allowed: 10 to 1000)",
        "--cache.window: invalid duration `never` (examples: 500ms, 30s, 5m)",
        "--swr.concurrency: invalid number `0` (allowed: 1 to 64)",
        "--log.level: unknown value `loud` (known: trace, debug, info, warn, error)",
        "--web.listen-address: no port in `nowhere`",
        "--collector.repositories.metrics: unknown",
        "--swr.rate-limit: invalid number `-1` (allowed: 0.01 to 10000)",
        "--web.telemetry-path: invalid path `metrics`",
        "no endpoint: set --swr.region",
    ] {
        assert!(text.contains(expected), "{expected}\n---\n{text}");
    }
}

#[test]
fn no_duration_is_longer_than_ten_years() {
    assert_eq!(duration("10y").map_err(drop), humantime::parse_duration("10y").map_err(drop));
    for absurd in ["11y", "500000000000y"] {
        assert_eq!(duration(absurd), Err(format!("duration `{absurd}` is longer than ten years")));
    }
    let text = problems("--swr.region cn-north-4 --cache.window 500000000000y --cache.max-age 500000000000y", &KEY);
    assert!(text.contains("--cache.window: duration `500000000000y` is longer than ten years"), "{text}");
}

#[test]
fn a_flag_comes_before_its_variable_and_the_variable_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.yml");
    for flag in flags::ALL {
        let [by_flag, by_variable, in_file] = match flag.kind {
            FlagKind::Switch => ["true", "false", "true"],
            FlagKind::Many => ["1, 2", "3,4", "5 ,6"],
            FlagKind::Map => ["a=1", "a=2", "a=3"],
            FlagKind::One => ["/1", "/2", "/3"],
        };
        let entry = match flag.key {
            None => String::new(),
            Some(_) if flag.kind == FlagKind::Switch => format!("collectors: [{}]", &flag.name["collector.".len()..]),
            Some(key) if flag.kind == FlagKind::Map => format!("{key}: {{ a: 3 }}"),
            Some(key) => match key.split_once('.') {
                Some((outer, inner)) => format!("{outer}: {{ {inner}: '{in_file}' }}"),
                None => format!("{key}: '{in_file}'"),
            },
        };
        std::fs::write(&path, format!("accounts: {{ one: {{ {entry} }} }}")).unwrap();
        let mut problems = Problems::default();
        let file = accounts_file::read(&path, &Environment::default(), None, &mut problems);
        assert_eq!(problems.list(), [""; 0]);
        let variable = flag.variable();
        for (is_flag, is_variable) in [(true, true), (false, true), (false, false)] {
            let args =
                args(&if is_flag { format!("--{}={}", flag.name, by_flag.replace(' ', "")) } else { String::new() });
            let environment = [(variable.as_str(), if is_variable { by_variable } else { "" })];
            let environment = table(&environment);
            let settings = Settings::of_account(&args, &environment, &file.accounts[0].1, &file.defaults);
            let (want, place) = match (is_flag, is_variable) {
                (true, _) => (by_flag, format!("--{}", flag.name)),
                (_, true) => (by_variable, variable.clone()),
                _ if flag.key.is_none() => {
                    assert!(settings.get(flag.name).is_none());
                    continue;
                }
                _ => (in_file, format!("{}:1: accounts.one.{}", path.display(), flag.key.unwrap())),
            };
            let found = settings.get(flag.name).unwrap();
            assert_eq!((found.values.join(","), found.place), (want.replace(' ', ""), place));
        }
    }
}

#[test]
fn a_flag_turns_a_switch_whatever_its_variable_is() {
    for (variable, flag, shown) in [
        ("true", "--no-collector.tags", "collectors: [-tags] # --collector.tags\n"),
        ("false", "--no-collector.tags", "collectors: [-tags] # --collector.tags\n"),
        ("", "--no-collector.tags", "collectors: [-tags] # --collector.tags\n"),
        ("false", "--collector.tags", "collectors: [tags] # --collector.tags\n"),
        ("true", "", "collectors: [tags] # SWR_EXPORTER_COLLECTOR_TAGS\n"),
        ("", "", "# collector.tags: off (default)\n"),
    ] {
        let environment = [&KEY[..], &[("SWR_EXPORTER_COLLECTOR_TAGS", variable)]].concat();
        let config = resolved(&format!("--swr.region cn-north-4 {flag}"), &environment);
        assert!(config.shown.contains(shown), "{variable:?} {flag}\n{}", config.shown);
    }
}

#[test]
fn problems_quote_no_secret() {
    let text = problems("--swr.region mars-1 --credentials.source token", &KEY);
    assert!(text.contains("--credentials.source is token, but no token") && !text.contains("sk-secret"), "{text}");
}

#[test]
fn regions_have_iam_and_some_have_sts() {
    for (region, iam) in [
        ("cn-north-4", "https://iam.cn-north-4.myhuaweicloud.com"),
        ("sa-peru-1", "https://iam.myhuaweicloud.com"),
        ("eu-west-101", "https://iam.eu-west-101.myhuaweicloud.eu"),
    ] {
        assert_eq!(regions::iam_endpoint(region).as_deref(), Some(iam));
    }
    assert_eq!(regions::iam_endpoint("mars-1"), None);
    assert_eq!(regions::sts_endpoint("tr-west-1").as_deref(), Some("https://sts.tr-west-1.myhuaweicloud.com"));
    assert_eq!(regions::sts_endpoint("cn-north-1"), None);
    let own = regions::known().filter(|region| regions::iam_endpoint(region).unwrap().contains(*region));
    assert_eq!(own.count(), 28, "seven are served by the global one");
}

/// Environment variables of each source, in the order of `auto`.
const SOURCES: [(&str, &[(&str, &str)]); 6] = [
    ("token", &[("SWR_EXPORTER_TOKEN", "t")]),
    ("access-key", &KEY),
    ("oidc", &[("HUAWEICLOUD_SDK_IDP_ID", "i"), ("HUAWEICLOUD_SDK_ID_TOKEN_FILE", "/t")]),
    ("profile", &[("HUAWEICLOUD_SDK_CREDENTIALS_FILE", "/p")]),
    (
        "pod-identity",
        &[("HC_CONTAINER_CREDENTIALS_FULL_URI", "http://h"), ("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/t")],
    ),
    ("metadata", &[]),
];

#[test]
fn auto_takes_the_first_configured_source_and_tells_why_others_were_skipped() {
    for first in 0..SOURCES.len() {
        let environment: Vec<_> = SOURCES[first..].iter().flat_map(|(_, settings)| settings.iter().copied()).collect();
        let credentials = account("--swr.region cn-north-4", &environment).credentials;
        assert_eq!(credentials.source.name(), SOURCES[first].0);
        let passed_over: Vec<_> = credentials.passed_over.iter().map(|(name, _)| *name).collect();
        let place = credentials::SOURCES.iter().position(|name| *name == SOURCES[first].0).unwrap();
        assert_eq!(passed_over, credentials::SOURCES[..place]);
    }
}

#[test]
fn a_named_source_reports_what_is_missing() {
    for (source, lacking) in [
        ("token", "SWR_EXPORTER_TOKEN or --credentials.token-file"),
        ("access-key", "set SWR_EXPORTER_ACCESS_KEY or --credentials.access-key-file; set SWR_EXPORTER_SECRET_KEY"),
        ("password", "--credentials.domain-name, --credentials.username and SWR_EXPORTER_PASSWORD"),
        ("oidc", "HUAWEICLOUD_OIDC_PROVIDER_URN"),
        ("profile", "HUAWEICLOUD_SDK_CREDENTIALS_FILE is not set"),
        ("pod-identity", "HC_CONTAINER_CREDENTIALS_FULL_URI is not set"),
    ] {
        let text = problems(&format!("--swr.region cn-north-4 --credentials.source {source}"), &[]);
        assert!(text.contains(&format!("--credentials.source is {source}, but ")) && text.contains(lacking), "{text}");
    }
    let text = problems("--swr.endpoint https://swr.example.com --credentials.username me", &[]);
    for lacking in
        ["(the account)", "SWR_EXPORTER_PASSWORD", "(the project that the token is for)", "--swr.iam-endpoint"]
    {
        assert!(text.contains(lacking), "{lacking}\n{text}");
    }
    assert!(!text.contains("(the IAM user)"), "{text}");
    let text = problems(
        "--swr.region cn-north-4 --swr.iam-endpoint http://example.com --credentials.metadata-endpoint nowhere \
         --credentials.source metadata",
        &[],
    );
    assert!(text.contains("2 problems") && text.contains("--swr.iam-endpoint: `http://example.com` would"), "{text}");
}

#[test]
fn the_lifetime_of_an_oidc_key_is_within_the_bounds_of_sts() {
    let with = |seconds| {
        [
            ("HUAWEICLOUD_OIDC_PROVIDER_URN", "p"),
            ("HUAWEICLOUD_OIDC_AGENCY_URN", "a"),
            ("HUAWEICLOUD_OIDC_TOKEN_FILE", "/t"),
            ("HUAWEICLOUD_OIDC_DURATION_SECONDS", seconds),
        ]
    };
    for (seconds, expected) in [("900", 900), ("43200", 43_200), ("", 3600)] {
        let credentials = account("--swr.region cn-north-4", &with(seconds)).credentials;
        let CredentialProvider::Oidc(oidc) = &credentials.source else { panic!("OIDC") };
        let Exchange::Sts { duration_seconds, .. } = &oidc.exchange else { panic!("STS") };
        assert_eq!(*duration_seconds, expected);
    }
    for wrong in ["1h", "60", "-1", "86400"] {
        let text = problems("--swr.region cn-north-4", &with(wrong));
        let expected = format!("HUAWEICLOUD_OIDC_DURATION_SECONDS: invalid number `{wrong}` (allowed: 900 to 43200)");
        assert!(text.contains("1 problem ") && text.contains(&expected), "{text}");
    }
}

#[test]
fn regions_defined_for_the_sdk_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("regions.yaml");
    let file = path.to_str().unwrap().to_owned();
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    let endpoint = |region: &str, more: &[(&str, &str)]| {
        let environment = [&KEY[..], &[("HUAWEICLOUD_SDK_REGIONS_FILE", file.as_str())], more].concat();
        let resolved = resolve(&args(&format!("--swr.region {region}")), &table(&environment));
        resolved.map(|config| config.accounts[0].client.endpoint.clone()).map_err(|problems| problems.to_string())
    };
    write(
        "ECS:\n- id: mars-1\n  endpoint: https://ecs.example.com\nswr:\n- id: 'mars-1'\n  endpoint: 'https://swr.example.com'\n\
         - id: cn-north-4\n  endpoint: https://last.example.com\n  endpoints:\n  - https://first.example.com\n  - https://second.example.com\n\
         - id: moon-1\nSWR:\n- id: venus-1\n  endpoint: https://venus.example.com\n",
    );
    assert_eq!(endpoint("mars-1", &[]).unwrap(), "https://swr.example.com");
    assert_eq!(endpoint("cn-north-4", &[]).unwrap(), "https://first.example.com", "before what is known");
    assert_eq!(endpoint("venus-1", &[]).unwrap(), "https://venus.example.com", "in upper and in lower case");
    assert_eq!(endpoint("cn-north-9", &[]).unwrap(), "https://swr-api.cn-north-9.myhuaweicloud.com");
    let variable = ("HUAWEICLOUD_SDK_REGION_SWR_MARS_1", "https://third.example.com,https://fourth.example.com");
    assert_eq!(endpoint("mars-1", &[variable]).unwrap(), "https://third.example.com");
    assert!(endpoint("moon-1", &[]).unwrap_err().contains("regions.yaml:12: region `moon-1` without endpoint"));
    let unencrypted = ("HUAWEICLOUD_SDK_REGION_SWR_MARS_1", "http://third.example.com");
    assert!(endpoint("mars-1", &[unencrypted]).unwrap_err().contains("REGION_SWR_MARS_1: `http://third"));
    for (text, problem) in [
        ("SWR: {}", ":1: there must be a list of regions, not a mapping"),
        ("- x", ":1: there must be a mapping of services, not a list"),
        ("SWR: [mars-1]", "there must be a region with id and endpoint, not a text"),
        ("SWR: [", "regions.yaml:"),
    ] {
        write(text);
        let said = endpoint("mars-1", &[]).unwrap_err();
        assert!(said.contains(problem), "{text}\n{said}");
    }
    write("");
    assert!(endpoint("mars-1", &[]).unwrap_err().contains("unknown region `mars-1`"));
}

#[test]
fn the_project_is_looked_up_by_region_in_iam() {
    let lookup = |line: &str| account(line, &KEY).client.project_lookup;
    let found = lookup("--swr.region cn-north-4").unwrap();
    assert_eq!(
        (found.iam_endpoint.as_str(), found.name.as_str()),
        ("https://iam.cn-north-4.myhuaweicloud.com", "cn-north-4")
    );
    let line = "--swr.region mars-1 --swr.endpoint https://a.example.com --swr.iam-endpoint https://b.example.com";
    assert_eq!(lookup(line).unwrap().iam_endpoint, "https://b.example.com");
    assert_eq!(lookup("--swr.endpoint https://a.example.com"), None);
}

#[test]
fn the_origin_of_data_changes_with_the_account_and_not_with_its_secrets() {
    let origins = |line: &str, environment: &[(&str, &str)]| account(line, environment).origins;
    let line = "--swr.endpoint https://swr.example --swr.iam-endpoint https://iam.example";
    let with = |more: &str| format!("{line} {more}");
    let before = origins(line, &KEY);
    let rotated = [("SWR_EXPORTER_ACCESS_KEY", "AK2"), ("SWR_EXPORTER_SECRET_KEY", "sk-2")];
    let other = origins(line, &rotated);
    assert_ne!(other.snapshot, before.snapshot, "another inline key may be another customer's");
    assert_eq!(other.tags, before.tags);
    let rotated = [KEY[0], ("SWR_EXPORTER_SECRET_KEY", "sk-2")];
    assert_eq!(origins(line, &rotated), before, "another secret of the same key");
    let token = |token: &str| origins(line, &[("SWR_EXPORTER_TOKEN", token)]).snapshot;
    assert!(token("a") != token("b") && token("a") == token("a"));
    assert_eq!(origins(&with("--swr.list-api v3 --swr.page-size 20 --cache.window 1m --collector.tags"), &KEY), before);
    let fewer = origins(&with("--swr.namespace infra"), &KEY);
    assert_ne!(fewer.snapshot, before.snapshot);
    assert_eq!(fewer.tags, before.tags, "what was read of tags stays true");
    assert_eq!(fewer, origins(&with("--swr.namespace infra --swr.namespace infra"), &KEY));

    let password = |user: &str, secret: &str| {
        let more = format!("--swr.project-id 1 --credentials.domain-name d --credentials.username {user}");
        origins(&with(&more), &[("SWR_EXPORTER_PASSWORD", secret)])
    };
    assert_eq!(password("one", "a"), password("one", "b"));
    let sdk = |name: &str| origins(line, &[("HUAWEICLOUD_SDK_IDP_ID", name), ("HUAWEICLOUD_SDK_ID_TOKEN_FILE", "/t")]);
    let all = [
        before,
        origins("--swr.endpoint https://other.example", &KEY),
        origins(&with("--swr.project-id 1"), &KEY),
        origins(&with("--credentials.access-key-file /a --credentials.secret-key-file /s"), &[]),
        origins(&with("--credentials.access-key-file /b --credentials.secret-key-file /s"), &[]),
        origins(line, &[("SWR_EXPORTER_TOKEN", "t")]),
        password("one", "a"),
        password("two", "a"),
        sdk("one"),
        sdk("two"),
    ];
    for (index, one) in all.iter().enumerate() {
        for other in &all[..index] {
            assert!(one.snapshot != other.snapshot && one.tags != other.tags, "{index}");
        }
    }
}

#[test]
fn invalid_paths_are_refused() {
    for path in ["/m%C3%A9trics", "/métrics", "/a?b", "/a\"b", "/a|b"] {
        let text = problems(&format!("--swr.region cn-north-4 --web.telemetry-path {path}"), &KEY);
        assert!(text.contains(&format!("--web.telemetry-path: invalid path `{path}`")), "{text}");
    }
    for path in ["/metrics", "/v1/swr-exporter_metrics.txt", "/~a"] {
        let line = format!("--swr.region cn-north-4 --web.telemetry-path {path}");
        assert_eq!(resolved(&line, &KEY).web.telemetry_path, path);
    }
}

#[test]
fn white_space_around_variables_and_flags_is_removed_and_inner_line_breaks_are_shown() {
    let variables = [
        ("SWR_EXPORTER_SWR_REGION", "cn-north-4\n"),
        ("SWR_EXPORTER_CREDENTIALS_USERNAME", "\texporter\r\n"),
        ("SWR_EXPORTER_CREDENTIALS_DOMAIN_NAME", "\u{feff}domain "),
        ("SWR_EXPORTER_PASSWORD", " p \n"),
        ("SWR_EXPORTER_REPOSITORIES_INCLUDE", "org/.*\n"),
        ("SWR_EXPORTER_SWR_NAMESPACE", "a, b\n"),
        ("SWR_EXPORTER_SWR_CONCURRENCY", " 2 "),
    ];
    let account = account("--cache.window=7m\u{a0}", &variables);
    let CredentialProvider::Password(login) = &account.credentials.source else { panic!("a password") };
    let SecretSource::Given(password) = &login.password else { panic!("given") };
    assert_eq!((&*login.user, &*login.domain, password.expose()), ("exporter", "domain", " p "));
    assert_eq!(account.exposition.include, Some("org/.*".parse().unwrap()));
    assert_eq!(
        (&account.collect.namespaces[..], account.client.concurrency),
        (&["a".to_owned(), "b".to_owned()][..], 2)
    );
    assert_eq!(account.cache.window, Duration::from_secs(420));
    let text = problems("", &[KEY[0], KEY[1], ("SWR_EXPORTER_SWR_REGION", "cn-\nnorth-4\u{85}x")]);
    assert!(text.contains("SWR_EXPORTER_SWR_REGION: unknown region `cn-\\nnorth-4\\u{85}x`"), "{text}");
}

#[test]
fn an_identity_token_goes_to_no_sts_of_another_cloud() {
    let oidc = [
        ("HUAWEICLOUD_OIDC_PROVIDER_URN", "p"),
        ("HUAWEICLOUD_OIDC_AGENCY_URN", "a"),
        ("HUAWEICLOUD_OIDC_TOKEN_FILE", "/t"),
    ];
    let sts = |line: &str, more: &[(&str, &str)]| {
        let config =
            resolve(&args(line), &table(&[&oidc[..], more].concat())).map_err(|problems| problems.to_string())?;
        let CredentialProvider::Oidc(oidc) = &config.accounts[0].credentials.source else { panic!("OIDC") };
        let Exchange::Sts { endpoint, .. } = &oidc.exchange else { panic!("STS") };
        Ok::<_, String>(endpoint.clone())
    };
    let otc =
        "--swr.endpoint https://swr-api.eu-de.otc.t-systems.com --swr.iam-endpoint https://iam.eu-de.otc.t-systems.com";
    assert_eq!(sts("--swr.region cn-north-4", &[]).unwrap(), "https://sts.cn-north-4.myhuaweicloud.com");
    for line in [otc, "--swr.region eu-west-101", "--swr.region cn-north-1", &format!("--swr.region cn-north-4 {otc}")]
    {
        let said = sts(line, &[]).unwrap_err();
        assert!(said.contains("1 problem ") && said.contains("give --swr.sts-endpoint"), "{line}: {said}");
    }
    let own = [("HUAWEICLOUD_SDK_REGION_SWR_CN_NORTH_4", "https://swr.example.com")];
    assert!(sts("--swr.region cn-north-4", &own).is_err());
    assert_eq!(
        sts(&format!("{otc} --swr.sts-endpoint https://sts.example.com"), &[]).unwrap(),
        "https://sts.example.com"
    );
    let variable = [("HUAWEICLOUD_SDK_STS_ENDPOINT", "https://sts.example.org")];
    assert_eq!(sts(otc, &variable).unwrap(), "https://sts.example.org");
    assert!(sts("--swr.sts-endpoint sts.example.com", &[]).unwrap_err().contains("(example: https://sts.cn-north-4"));
    // OIDC that is not used needs no STS.
    assert!(resolve(&args(otc), &table(&[&oidc[..], &KEY].concat())).is_ok());
}

#[test]
fn settings_that_are_probably_not_meant_get_a_warning() {
    let warnings = |line: &str, environment: &[(&str, &str)]| resolved(line, environment).warnings;
    assert_eq!(warnings("--swr.region cn-north-4", &KEY), [""; 0]);
    assert_eq!(
        warnings("--swr.region eu-west-0", &KEY),
        [
            "--swr.region: the address of eu-west-0 belongs to Huawei Cloud; customers of Flexible Engine set --swr.endpoint and \
             --swr.iam-endpoint (https://swr-api.eu-west-0.prod-cloud-ocb.orange-business.com and \
             https://iam.eu-west-0.prod-cloud-ocb.orange-business.com)"
        ]
    );
    assert_eq!(
        warnings("--swr.region cn-north-4 --repositories.include org/*", &KEY),
        ["--repositories.include: `org/*` is a regular expression, but looks like a glob: write `org/.*`"]
    );
    let own = [KEY[0], KEY[1], ("HUAWEICLOUD_SDK_REGION_SWR_EU_WEST_0", "https://swr.example.com")];
    assert_eq!(warnings("--swr.region eu-west-0", &own), [""; 0]);
    let none = "no credential is configured; trying the metadata service of this machine";
    assert_eq!(warnings("--swr.region cn-north-4", &[]), [none]);
    assert_eq!(warnings("--swr.region cn-north-4 --credentials.source metadata", &[]), [""; 0]);
    assert_eq!(
        warnings("--swr.region cn-north-4", &[("HW_ACCESS_KEY", "k")]),
        [format!("{none}; HW_ACCESS_KEY is not read, SWR_EXPORTER_ACCESS_KEY is")]
    );
    let token_too = [KEY[0], KEY[1], ("SWR_EXPORTER_TOKEN", "t")];
    assert_eq!(
        warnings("--swr.region cn-north-4", &token_too),
        ["the credential is token; also configured and not used: access-key"]
    );
}

#[test]
fn contradictions_and_likely_mistakes_are_named() {
    let region = "--swr.region cn-north-4";
    for (line, environment, said) in [
        (format!("{region} --cache.max-age 1m"), &KEY[..], "--cache.max-age: 1m is shorter than --cache.window 5m"),
        (format!("{region} --scrape.timeout 1s --scrape.timeout-offset 2s"), &KEY, "--scrape.timeout-offset"),
        (region.to_owned(), &KEY[..1], "the access key lacks its secret key"),
        ("--swr.region mars-1".to_owned(), &KEY, "unknown region `mars-1` (known: ae-ad-1, "),
        (
            "--swr.endpoint http://example.com".to_owned(),
            &KEY,
            "`http://example.com` would send credentials unencrypted",
        ),
        ("--swr.region cn-north4".to_owned(), &KEY, "unknown region `cn-north4` (did you mean `cn-north-4`?)"),
        (
            "--swr.region eu-de".to_owned(),
            &KEY,
            "a region of Open Telekom Cloud, whose customers set --swr.endpoint and",
        ),
        (format!("{region} --web.listen-address 127.0.0.1:99999"), &KEY, "port out of range"),
        (
            format!("{region} --cache.directory=~/state"),
            &KEY,
            "--cache.directory: `~` does not stand for the home directory",
        ),
        (format!("{region} --cache.max-age 5M"), &KEY, "--cache.max-age: invalid duration `5M`"),
        (format!("{region} --swr.namespace a/b"), &KEY, "--swr.namespace: no organization is named `a/b`"),
        ("--swr.region CN-NORTH-4".to_owned(), &KEY, "unknown region `CN-NORTH-4` (did you mean `cn-north-4`?)"),
        (format!("{region} --repositories.limit -1"), &KEY, "--repositories.limit: invalid number `-1` (allowed: 0 to"),
        (region.to_owned(), &[("SWR_EXPORTER_ACCESS_KEY", "\"AK\""), KEY[1]], "the access key begins with a quote"),
        (
            format!(
                "{region} --swr.iam-endpoint https://iam.example.com/v3 --credentials.username u --credentials.domain-name d"
            ),
            &[("SWR_EXPORTER_PASSWORD", "p")],
            "--swr.iam-endpoint: it must be scheme, host and port alone, as in https://iam.cn-north-4.myhuaweicloud.com",
        ),
    ] {
        let text = problems(&line, environment);
        assert!(text.starts_with("1 problem ") && text.contains(said), "{line}\n{text}");
    }
}
