//! Encoding 100,000 repositories with three gauges each, by our encoder and by the `prometheus` crate, on the same data;
//! and the cost of compressing the exposition.
//!
//! The crate's gauges are filled once, outside the measured time, though a real refresh would fill them each time.
//! OpenMetrics has the same body and six more bytes, so it is not measured.

#![allow(clippy::print_stdout, reason = "sizes belong beside the times")]

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use flate2::{Compression, write::GzEncoder};
use prometheus::{Encoder, IntGaugeVec, Opts, Registry, TextEncoder};
use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;
use swr_exporter::catalog::{self, Family};
use swr_exporter::exposition::{Encoding, Exposition, Format, Options, PlainTextRoom, response};
use swr_exporter::model::{Repository, Snapshot, Timestamp, Visibility};

const REPOSITORIES: u64 = 100_000;
const NAMESPACES: u64 = 200;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let snapshot = Arc::new(snapshot());
    encode(&mut criterion, &snapshot);
    compress(&mut criterion, &snapshot);
    criterion.final_summary();
}

fn encode(criterion: &mut Criterion, snapshot: &Arc<Snapshot>) {
    let three =
        Options { repository_metrics: "size,images,downloads".parse().expect("known names"), ..Options::default() };
    let ours = Exposition::build(Arc::clone(snapshot), &three, None);
    println!("our exposition: {} series, {} bytes", ours.series(), ours.bytes());
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Bytes(ours.bytes() as u64));
    group.bench_function("ours, Exposition::build with gzip", |bencher| {
        bencher.iter(|| Exposition::build(Arc::clone(snapshot), &three, None));
    });

    let registry = registry(snapshot);
    let mut theirs = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut theirs).expect("memory");
    println!("prometheus crate's exposition: {} bytes", theirs.len());
    group.throughput(Throughput::Bytes(theirs.len() as u64));
    group.bench_function("prometheus crate, gather and TextEncoder into a reused buffer", |bencher| {
        bencher.iter(|| {
            theirs.clear();
            TextEncoder::new().encode(&registry.gather(), &mut theirs).expect("memory");
        });
    });

    let all = Options::default();
    let page = Exposition::build(Arc::clone(snapshot), &all, None);
    println!(
        "all six families: {} bytes, {} as gzip",
        page.bytes(),
        response(b"", Some(&page), Format::Text, Encoding::Gzip, &PlainTextRoom::new(0)).concat().len()
    );
    group.throughput(Throughput::Bytes(page.bytes() as u64));
    group.bench_function("ours, Exposition::build with gzip, all six families", |bencher| {
        bencher.iter(|| Exposition::build(Arc::clone(snapshot), &all, None));
    });
    group.finish();
}

/// Compresses the whole exposition at several levels.
fn compress(criterion: &mut Criterion, snapshot: &Arc<Snapshot>) {
    for (name, metrics) in
        [("three gauges", "size,images,downloads"), ("six families", "size,images,downloads,created,updated,info")]
    {
        let options = Options { repository_metrics: metrics.parse().expect("known names"), ..Options::default() };
        let exposition = Exposition::build(Arc::clone(snapshot), &options, None);
        let room = PlainTextRoom::new(0);
        let body = response(b"", Some(&exposition), Format::Text, Encoding::Identity, &room).concat();
        let mut group = criterion.benchmark_group(format!("compress {name}"));
        group.throughput(Throughput::Bytes(body.len() as u64));
        for level in [1, 2, 3, 6] {
            measure(&mut group, &format!("gzip {level}"), || gzip(&body, level));
        }
        measure(&mut group, "zstd 1", || zstd::bulk::compress(&body, 1).expect("memory"));
        group.finish();
    }
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, compress: impl Fn() -> Vec<u8>) {
    println!("{name}: {} bytes", compress().len());
    group.bench_function(name, |bencher| bencher.iter(|| black_box(compress())));
}

fn gzip(body: &[u8], level: u32) -> Vec<u8> {
    let mut member = GzEncoder::new(Vec::new(), Compression::new(level));
    member.write_all(body).and_then(|()| member.finish()).expect("memory")
}

/// The same three families in the `prometheus` crate.
fn registry(snapshot: &Snapshot) -> Registry {
    let registry = Registry::new();
    let gauges = |family: &Family, value: fn(&Repository) -> Option<u64>| {
        let gauges = IntGaugeVec::new(Opts::new(family.name, family.help), family.labels).expect("valid names");
        for row in snapshot.repositories.iter() {
            if let Some(value) = value(&row.to_owned()).and_then(|value| i64::try_from(value).ok()) {
                gauges.with_label_values(&[&**row.namespace, row.name]).set(value);
            }
        }
        registry.register(Box::new(gauges)).expect("distinct names");
    };
    gauges(&catalog::REPOSITORY_SIZE, |row| row.size);
    gauges(&catalog::REPOSITORY_IMAGES, |row| row.images);
    gauges(&catalog::REPOSITORY_DOWNLOADS, |row| row.downloads);
    registry
}

/// A large account with realistic names and values, the same in every run.
fn snapshot() -> Snapshot {
    const TEAMS: [&str; 8] = ["payments", "search", "identity", "logistics", "ml", "edge", "platform", "web"];
    const PARTS: [&str; 8] = ["gateway", "worker", "api", "scheduler", "frontend", "migrate", "consumer", "proxy"];
    const CATEGORIES: [&str; 4] = ["linux", "other", "app_server", "database"];
    let mut seed = 7;
    let mut random = move || {
        // SplitMix64.
        seed += 0x9e37_79b9_7f4a_7c15_u64 & 0x7fff_ffff_ffff;
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let pick = |words: &[&'static str], number: u64| words[usize::try_from(number).unwrap_or(0) % words.len()];
    let namespaces: Vec<Arc<str>> =
        (0..NAMESPACES).map(|index| format!("{}-{index:03}", pick(&TEAMS, index)).into()).collect();
    let categories = CATEGORIES.map(Arc::<str>::from);
    let rows = (0..REPOSITORIES).map(|index| {
        let folder = if random() % 3 == 0 { "base/" } else { "" };
        let created = 1_500_000_000_000_000_000 + random() % 200_000_000_000_000_000;
        Repository {
            namespace: Arc::clone(&namespaces[usize::try_from(index % NAMESPACES).unwrap_or(0)]),
            name: format!("{folder}{}-{}-{index}", pick(&TEAMS, random()), pick(&PARTS, random())).into(),
            category: Some(Arc::clone(&categories[usize::try_from(random() % 4).unwrap_or(0)])),
            visibility: Some(if random() % 20 == 0 { Visibility::Public } else { Visibility::Private }),
            size: Some(random() % 20_000_000_000),
            images: Some(random() % 300),
            downloads: Some(random() % 1_000_000 / (1 + random() % 1_000)),
            created: i64::try_from(created).ok().map(Timestamp),
            updated: i64::try_from(created + random() % 50_000_000_000_000_000).ok().map(Timestamp),
        }
    });
    Snapshot::new(Timestamp(0), rows.collect()).0
}
