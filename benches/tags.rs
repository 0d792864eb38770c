//! What tags cost: the memory of the layer index, a first round over a large account beside its scrapes, and refreshes of
//! which a few repositories have changed, beside refreshes of the listing alone.
//!
//! `cargo bench --bench tags`; a number is the number of repositories, and an executable is a baseline that is measured beside
//! ours over the same upstream: `cargo bench --bench tags -- 10000 --changed 20 --baseline path/to/swr-exporter`. `--index`
//! measures the layer index alone, `--refreshes` refreshes alone.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark measures real time and prints it")]

mod process;

use process::{Client, Process, exporter_of, median};
use std::io::Read;
use std::time::{Duration, Instant};
use swr_exporter::model::Timestamp;
use swr_exporter::model::layers::Layers;
use swr_exporter::model::reclaim::{Reclaim, Rule};
use swr_exporter::model::tag_list::{ListedTag, TagList};
use swr_exporter::model::tags::{Blob, Digest32};
use swr_simulator::{Options, Running, Simulator};

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Refreshes to average over.
const REFRESHES: usize = 20;

struct Arguments {
    repositories: u32,
    /// Repositories that change between two refreshes.
    changed: usize,
    baseline: Option<String>,
    ours: String,
    /// `--index` or `--refreshes`: one part alone.
    alone: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Index,
    Refreshes,
}

impl Arguments {
    fn read() -> Self {
        let ours = env!("CARGO_BIN_EXE_swr-exporter").to_owned();
        let mut read = Self { repositories: 100_000, changed: 100, baseline: None, ours, alone: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--changed" => {
                    let changed = arguments.next().and_then(|number| number.parse().ok());
                    read.changed = changed.expect("a number of repositories");
                }
                "--baseline" => read.baseline = arguments.next(),
                "--ours" => read.ours = arguments.next().expect("an executable"),
                "--index" => read.alone = Some(Part::Index),
                "--refreshes" => read.alone = Some(Part::Refreshes),
                size => read.repositories = size.parse().unwrap_or(read.repositories),
            }
        }
        read
    }
}

fn main() {
    let arguments = Arguments::read();
    let repositories = arguments.repositories;
    if let Some(shape) = std::env::var("SHAPE").ok().and_then(|shape| shape.parse().ok()) {
        return memory(repositories, shape);
    }
    if arguments.alone != Some(Part::Refreshes) {
        println!("The layer index: {repositories} repositories x 20 tags x 10 layers and a configuration each.");
        println!(
            "sharing | clean-up rules | distinct blobs | references | MB | bytes/blob | s | us/change | s for a day"
        );
        for shape in 0..SHAPES.len() * 2 {
            // Each in its own process: memory freed by one would hide what the other allocates.
            let mut other = std::process::Command::new(std::env::current_exe().expect("it runs"));
            other.env("SHAPE", shape.to_string()).arg(repositories.to_string());
            assert!(other.status().expect("it can be started again").success());
        }
    }
    if arguments.alone == Some(Part::Index) {
        return;
    }
    let upstream = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    let options =
        Options { repositories: repositories as usize, namespaces: 200, events_per_day: 0.0, ..Options::default() };
    let simulator = upstream.block_on(Simulator::start(options)).expect("the simulator starts");
    if arguments.alone.is_none() {
        let directory = std::env::temp_dir().join(format!("swr-exporter-bench-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory for the state files");
        first_round(&simulator, &arguments, &directory);
        std::fs::remove_dir_all(&directory).expect("it is ours");
    }
    refreshes(&simulator, &arguments);
}

/// How much is shared: layers by all tags of a repository, layers between repositories, and into how many parts the latter
/// divide them.
const SHAPES: [(&str, u32, u32, u32); 3] = [
    ("4 of 10 layers from 50 bases, 3 by all tags", 3, 4, 50),
    ("none at all", 0, 0, 1),
    ("each of 10 layers by all tags of two repositories", 0, 10, 50_000),
];

/// 20 tags with 10 layers and a configuration each, without and with clean-up rules and the list of tags that they need.
fn memory(repositories: u32, shape: usize) {
    let (name, tags_share, repositories_share, parts) = SHAPES[shape / 2];
    let rules = if shape.is_multiple_of(2) { Reclaim::none().rules } else { Reclaim::default().rules };
    let before = resident();
    let start = Instant::now();
    let mut layers = Layers::default();
    layers.set_rules(rules.len());
    let mut lists = Vec::new();
    let mut references = 0;
    let set = |layers: &mut Layers, repository: u32, from: u32| {
        let tags = tags(repository, from, tags_share, repositories_share, parts);
        let (list, blobs) = TagList::pack(tags, &[], None);
        layers.set(repository, repository % 200, &blobs);
        pick(layers, repository, &list, &rules, NOW);
        list
    };
    for repository in 0..repositories {
        let list = set(&mut layers, repository, 0);
        // Without rules, the dates alone were kept.
        lists.push(if rules.is_empty() { Err(list.updated().into_boxed_slice()) } else { Ok(list) });
        references += layers.blobs(repository).len();
    }
    let took = start.elapsed();
    let grown = resident() - before;
    let start = Instant::now();
    for repository in (0..repositories).step_by(100) {
        set(&mut layers, repository, 1);
    }
    let change = start.elapsed().as_secs_f64() * 1e6 / f64::from(repositories / 100);
    let start = Instant::now();
    for (repository, list) in (0..).zip(&lists) {
        if let Ok(list) = list {
            pick(&mut layers, repository, list, &rules, NOW + DAY);
        }
    }
    println!(
        "{name} | {} | {} | {references} | {:.0} | {:.1} | {:.1} | {change:.0} | {:.2}",
        rules.len(),
        layers.len(),
        grown / 1e6,
        grown / layers.len() as f64,
        took.as_secs_f64(),
        start.elapsed().as_secs_f64(),
    );
}

const NOW: u32 = 1_800_000_000;
const DAY: u32 = 86_400;

fn pick(layers: &mut Layers, repository: u32, list: &TagList, rules: &[Rule], now: u32) {
    for (rule, (_, blobs)) in list.picks(rules, now).by_rule.iter().enumerate() {
        layers.pick(repository, rule, *blobs);
    }
}

/// A tag every ten days.
fn tags(repository: u32, from: u32, tags_share: u32, repositories_share: u32, parts: u32) -> Vec<ListedTag> {
    let blobs = blobs(repository, from, tags_share, repositories_share, parts);
    let tags = (from..).zip(blobs.chunks(11)).map(|(number, blobs)| ListedTag {
        name: format!("v1.{number}.{}", repository % 10).into(),
        dated: Some(Timestamp(i64::from(NOW - DAY * 10 * (from + 20 - number) + repository % DAY) * 1_000_000_000)),
        by_creation: false,
        blobs: blobs.to_vec(),
    });
    tags.collect()
}

/// The blobs of a repository's tags, starting at tag `from`; the next value drops the oldest and adds one.
fn blobs(repository: u32, from: u32, tags_share: u32, repositories_share: u32, parts: u32) -> Vec<Blob> {
    let blob = |kind: u32, a: u32, b: u32| {
        let mut digest = [0; 32];
        // Uniformly distributed, like digests.
        let mut state = (u64::from(kind) << 60) ^ (u64::from(a) << 20) ^ u64::from(b);
        for part in digest.chunks_exact_mut(8) {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            part.copy_from_slice(&(state ^ (state >> 29)).to_be_bytes());
        }
        Blob { digest: Digest32(digest), size: 1_000 + u64::from(a % 1_000) }
    };
    let mut blobs = Vec::new();
    for tag in from..from + 20 {
        blobs.push(blob(0, repository, tag));
        for layer in 0..10 {
            blobs.push(if layer < repositories_share {
                blob(1, repository % parts, layer)
            } else if layer < repositories_share + tags_share {
                blob(2, repository, layer)
            } else {
                blob(3, repository, tag * 10 + layer)
            });
        }
    }
    blobs
}

fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("we live");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("a line of the status");
    line.split_whitespace().nth(1).expect("a number").parse::<f64>().expect("a number") * 1024.0
}

/// The flags of an exporter that reads tags as fast as it can.
const WITH_TAGS: [&str; 3] = ["--collector.tags", "--collector.tags.rate-limit=10000", "--swr.burst=1000"];

/// First reading of all tags, in the background of scrapes.
fn first_round(simulator: &Running, arguments: &Arguments, directory: &std::path::Path) {
    let kept = format!("--cache.directory={}", directory.display());
    let exporter =
        exporter_of(&arguments.ours, &simulator.url(), &[&WITH_TAGS[..], &["--cache.window=1h", &kept]].concat());
    let mut client = Client::connect(&exporter.address);
    scrape(&mut client);
    let began = Instant::now();
    let mut during = Vec::new();
    while metric(&mut client, "swr_tags_pending").expect("it is live") > 0.0 {
        during.push(scrape(&mut client).1);
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = began.elapsed().as_secs_f64();
    let after: Vec<f64> = (0..during.len().clamp(1, 500)).map(|_| scrape(&mut client).1).collect();
    let repositories = arguments.repositories;
    println!("\nA first round over {repositories} repositories, at a rate limit of 10,000 calls a second:");
    println!(
        "{took:.0} s, {:.0} repositories a second; scrapes meanwhile {} ms, afterwards {} ms (median, 99 of 100)",
        f64::from(repositories) / took,
        quantiles(during),
        quantiles(after)
    );
    let file = directory.join("default.tags");
    while !file.exists()
        || file
            .metadata()
            .expect("it is there")
            .modified()
            .expect("a time")
            .elapsed()
            .is_ok_and(|age| age.as_secs() < 8)
    {
        std::thread::sleep(Duration::from_millis(200));
    }
    println!(
        "memory {:.0} MB, at the peak {:.0} MB; state file {:.0} MB",
        exporter.megabytes("VmRSS"),
        exporter.megabytes("VmHWM"),
        file.metadata().expect("it is there").len() as f64 / 1e6
    );
}

/// Refreshes of a changing world, with and without tags, of both executables by turns.
fn refreshes(simulator: &Running, arguments: &Arguments) {
    let changed = arguments.changed;
    println!("\nRefreshes, between which {changed} repositories get a tag and downloads:");
    println!("executable | collectors | CPU s, mean and median | wall s | page MB, gzip | memory MB, at the peak");
    let executables = [("baseline", arguments.baseline.as_deref()), ("ours", Some(&*arguments.ours))];
    let executables = executables.into_iter().filter_map(|(name, executable)| Some((name, executable?)));
    let mut measured: Vec<Measured> = executables
        .flat_map(|(name, executable)| [false, true].map(|tags| Measured::start(name, executable, simulator, tags)))
        .collect();
    let mut random = fastrand::Rng::with_seed(7);
    // After the first, both have reached their size.
    for number in 0..REFRESHES + 2 {
        change(&simulator.handle, changed, &mut random);
        for one in &mut measured {
            one.refresh();
            if number < 2 {
                (one.cpu, one.wall) = (Vec::new(), Vec::new());
            }
        }
        measured.reverse();
    }
    for one in &measured {
        one.print();
    }
    if let [one, two, three, four] = &measured[..] {
        let ratio = |one: &Measured, other: &Measured| median(&one.cpu) / median(&other.cpu);
        println!("ours to baseline: {:.2} without tags, {:.2} with tags", ratio(three, one), ratio(four, two));
    }
}

/// An exporter under measurement.
struct Measured {
    name: &'static str,
    exporter: Process,
    tags: bool,
    cpu: Vec<f64>,
    wall: Vec<f64>,
    page: usize,
}

impl Measured {
    /// Starts an exporter and waits until it knows all.
    fn start(name: &'static str, executable: &str, simulator: &Running, tags: bool) -> Self {
        // The window is over at once, so each scrape is a refresh.
        let flags = [&["--cache.window=1ms", "--swr.refresh-timeout=5m"][..], if tags { &WITH_TAGS[..] } else { &[] }];
        let exporter = exporter_of(executable, &simulator.url(), &flags.concat());
        let measured = Self { name, exporter, tags, cpu: Vec::new(), wall: Vec::new(), page: 0 };
        let mut client = Client::connect(&measured.exporter.address);
        scrape(&mut client);
        while tags && metric(&mut client, "swr_tags_pending").is_none_or(|pending| pending > 0.0) {
            std::thread::sleep(Duration::from_secs(2));
            client = Client::connect(&measured.exporter.address);
        }
        measured
    }

    fn refresh(&mut self) {
        let (start, before) = (Instant::now(), self.exporter.cpu_seconds());
        let mut client = Client::connect(&self.exporter.address);
        self.page = scrape(&mut client).0;
        self.wall.push(start.elapsed().as_secs_f64());
        // What the refresh frees is freed after the scrape is answered.
        std::thread::sleep(Duration::from_millis(200));
        self.cpu.push(self.exporter.cpu_seconds() - before);
    }

    fn print(&self) {
        println!(
            "{} | {} | {:.3}, {:.3} | {:.2} | {:.2} | {:.0}, {:.0}",
            self.name,
            if self.tags { "repositories, tags" } else { "repositories" },
            self.cpu.iter().sum::<f64>() / self.cpu.len() as f64,
            median(&self.cpu),
            median(&self.wall),
            self.page as f64 / 1e6,
            self.exporter.megabytes("VmRSS"),
            self.exporter.megabytes("VmHWM"),
        );
    }
}

/// Changes that many repositories.
fn change(simulator: &Simulator, count: usize, random: &mut fastrand::Rng) {
    let tag = format!("bench-{}", random.u32(..));
    simulator.with_world(|world| {
        let all = world.keys();
        for _ in 0..count {
            let (namespace, name) = &all[random.usize(..all.len())];
            world.push(namespace, name, &tag);
            world.download(namespace, name, random.u64(1..20));
        }
    });
}

/// One scrape: bytes and milliseconds.
fn scrape(client: &mut Client) -> (usize, f64) {
    let start = Instant::now();
    let bytes = client.get("/metrics", "Accept-Encoding: gzip\r\n", |_| {});
    (bytes, start.elapsed().as_secs_f64() * 1e3)
}

/// One live metric, from the beginning of the exposition.
fn metric(client: &mut Client, series: &str) -> Option<f64> {
    let mut body = Vec::new();
    client.get("/metrics", "Accept-Encoding: gzip\r\n", |piece| body.extend_from_slice(piece));
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&*body).take(1 << 17).read_to_end(&mut text).expect("a page");
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn quantiles(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    format!("{:.1}, {:.1}", values[values.len() / 2], values[values.len() * 99 / 100])
}
