//! The long run: refreshes and scrapes without end, a world that changes by a twentieth from one refresh to the next, and
//! whether memory, files or threads grow. Takes minutes to hours, so it runs only when it is asked for:
//!
//! `cargo bench --bench soak -- 20000 1000` (repositories, refreshes; a day's worth is `100000 5000`)
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark measures real time and prints it")]

mod process;

use process::{Client, Process, exporter, simulator_at};
use std::time::Instant;

/// Cached scrapes per refresh.
const SCRAPES: usize = 20;

/// Refreshes before the first measurement: buffers and pools have their size by then.
const WARM_UP: usize = 100;

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let [repositories, refreshes] = numbers[..] else {
        println!("soak: nothing done; say how many repositories and refreshes, e.g. -- 20000 1000");
        return;
    };
    // A repository sees 24 events a simulated day; a refresh of 100,000 takes some 0.7 s.
    let upstream = simulator_at(repositories, 6600.0);
    let exporter = exporter(&upstream, &["--cache.window", "1ms"]);
    let mut client = Client::connect(&exporter.address);
    let start = Instant::now();
    let mut memory = Vec::new();
    println!("refresh | resident MB | files | threads | s");
    for refresh in 0..refreshes {
        for _ in 0..SCRAPES {
            client.get("/-/healthy", "", |_| {});
        }
        client.get("/metrics", "Accept-Encoding: gzip\r\n", |_| {});
        if refresh >= WARM_UP {
            memory.push(exporter.megabytes("VmRSS"));
        }
        if refresh % (refreshes / 20).max(1) == 0 || refresh + 1 == refreshes {
            report(refresh, &exporter, start);
        }
    }
    println!("slope after {WARM_UP} refreshes: {:+.3} MB per 1,000 refreshes", slope(&memory) * 1000.0);
}

fn report(refresh: usize, exporter: &Process, start: Instant) {
    println!(
        "{refresh:>7} | {:>11.1} | {:>5} | {:>7} | {:.0}",
        exporter.megabytes("VmRSS"),
        exporter.files(),
        exporter.threads(),
        start.elapsed().as_secs_f64()
    );
}

/// Slope by least squares, in megabytes per refresh.
fn slope(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / count;
    let (mut above, mut below) = (0.0, 0.0);
    for (index, value) in values.iter().enumerate() {
        let x = index as f64 - middle;
        above += x * (value - mean);
        below += x * x;
    }
    above / below
}
