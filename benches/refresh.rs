//! A whole refresh, from the socket to the published page: processor time and memory of the exporter's process, as the
//! kernel counts them, with the simulated upstream in a process of its own.
//!
//! `cargo bench --bench refresh`; with an argument, only that many repositories: `cargo bench --bench refresh -- 1000`
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark measures real time and prints it")]

mod process;

use process::{Client, exporter, simulator};
use std::time::{Duration, Instant};

fn main() {
    let wanted: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if wanted.is_empty() { vec![1_000, 100_000, 1_000_000] } else { wanted };
    println!("All six families; medians, CPU the mean. CPU is the exporter's alone, user and system.");
    println!(
        "repositories | refreshes | CPU s | CPU us/repository | wall s | idle MB | peak MB | settled MB | page MB"
    );
    for repositories in sizes {
        let upstream = simulator(repositories);
        // The window is over at once, so each scrape is a refresh.
        let exporter = exporter(&upstream, &["--cache.window", "1ms", "--swr.refresh-timeout", "5m"]);
        let mut client = Client::connect(&exporter.address);
        let idle = exporter.megabytes("VmRSS");
        // The kernel counts hundredths of a second, so small refreshes are measured in sum.
        let refreshes = (200_000 / repositories).clamp(5, 200);
        let (mut wall, mut page) = (Vec::new(), 0);
        let before = exporter.cpu_seconds();
        for _ in 0..refreshes {
            let start = Instant::now();
            page = client.get("/metrics", "Accept-Encoding: gzip\r\n", |_| {});
            wall.push(start.elapsed().as_secs_f64());
            std::thread::sleep(Duration::from_millis(20));
        }
        let cpu = (exporter.cpu_seconds() - before) / refreshes as f64;
        let peak = exporter.megabytes("VmHWM");
        std::thread::sleep(Duration::from_secs(3));
        let wall = median(wall);
        println!(
            "{repositories:>12} | {refreshes:>9} | {cpu:>5.3} | {:>17.2} | {wall:>6.2} | {idle:>7.1} | {peak:>7.1} | {:>10.1} | {:>7.2}",
            cpu * 1e6 / repositories as f64,
            exporter.megabytes("VmRSS"),
            page as f64 / 1e6,
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
