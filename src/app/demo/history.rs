//! The past of the simulated world, as an exporter and a Prometheus would have recorded it.
//!
//! The exporter itself reads the simulated API at each step; its metrics get a timestamp and the labels of a scrape. So
//! the history has the names, labels and values that the demo then serves.

use super::super::account::Account;
use super::{SINGLE_REPOSITORIES, demo_config, serve, world};
use crate::cli::DemoArgs;
use crate::collect::WaitPolicy;
use crate::config;
use crate::exposition::{self, Encoding, Format, PlainTextRoom};
use anyhow::{Context, bail};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};
use swr_simulator::Options;

/// Steps between samples. The smallest is taken that keeps file and time small; Prometheus needs a
/// `--query.lookback-delta` above it.
const STEPS: [Duration; 3] = [Duration::from_secs(300), Duration::from_secs(900), Duration::from_secs(1800)];
/// Steps beyond which a larger one is taken. Each reads the whole account, in about 10 ms for 200 repositories.
const MAX_STEPS: u64 = 1_500;
/// Samples of repositories beyond which a larger step is taken: some 120 bytes each.
const MAX_SAMPLES: u64 = 1_000_000;
/// Most families are written for this long before the end.
const RECENT: Duration = Duration::from_secs(26 * 3_600);
/// Families of which nobody asks for the past are written for this long.
const LATEST: Duration = Duration::from_secs(3_600);
/// Their prefixes: a series per tag or artifact.
const DETAILED: [&str; 2] = ["swr_tag_", "swr_instance_repository_"];
/// The time between readings of tags before [`RECENT`]: a reading takes some 100 ms for 200 repositories.
const LAYERS_STEP: Duration = Duration::from_secs(12 * 3_600);
/// Families that follow from tags and whose whole past matters.
const LAYERS: [&str; 4] = [
    "swr_unique_layer_bytes",
    "swr_reclaimable_layer_bytes",
    "swr_namespace_unique_layer_bytes",
    "swr_namespace_reclaimable_layer_bytes",
];
/// Prefixes of families whose whole past matters: it is summed, compared or extrapolated.
const LASTING: [&str; 12] = [
    "swr_repository_size_bytes",
    "swr_repository_images",
    "swr_repository_downloads",
    "swr_repositories",
    "swr_namespace_",
    "swr_account_",
    "swr_unique_layer_bytes",
    "swr_reclaimable_layer_bytes",
    "swr_quota_",
    "swr_up",
    "swr_snapshot_timestamp_seconds",
    "swr_cache_window_seconds",
];

pub(super) fn length(text: &str) -> Result<Duration, String> {
    let length = config::positive(text)?;
    let most = world::MAX_HISTORY;
    if length <= most { Ok(length) } else { Err(format!("`{text}` is longer than {} days", most.as_secs() / 86_400)) }
}

/// Writes the history that ends now.
pub(super) async fn write(
    options: Options,
    today: SystemTime,
    length: Duration,
    args: &DemoArgs,
    output: &Path,
) -> anyhow::Result<()> {
    let window = config::of_flag("--cache.window", &args.cache_window, config::positive)?;
    let cannot_write = || format!("cannot write {}", output.display());
    let file = File::create(output).with_context(cannot_write)?;
    let mut out = BufWriter::new(file);
    let now = whole_seconds(SystemTime::now());
    let step = step(options.repositories, length);
    let steps = u32::try_from(length.as_secs() / step.as_secs()).unwrap_or(u32::MAX);
    let simulator = world::at(options, today, now - step * steps);
    let (endpoint, serving) = serve(simulator.clone()).await?;
    let mut recorder =
        Recorder { labels: labels(&args.instance), window: window.as_secs_f64().to_string(), samples: 0 };
    let (plain, with_tags) = (build(&endpoint, &[]).await?, build(&endpoint, &SINGLE_REPOSITORIES).await?);
    let layer_steps = u32::try_from(LAYERS_STEP.as_secs() / step.as_secs())?;
    let mut layers = String::new();
    for left in (0..=steps).rev() {
        let ago = step * left;
        let metrics = if ago <= RECENT {
            read(&with_tags).await?
        } else {
            if (steps - left) % layer_steps == 0 {
                layers = read(&with_tags).await?;
                layers = layers.split_inclusive('\n').filter(|line| is_about_layers(line)).collect();
            }
            read(&plain).await? + &layers
        };
        recorder.record(&mut out, &metrics, now - ago, ago).with_context(cannot_write)?;
        simulator.advance(step);
    }
    out.write_all(exposition::EOF).with_context(cannot_write)?;
    out.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(cannot_write)?.sync_all()?;
    plain.close();
    with_tags.close();
    serving.abort();
    let days = length.as_secs() / 86_400;
    super::super::print([format!(
        "Wrote {} samples to {}: {} in steps of {} minutes.\n",
        recorder.samples,
        output.display(),
        if days > 0 { format!("{days} days") } else { format!("{} hours", length.as_secs() / 3600) },
        step.as_secs() / 60
    )])?;
    Ok(())
}

fn step(repositories: usize, length: Duration) -> Duration {
    let is_small = |step: &Duration| {
        let steps = length.as_secs() / step.as_secs();
        steps <= MAX_STEPS && 3 * repositories as u64 * steps <= MAX_SAMPLES
    };
    STEPS.into_iter().find(is_small).unwrap_or(STEPS[2])
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// An exporter's account that reads anew each time, and waits for tags and details.
async fn build(endpoint: &str, collectors: &[&str]) -> anyhow::Result<Account> {
    let mut account = demo_config(endpoint, "1ms", collectors)?.accounts.swap_remove(0);
    account.collect.wait_policy = WaitPolicy::UntilRead;
    Account::build_alone(account).await
}

/// The metrics of the account as it is now.
async fn read(account: &Account) -> anyhow::Result<String> {
    let (page, failure) = account.read().await;
    if let Some(failure) = failure {
        bail!("the simulated account cannot be read: {failure}");
    }
    let (live, room) = (account.gauges(Format::Text), PlainTextRoom::new(0));
    let parts = exposition::response(&live, page.as_deref(), Format::Text, Encoding::Identity, &room);
    let bytes = parts.into_iter().flat_map(|part| part.as_ref().to_vec()).collect();
    Ok(String::from_utf8(bytes)?)
}

fn is_about_layers(line: &str) -> bool {
    LAYERS.iter().any(|family| line.strip_prefix(family).is_some_and(|rest| rest.starts_with(['{', ' '])))
}

fn labels(instance: &str) -> String {
    let instance = instance.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("job=\"swr\",instance=\"{instance}\"")
}

/// Adds to metrics what Prometheus adds.
struct Recorder {
    labels: String,
    /// The demo's cache window in seconds.
    window: String,
    /// Samples so far.
    samples: u64,
}

impl Recorder {
    /// Writes the samples of a scrape at `time`, which lies this long before the end.
    fn record(&mut self, out: &mut impl Write, metrics: &str, time: SystemTime, ago: Duration) -> std::io::Result<()> {
        let time = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let labels = &self.labels;
        writeln!(out, "up{{{labels}}} 1 {time}")?;
        self.samples += 1;
        for line in metrics.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let (name, rest) = series.split_at(series.find('{').unwrap_or(series.len()));
            if ago > kept_for(name) {
                continue;
            }
            let value = match name {
                // The exporter's own clock stands at the end of the history.
                "swr_snapshot_timestamp_seconds" | "swr_refresh_timestamp_seconds" => &time,
                "swr_cache_window_seconds" => &self.window,
                _ => value,
            };
            match rest.strip_prefix('{') {
                Some(own) => writeln!(out, "{name}{{{labels},{own} {value} {time}")?,
                None => writeln!(out, "{name}{{{labels}}} {value} {time}")?,
            }
            self.samples += 1;
        }
        Ok(())
    }
}

/// How long before the end a family is written.
fn kept_for(name: &str) -> Duration {
    let has = |families: &[&str]| families.iter().any(|family| name.starts_with(family));
    if has(&LASTING) {
        Duration::MAX
    } else if has(&DETAILED) {
        LATEST
    } else {
        RECENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(metrics: &str, ago: Duration) -> String {
        let mut out = Vec::new();
        let mut recorder = Recorder { labels: labels("a\"b:1"), window: "15".to_owned(), samples: 0 };
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        recorder.record(&mut out, metrics, time, ago).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count() as u64, recorder.samples);
        text
    }

    #[test]
    fn samples_get_the_labels_and_the_time_of_a_scrape() {
        let metrics = "# HELP swr_up x\nswr_up 1\nswr_snapshot_timestamp_seconds 99.5\nswr_cache_window_seconds 0.001\n\
                       swr_repository_size_bytes{namespace=\"a\",repository=\"b c\"} 7\n";
        let scrape = "job=\"swr\",instance=\"a\\\"b:1\"";
        let expected = format!(
            "up{{{scrape}}} 1 1000\nswr_up{{{scrape}}} 1 1000\nswr_snapshot_timestamp_seconds{{{scrape}}} 1000 1000\n\
             swr_cache_window_seconds{{{scrape}}} 15 1000\n\
             swr_repository_size_bytes{{{scrape},namespace=\"a\",repository=\"b c\"}} 7 1000\n"
        );
        assert_eq!(recorded(metrics, Duration::from_secs(864_000)), expected);
    }

    #[test]
    fn the_distant_past_has_only_the_families_that_need_it() {
        let metrics =
            "swr_namespace_images{namespace=\"a\"} 1\nswr_repository_info{namespace=\"a\"} 1\nswr_tag_info{x=\"\"} 1\n";
        for (hours, samples) in [(0, 4), (1, 4), (2, 3), (26, 3), (27, 2), (700, 2)] {
            assert_eq!(recorded(metrics, Duration::from_secs(hours * 3_600)).lines().count(), samples, "{hours}");
        }
    }

    #[test]
    fn large_worlds_and_long_pasts_have_larger_steps() {
        let day = Duration::from_secs(86_400);
        let minutes: Vec<u64> =
            [(40, 5), (200, 10), (200, 30), (2_000, 45)].map(|(n, days)| step(n, day * days).as_secs() / 60).to_vec();
        assert_eq!(minutes, [5, 15, 30, 30]);
        assert!(length("46d").is_err() && length("0s").is_err() && length("30d").is_ok());
    }
}
