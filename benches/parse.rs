//! Parsing a page of the listing: our parser, which skips unneeded keys, against serde_json into a struct of the whole row.
//!
//! `cargo bench --bench parse`
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark measures real time and prints it")]

use criterion::{Criterion, Throughput};
use serde::Deserialize;
use std::hint::black_box;
use std::time::Duration;
use swr_exporter::swr::ApiError;
use swr_exporter::swr::json_array::JsonArraySplitter;
use swr_exporter::swr::wire::{self, DroppedFields, StringInterner};

const ROWS: usize = 1000;

fn main() {
    let mut criterion = Criterion::default()
        .measurement_time(Duration::from_secs(3))
        .warm_up_time(Duration::from_secs(1))
        .configure_from_args();
    for (name, tags) in [("3 tags a row", 3), ("300 tags a row", 300)] {
        let page = page(tags);
        println!("a page of {ROWS} rows with {name}: {} bytes", page.len());
        let mut group = criterion.benchmark_group(format!("parse a page, {name}"));
        group.throughput(Throughput::Bytes(page.len() as u64));
        group.bench_function("ours, in chunks of 16 KiB", |bencher| bencher.iter(|| ours(black_box(page.as_bytes()))));
        group.bench_function("serde_json, whole rows", |bencher| {
            bencher.iter(|| serde_json::from_slice::<Vec<Row>>(black_box(page.as_bytes())).expect("a page").len());
        });
        group.finish();
    }
    criterion.final_summary();
}

/// Parses like the client.
fn ours(page: &[u8]) -> usize {
    let (mut splitter, mut interner, mut dropped) =
        (JsonArraySplitter::default(), StringInterner::default(), DroppedFields::default());
    let mut rows = Vec::new();
    for piece in page.chunks(16 << 10) {
        splitter
            .feed(piece, |object: &[u8]| {
                rows.extend(wire::repository(object, &mut interner, &mut dropped)?.repository);
                Ok::<_, ApiError>(())
            })
            .expect("a page");
    }
    splitter.finish().expect("a whole page");
    assert_eq!(rows.len(), ROWS);
    rows.len()
}

fn page(tags: usize) -> String {
    let rows = (0..ROWS).map(|index| {
        serde_json::json!({
            "name": format!("team/service-{index:05}"), "namespace": format!("organization-{}", index % 7),
            "category": "app_server", "description": "a service \"of ours\"", "size": 1_304_902_u64 * index as u64,
            "is_public": false, "num_images": tags, "num_download": index * 31,
            "created_at": "2017-01-01T00:00:00Z", "updated_at": "2017-09-11T03:00:02.542841141Z", "logo": "", "url": "",
            "path": format!("swr.cn-north-4.myhuaweicloud.com/organization-{}/team/service-{index:05}", index % 7),
            "internal_path": format!("100.125.0.198:20202/organization-{}/team/service-{index:05}", index % 7),
            "domain_name": "demo", "tags": (0..tags).map(|tag| format!("v1.{tag}.0")).collect::<Vec<_>>(),
            "status": false, "total_range": 100_000,
        })
        .to_string()
    });
    format!("[{}]", rows.collect::<Vec<_>>().join(","))
}

/// A row with every documented key.
#[derive(Deserialize)]
#[allow(dead_code, reason = "only parsed")]
struct Row {
    name: String,
    namespace: String,
    category: String,
    description: String,
    size: u64,
    is_public: bool,
    num_images: u64,
    num_download: u64,
    created_at: String,
    updated_at: String,
    logo: String,
    url: String,
    path: String,
    internal_path: String,
    domain_name: String,
    tags: Vec<String>,
    status: bool,
    total_range: u64,
}
