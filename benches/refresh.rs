//! A whole refresh, from the socket to the published page: processor time and memory of the exporter's process, as the
//! kernel counts them, while a share of the repositories changes between refreshes.
//!
//! A repository that changes gets a push and downloads: four of its six series have another value. Which ones change is
//! drawn anew each time, so the changes are scattered over the whole listing.
//!
//! `cargo bench --bench refresh`; numbers are sizes, and an executable is a baseline that is measured beside ours over the
//! same upstream: `cargo bench --bench refresh -- 1000 100000 --changed 0,1 --baseline path/to/swr-exporter`
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark measures real time and prints it")]

mod process;

use process::{Client, Process, exporter_of, median};
use std::time::{Duration, Instant};
use swr_simulator::{Options, Running, Simulator};

const OURS: &str = env!("CARGO_BIN_EXE_swr-exporter");

struct Arguments {
    sizes: Vec<usize>,
    /// Per cent of the repositories that change between two refreshes.
    changed: Vec<usize>,
    baseline: Option<String>,
    /// Measured in place of the executable that was built with the benchmark, e.g. one as shipped.
    ours: String,
}

impl Arguments {
    fn read() -> Self {
        let mut read = Self { sizes: Vec::new(), changed: vec![0, 1, 10, 100], baseline: None, ours: OURS.to_owned() };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--changed" => {
                    let list = arguments.next().expect("a list of percentages");
                    read.changed = list.split(',').map(|share| share.parse().expect("a percentage")).collect();
                }
                "--baseline" => read.baseline = arguments.next(),
                "--ours" => read.ours = arguments.next().expect("an executable"),
                size => read.sizes.extend(size.parse::<usize>().ok()),
            }
        }
        if read.sizes.is_empty() {
            read.sizes = vec![1_000, 100_000, 1_000_000];
        }
        read
    }
}

fn main() {
    let Arguments { sizes, changed, baseline, ours } = Arguments::read();
    let upstream = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    println!(
        "All six families, gzip. CPU is the exporter's alone, user and system, the mean of the refreshes after the"
    );
    println!("first; the peak covers the first too.");
    println!(
        "repositories | changed % | executable | refreshes | CPU s | CPU us/repository | wall s | idle MB | peak MB | settled MB | page MB"
    );
    for repositories in sizes {
        for share in &changed {
            let options = Options { repositories, namespaces: 200, events_per_day: 0.0, ..Options::default() };
            let simulator = upstream.block_on(Simulator::start(options)).expect("the simulator starts");
            let mut measured: Vec<Measured> = [("baseline", baseline.as_deref()), ("ours", Some(&*ours))]
                .into_iter()
                .filter_map(|(name, executable)| Some(Measured::start(name, executable?, &simulator)))
                .collect();
            // The kernel counts hundredths of a second, so small refreshes are measured in sum.
            let refreshes = (1_000_000 / repositories).clamp(3, 100);
            let mut random = fastrand::Rng::with_seed(7);
            for _ in 0..refreshes {
                change(&simulator.handle, repositories * share / 100, &mut random);
                for one in &mut measured {
                    one.refresh();
                }
                measured.reverse();
            }
            measured.sort_by_key(|one| one.name);
            std::thread::sleep(Duration::from_secs(3));
            let cpu: Vec<f64> = measured.iter().map(|one| one.print(repositories, *share, refreshes)).collect();
            if let [baseline, ours] = cpu[..] {
                println!("{repositories:>12} | {share:>9} | ours to baseline: CPU {:.2}", ours / baseline);
            }
        }
    }
}

/// An exporter under measurement.
struct Measured {
    name: &'static str,
    exporter: Process,
    idle: f64,
    cpu: f64,
    wall: Vec<f64>,
    page: usize,
}

impl Measured {
    /// Starts an exporter and waits for its first refresh.
    fn start(name: &'static str, executable: &str, simulator: &Running) -> Self {
        // The window is over at once, so each scrape is a refresh.
        let flags = ["--cache.window", "1ms", "--swr.refresh-timeout", "5m"];
        let exporter = exporter_of(executable, &simulator.url(), &flags);
        let idle = exporter.megabytes("VmRSS");
        let mut measured = Self { name, exporter, idle, cpu: 0.0, wall: Vec::new(), page: 0 };
        measured.scrape();
        measured
    }

    fn scrape(&mut self) {
        // A new connection each time: the changes before may take longer than an idle one is kept.
        self.page = Client::connect(&self.exporter.address).get("/metrics", "Accept-Encoding: gzip\r\n", |_| {});
        // What the refresh frees is freed after the scrape is answered.
        std::thread::sleep(Duration::from_millis(20));
    }

    fn refresh(&mut self) {
        let (start, before) = (Instant::now(), self.exporter.cpu_seconds());
        self.scrape();
        self.wall.push(start.elapsed().as_secs_f64() - 0.02);
        self.cpu += self.exporter.cpu_seconds() - before;
    }

    /// Prints a row of the table and returns processor seconds per refresh.
    fn print(&self, repositories: usize, share: usize, refreshes: usize) -> f64 {
        let cpu = self.cpu / refreshes as f64;
        println!(
            "{repositories:>12} | {share:>9} | {:>10} | {refreshes:>9} | {cpu:>5.3} | {:>17.2} | {:>6.2} | {:>7.1} | {:>7.1} | {:>10.1} | {:>7.2}",
            self.name,
            cpu * 1e6 / repositories as f64,
            median(&self.wall),
            self.idle,
            self.exporter.megabytes("VmHWM"),
            self.exporter.megabytes("VmRSS"),
            self.page as f64 / 1e6,
        );
        cpu
    }
}

/// Changes that many repositories.
fn change(simulator: &Simulator, count: usize, random: &mut fastrand::Rng) {
    if count == 0 {
        return;
    }
    let mut all = simulator.with_world(|world| world.keys());
    let tag = format!("bench-{}", random.u32(..));
    random.shuffle(&mut all);
    simulator.with_world(|world| {
        for (namespace, name) in &all[..count] {
            world.push(namespace, name, &tag);
            world.download(namespace, name, random.u64(1..20));
        }
    });
}
