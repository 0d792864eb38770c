//! A panic while secrets are in memory, as a bug might cause it anywhere: neither its output nor the log shows any of
//! them.
//!
//! The program cannot be made to panic, so a second process of this test panics instead: it builds the program's own
//! parts with marked secrets and the program's own log, and makes each of them panic.

use crate::secrets::{CANARIES, assert_clean, sources};
use crate::support::{Ended, done};
use bytes::Bytes;
use clap::Parser;
use futures_util::future::BoxFuture;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};
use swr_exporter::auth::{Authenticator, CredentialProvider, SecretReader, TokenClient};
use swr_exporter::base::deadline::Deadline;
use swr_exporter::cli::Cli;
use swr_exporter::cli::flags::ALL;
use swr_exporter::config::environment::Environment;
use swr_exporter::config::{self, Config};
use swr_exporter::logging;
use swr_exporter::swr::row_reader::KnownRows;
use swr_exporter::swr::{self, CallBudget, Client};
use swr_exporter::transport::{Request, Response, Transport, TransportError};

/// Marks the second process.
const SECOND: &str = "SWR_TEST_PANICS_HERE";

/// Panics with the request in its message.
struct Falling;

impl Transport for Falling {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        panic!("here is what was to be sent: {request:#?}");
    }
}

/// The settings of an environment; those with a flag are passed as flags.
fn resolve(environment: &[(&str, String)]) -> Config {
    let mut line: Vec<String> = ["swr-exporter", "--swr.endpoint=https://127.0.0.1:1"].map(str::to_owned).into();
    for (name, value) in environment {
        let flag = ALL.iter().find(|flag| flag.variable() == *name);
        line.extend(flag.map(|flag| format!("--{}={value}", flag.name)));
    }
    let args = Cli::try_parse_from(line).unwrap().serve;
    let variables: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    config::resolve(&args, &Environment::from(&variables[..])).unwrap()
}

/// Panics with a value printed in full, and catches the panic.
fn fall(with: &dyn std::fmt::Debug) {
    let fallen = std::panic::catch_unwind(AssertUnwindSafe(|| panic!("here is what was at hand: {with:#?}")));
    assert!(fallen.is_err());
}

/// Panics with everything that belongs to one source, and returns the number of panics.
async fn fall_with_a_source(environment: &[(&str, String)]) -> usize {
    let mut config = resolve(environment);
    fall(&config);
    let account = config.accounts.remove(0);
    fall(&account.credentials);
    let source: CredentialProvider = account.credentials.source;
    let state = source.load_by(&SecretReader::default()).await;
    fall(&state);
    let metrics = swr::Metrics::new(&prometheus::Registry::new());
    let token_client = TokenClient {
        public: Box::new(Falling),
        link_local: Box::new(Falling),
        metrics: metrics.of_credentials(),
        wall_clock: SystemTime::now,
    };
    let authenticator = Authenticator::new(source, Some(token_client));
    // A token request panics in its own task; a ready credential with the request that it signs.
    let lease = authenticator.credential().await;
    fall(&lease);
    fall(&authenticator);
    let client = Client::new(account.client, Box::new(Falling), authenticator, metrics, SystemTime::now);
    let called = tokio::spawn(async move {
        let budget = CallBudget::until(Deadline::after(Duration::from_secs(10)));
        client.repositories(None, 0, 10, &KnownRows::none(client.fingerprint_key), &budget).await.map(drop)
    });
    match called.await {
        Err(fallen) => {
            tracing::error!("the call fell: {fallen:?}");
            fall(&fallen.into_panic().downcast_ref::<String>());
        }
        Ok(result) => fall(&result),
    }
    6
}

#[tokio::test]
async fn a_panic_with_secrets_at_hand_shows_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    if std::env::var_os(SECOND).is_some() {
        let options =
            logging::Options { level: tracing::level_filters::LevelFilter::TRACE, format: logging::Format::Json };
        let _log = logging::start(options).unwrap();
        let mut fallen = 0;
        for (_, environment) in sources("http://127.0.0.1:1", folder.path()) {
            fallen += fall_with_a_source(&environment).await;
        }
        fall(&Request {
            method: "POST".parse().unwrap(),
            url: "https://127.0.0.1:1/v3/auth/tokens".to_owned(),
            headers: Default::default(),
            body: Bytes::from(CANARIES.join("\n")),
        });
        tracing::error!("{} panics were meant", fallen + 1);
        return;
    }
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command.args(["panics::a_panic_with_secrets_at_hand_shows_none_of_them", "--exact", "--nocapture"]);
    command.env(SECOND, "").env("RUST_BACKTRACE", "0");
    let Ended { out, said, .. } = done(command).await.with(0, &[]);
    let said = out + &said;
    assert_clean("what a panic prints", &said);
    assert!(said.contains("panics were meant"), "the log is among it: {said}");
    let panics = said.matches("panicked at").count();
    assert!(panics > 8 * 6, "{panics}: {said}");
    for shown in
        ["here is what was to be sent: Request", "/v2/manage/repos", "the call fell", "AccessKey(<secret>)", "<secret>"]
    {
        assert!(said.contains(shown), "{shown}: {said}");
    }
}
