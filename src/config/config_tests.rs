use super::*;
use crate::auth::Source;

fn args(line: &str) -> ServeArgs {
    use clap::Parser;
    crate::cli::Cli::try_parse_from(std::iter::once("swr-exporter").chain(line.split_whitespace())).unwrap().serve
}

fn problems(line: &str, environment: &[(&str, &str)]) -> String {
    resolve(&args(line), &table(environment)).unwrap_err().to_string()
}

fn table<'a>(entries: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| entries.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
}

const KEY: [(&str, &str); 2] = [("SWR_EXPORTER_ACCESS_KEY", "AK"), ("SWR_EXPORTER_SECRET_KEY", "sk-secret")];

#[test]
fn a_region_and_a_key_are_enough() {
    let config = resolve(&args("--swr.region cn-north-4"), &table(&KEY)).unwrap();
    assert_eq!(config.account.client.endpoint, "https://swr-api.cn-north-4.myhuaweicloud.com");
    assert_eq!(config.account.credentials.source.name(), "access-key");
    assert_eq!(config.listen, [DEFAULT_ADDRESS]);
    assert!(!format!("{config:?}").contains("sk-secret"));
}

#[test]
fn the_sdks_variables_and_files_work_too() {
    let sdk = [("HUAWEICLOUD_SDK_AK", "AK"), ("HUAWEICLOUD_SDK_SK", "s"), ("HUAWEICLOUD_SDK_SECURITY_TOKEN", "t")];
    let config = resolve(&args("--swr.region eu-west-101"), &table(&sdk)).unwrap();
    assert_eq!(config.account.client.endpoint, "https://swr-api.eu-west-101.myhuaweicloud.eu");
    let Source::AccessKey(key) = config.account.credentials.source else { panic!("an access key") };
    assert!(key.security_token.is_some());
    let line = "--swr.region cn-north-4 --credentials.token-file /run/token";
    assert_eq!(
        resolve(&args(line), &table(&KEY)).unwrap().account.credentials.source.name(),
        "token",
        "token comes first"
    );
    let line = format!("{line} --credentials.source access-key");
    assert_eq!(resolve(&args(&line), &table(&KEY)).unwrap().account.credentials.source.name(), "access-key");
}

#[test]
fn every_problem_is_listed_with_its_place_and_what_to_do() {
    let text = problems(
        "--swr.page-size 5000 --cache.window never --swr.concurrency 0 --log.level loud --web.listen-address nowhere \
         --collector.repositories.metrics size,colour --swr.rate-limit=-1 --web.telemetry-path metrics",
        &[],
    );
    for expected in [
        "9 problems with the settings:",
        "--swr.page-size: `5000` is no number from 10 to 1000",
        "--cache.window: `never` is no duration such as 500ms, 30s or 5m",
        "--swr.concurrency: `0` is no number from 1 to 64",
        "--log.level: `loud` is not known; known are debug, info, warn, error",
        "--web.listen-address: `nowhere` has no port",
        "--collector.repositories.metrics: unknown",
        "--swr.rate-limit: `-1` is no number from 0.01 to 10000",
        "--web.telemetry-path: `metrics` is no path",
        "no endpoint: give --swr.region",
    ] {
        assert!(text.contains(expected), "{expected}\n---\n{text}");
    }
}

#[test]
fn contradictions_are_found() {
    let text = problems("--swr.region cn-north-4 --cache.max-age 1m", &KEY);
    assert!(text.contains("--cache.max-age: 1m is shorter than --cache.window 5m"), "{text}");
    let text = problems("--swr.region cn-north-4 --scrape.timeout 1s --scrape.timeout-offset 2s", &KEY);
    assert!(text.contains("--scrape.timeout-offset"), "{text}");
    let text = problems("--swr.region cn-north-4", &KEY[..1]);
    assert!(text.contains("the access key has no secret key"), "{text}");
    let text = problems("--swr.region mars-1", &KEY);
    assert!(text.contains("`mars-1` is not known; known are ae-ad-1, ") && text.contains("--swr.endpoint"), "{text}");
    let text = problems("--swr.endpoint http://example.com", &KEY);
    assert!(text.contains("--swr.endpoint: `http://example.com` would send credentials unencrypted"), "{text}");
}

#[test]
fn no_problem_quotes_a_secret() {
    let text = problems("--swr.region mars-1 --credentials.source token", &KEY);
    assert!(
        text.contains("--credentials.source is token, but there is no token") && !text.contains("sk-secret"),
        "{text}"
    );
}
