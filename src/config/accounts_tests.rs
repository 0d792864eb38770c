//! Accounts of a configuration file: which value holds where several are given, and what is said of wrong ones.

use super::tests::{args, table};
use super::*;
use crate::auth::{Part, Source};

/// The settings of a file, with these flags and this environment.
fn of(yaml: &str, line: &str, environment: &[(&str, &str)]) -> Result<Config, Problems> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.yml");
    std::fs::write(&path, yaml).unwrap();
    resolve(&args(&format!("--config.file {} {line}", path.display())), &table(environment))
}

#[test]
fn an_accounts_own_secret_wins_over_that_of_all_wherever_each_is_kept() {
    let secrets = |yaml: &str, line: &str| -> Vec<String> {
        let shown = |account: &Account| match &account.credentials.source {
            Source::AccessKey(key) => match &key.secret {
                Part::Given(secret) => secret.expose().to_owned(),
                Part::File(path) => path.display().to_string(),
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
