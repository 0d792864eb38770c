//! Realistic names of organizations, repositories and tags.
//!
//! They follow the service's rules: repositories have 1 to 128 characters, start and end in `[a-z0-9]`, and hold `.`, `/`,
//! `-`, `_` and `__` inside, never two separators side by side except the double underscore.

use fastrand::Rng;

use super::image::mix;

/// Names that occur in several organizations. They cause
/// ties when a listing is ordered by name.
pub(super) const COMMON: [&str; 12] = [
    "nginx",
    "redis",
    "base/alpine",
    "base/debian",
    "busybox",
    "openjdk",
    "postgres",
    "ci/runner",
    "pause",
    "python",
    "node",
    "tools/kubectl",
];

pub(super) const CATEGORIES: [&str; 8] =
    ["app_server", "linux", "framework_app", "database", "lang", "other", "windows", "arm"];

const TEAMS: [&str; 16] = [
    "payments", "platform", "search", "mobile", "data", "ml", "infra", "edge", "billing", "identity", "media", "maps",
    "storage", "security", "devtools", "games",
];

/// Users who create repositories.
pub(super) const CREATORS: [&str; 8] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "ci-bot"];

const WORDS: [&str; 40] = [
    "api",
    "worker",
    "gateway",
    "frontend",
    "backend",
    "cron",
    "proxy",
    "cache",
    "queue",
    "ingest",
    "export",
    "import",
    "auth",
    "session",
    "catalog",
    "order",
    "invoice",
    "report",
    "mailer",
    "webhook",
    "sync",
    "agent",
    "operator",
    "controller",
    "scheduler",
    "renderer",
    "thumbnail",
    "index",
    "crawler",
    "metrics",
    "logs",
    "trace",
    "feature",
    "config",
    "secrets",
    "db-migrate",
    "e2e",
    "loadtest",
    "canary",
    "admin",
];

/// The name of the organization at `index`: a team's name first, then numbered ones with every legal separator.
pub(super) fn organization(index: usize) -> String {
    let team = TEAMS[index % TEAMS.len()];
    let round = index / TEAMS.len();
    match (round, round % 4) {
        (0, _) => team.to_owned(),
        (_, 0) => format!("{team}.{round}"),
        (_, 1) => format!("{team}-{round}"),
        (_, 2) => format!("{team}__{round}"),
        (_, _) => format!("{team}_{round}"),
    }
}

/// The creator of a generated repository, as an index into [`CREATORS`].
pub(super) fn creator_of(repository: u32) -> u8 {
    u8::try_from(mix(repository.into()) % CREATORS.len() as u64).expect("few creators")
}

/// A repository name, possibly taken.
pub(super) fn repository(rng: &mut Rng) -> String {
    let mut word = || WORDS[rng.usize(..WORDS.len())];
    let (first, second, third) = (word(), word(), word());
    let number = rng.u32(..1_000);
    match rng.u32(..100) {
        0..25 => format!("{first}-{second}"),
        25..45 => format!("{first}/{second}"),
        45..55 => format!("{first}-{second}-{number}"),
        55..63 => format!("{first}.{second}"),
        63..70 => format!("{first}_{second}"),
        70..76 => format!("{first}__{second}"),
        76..86 => format!("{first}/{second}/{third}-{number}"),
        86..91 => format!("{number}{first}"),
        91..96 => format!("{first}.v{number}/{second}_{third}"),
        96..98 => char::from(b'a' + u8::try_from(number % 26).expect("below 26")).to_string(),
        _ => longest(first, second, number),
    }
}

/// A name of exactly 128 characters, the longest that is legal.
fn longest(first: &str, second: &str, number: u32) -> String {
    let mut name = format!("{first}/{second}/{number}");
    while name.len() < 128 {
        let rest = 128 - name.len();
        if rest == 1 {
            name.push('0');
        } else {
            name.push('-');
            name.extend(first.chars().cycle().filter(|c| *c != '-').take((rest - 1).min(12)));
        }
    }
    name
}

/// Appends a number to a taken name.
pub(super) fn numbered(name: &str, number: usize) -> String {
    let suffix = format!("-{number}");
    let room = 128 - suffix.len();
    let kept = name[..name.len().min(room)].trim_end_matches(['-', '.', '_', '/']);
    format!("{kept}{suffix}")
}

/// Writes the name of a repository's `number`th tag. Each repository uses one style.
pub(super) fn write_tag(out: &mut Vec<u8>, repository: u32, number: u32) {
    let mut digits = itoa::Buffer::new();
    let mut push = |out: &mut Vec<u8>, before: &str, value: u32| {
        out.extend_from_slice(before.as_bytes());
        out.extend_from_slice(digits.format(value).as_bytes());
    };
    match repository % 5 {
        0 => {
            push(out, "v1.", number / 10);
            push(out, ".", number % 10);
        }
        1 => push(out, "", 1_000 + number),
        2 => {
            push(out, "release_", 2020 + number / 365);
            push(out, ".", number % 365);
        }
        3 => {
            out.extend_from_slice(b"sha-");
            // Odd multiplication is a bijection on 32 bits, so different numbers give different names.
            let hash = (number ^ repository.rotate_left(16)).wrapping_mul(0x9e37_79b1);
            out.extend_from_slice(hex::encode(hash.to_be_bytes()).as_bytes());
        }
        _ => push(out, "build-", number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn is_legal(name: &str) -> bool {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let inside = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c));
        let separators = name.split(|c: char| c.is_ascii_alphanumeric()).all(|run| run.len() <= 1 || run == "__");
        (1..=128).contains(&name.len())
            && inside
            && separators
            && edge(name.chars().next())
            && edge(name.chars().last())
    }

    #[test]
    fn every_generated_name_is_legal() {
        let mut rng = Rng::with_seed(7);
        let mut lengths = HashSet::new();
        for number in 0..20_000 {
            let name = repository(&mut rng);
            assert!(is_legal(&name), "{name}");
            let other = numbered(&name, number);
            assert!(is_legal(&other), "{other}");
            lengths.insert(name.len());
        }
        assert!(lengths.contains(&1) && lengths.contains(&128), "both ends of the range occur");
        assert!((0..200).all(|index| is_legal(&organization(index))));
    }

    #[test]
    fn tags_of_one_repository_differ() {
        for id in 0..10 {
            let mut seen = HashSet::new();
            for number in 0..3_000 {
                let mut name = Vec::new();
                write_tag(&mut name, id, number);
                assert!(seen.insert(name), "repository {id}, tag {number}");
            }
        }
    }
}
