//! The truth about tags, counted by brute force from the responses of the simulated API, without the exporter's code.

use crate::support::{Scrape, client, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;
use swr_simulator::{DEMO_TOKEN, Running};

/// A digest and its bytes.
type Blob = (String, u64);

/// One repository, counted from its tags.
#[derive(Debug, Default)]
pub struct Counted {
    pub tags: usize,
    pub unlayered: usize,
    pub blobs: BTreeSet<Blob>,
    pub updated: Vec<f64>,
    pub created: Vec<f64>,
    pub digests: BTreeMap<String, String>,
    /// Each tag: its name, its last update in nanoseconds since 1970, and its blobs.
    pub contents: Vec<(String, i128, BTreeSet<Blob>)>,
    /// The images below its indexes by digest. One that loses its tag later is still known.
    pub indexed: BTreeMap<String, BTreeSet<Blob>>,
}

/// All repositories by (organization, name).
pub type Truth = BTreeMap<(String, String), Counted>;

/// Reads the tags of every repository of the simulated account.
pub async fn truth(upstream: &Running) -> Truth {
    truth_after(upstream, &Truth::new()).await
}

/// As [`truth`], for an exporter that has seen an earlier state.
pub async fn truth_after(upstream: &Running, before: &Truth) -> Truth {
    let client = client();
    let mut truth = Truth::new();
    for repository in upstream.handle.repositories() {
        let (namespace, name) = (repository.namespace, repository.name);
        let path = format!("/v2/manage/namespaces/{namespace}/repos/{}/tags", name.replace('/', "$"));
        let mut tags: Vec<Value> = Vec::new();
        loop {
            let url = format!("{}{path}?offset={}&limit=100", upstream.url(), tags.len());
            let answer = client.get(url).header("X-Auth-Token", DEMO_TOKEN).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
            let page: Vec<Value> = serde_json::from_str(&text(answer).await).unwrap();
            let is_last = page.len() < 100;
            tags.extend(page);
            if is_last {
                break;
            }
        }
        let key = (namespace, name);
        let known = before.get(&key).map(|counted| counted.indexed.clone()).unwrap_or_default();
        truth.insert(key, count(&tags, &known));
    }
    truth
}

fn count(tags: &[Value], known: &BTreeMap<String, BTreeSet<Blob>>) -> Counted {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut counted = Counted { tags: tags.len(), ..Counted::default() };
    let manifest = |tag: &Value| serde_json::from_str::<Value>(tag["manifest"].as_str().unwrap()).unwrap_or_default();
    let mut images: BTreeMap<String, BTreeSet<Blob>> = known.clone();
    for tag in tags {
        counted.updated.push(seconds(tag["updated"].as_str().unwrap()));
        counted.created.push(seconds(tag["created"].as_str().unwrap()));
        counted.digests.insert(text(&tag["Tag"]), text(&tag["digest"]));
        let manifest = manifest(tag);
        if let Some(layers) = manifest["layers"].as_array() {
            let blobs = layers.iter().chain([&manifest["config"]]);
            let blobs = blobs.map(|blob| (text(&blob["digest"]), blob["size"].as_u64().unwrap()));
            images.insert(text(&tag["digest"]), blobs.collect());
        }
    }
    for tag in tags {
        let (manifest, mut blobs) = (manifest(tag), BTreeSet::new());
        if manifest["layers"].is_array() {
            blobs.clone_from(&images[tag["digest"].as_str().unwrap()]);
        } else if let Some(listed) = manifest["manifests"].as_array() {
            let real = listed.iter().filter(|image| image["platform"]["os"] != "unknown");
            let digests: Vec<String> = real.map(|image| text(&image["digest"])).collect();
            let is_known = |digest: &String| {
                images.contains_key(digest) || counted.digests.values().any(|tagged| tagged == digest)
            };
            counted.unlayered += usize::from(!digests.iter().all(is_known));
            for (digest, below) in digests.iter().filter_map(|digest| images.get_key_value(digest)) {
                blobs.extend(below.iter().cloned());
                counted.indexed.insert(digest.clone(), below.clone());
            }
        } else {
            counted.unlayered += 1;
        }
        counted.blobs.extend(blobs.iter().cloned());
        let updated: jiff::Timestamp = tag["updated"].as_str().unwrap().parse().unwrap();
        counted.contents.push((text(&tag["Tag"]), updated.as_nanosecond(), blobs));
    }
    counted
}

/// A rule of the default settings, and the tags of a repository that it picks.
pub type PickedBy = (&'static str, fn(&Counted) -> BTreeSet<&str>);

pub const RULES: [PickedBy; 2] = [
    ("older_than_90d", |counted| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        let limit = i128::try_from(now).unwrap() - 90 * 86_400 * 1_000_000_000;
        counted.contents.iter().filter(|(_, updated, _)| *updated <= limit).map(|(name, ..)| &**name).collect()
    }),
    ("beyond_newest_10", |counted| {
        let mut all: Vec<(i128, &str)> =
            counted.contents.iter().map(|(name, updated, _)| (*updated, &**name)).collect();
        all.sort_unstable();
        all.into_iter().rev().skip(10).map(|(_, name)| name).collect()
    }),
];

/// The bytes of the blobs that only picked tags within a part of the account refer to.
pub fn reclaimable(truth: &Truth, picked: PickedBy, is_within: impl Fn(&(String, String)) -> bool) -> f64 {
    let mut kept: BTreeSet<&Blob> = BTreeSet::new();
    let mut freed: BTreeSet<&Blob> = BTreeSet::new();
    for (key, counted) in truth {
        let names = picked.1(counted);
        for (name, _, blobs) in &counted.contents {
            if is_within(key) && names.contains(&**name) { &mut freed } else { &mut kept }.extend(blobs);
        }
    }
    bytes(freed.difference(&kept).copied())
}

fn seconds(time: &str) -> f64 {
    let time: jiff::Timestamp = time.parse().unwrap();
    // Parsed from text, so that it is rounded as the scrape's value is.
    format!("{}.{:09}", time.as_second(), time.subsec_nanosecond()).parse().unwrap()
}

fn bytes<'a>(blobs: impl IntoIterator<Item = &'a Blob>) -> f64 {
    blobs.into_iter().collect::<BTreeSet<_>>().into_iter().map(|(_, bytes)| *bytes as f64).sum()
}

/// Asserts that a scrape matches the truth.
pub fn check(scrape: &Scrape, truth: &Truth) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let mut owners: BTreeMap<&Blob, usize> = BTreeMap::new();
    for blob in truth.values().flat_map(|counted| &counted.blobs) {
        *owners.entry(blob).or_default() += 1;
    }
    for ((namespace, name), counted) in truth {
        let labels = [("namespace", namespace.as_str()), ("repository", name.as_str())];
        let value = |family: &str| scrape.value(family, &labels);
        let of = format!("{namespace}/{name}");
        assert_eq!(value("swr_repository_tags_read"), Some(counted.tags as f64), "{of}");
        let unlayered = (counted.unlayered > 0).then_some(counted.unlayered as f64);
        assert_eq!(value("swr_repository_unlayered_tags"), unlayered, "{of}");
        assert_eq!(value("swr_repository_unique_layer_bytes"), Some(bytes(&counted.blobs)), "{of}");
        let alone = counted.blobs.iter().filter(|blob| owners[blob] == 1);
        assert_eq!(value("swr_repository_exclusive_layer_bytes"), Some(bytes(alone)), "{of}");
        let newest = counted.updated.iter().copied().reduce(f64::max);
        let oldest = counted.updated.iter().copied().reduce(f64::min);
        assert_eq!(value("swr_repository_newest_tag_timestamp_seconds"), newest, "{of}");
        assert_eq!(value("swr_repository_oldest_tag_timestamp_seconds"), oldest, "{of}");
        let classes =
            [("7d", 0.0, 7.0), ("30d", 7.0, 30.0), ("90d", 30.0, 90.0), ("365d", 90.0, 365.0), ("older", 365.0, 1e9)];
        for (age, from, to) in classes {
            let days = |updated: &&f64| ((now - **updated) / 86_400.0).max(0.0);
            let within = counted.updated.iter().filter(|updated| (from..to).contains(&days(updated))).count();
            let labels = [labels[0], labels[1], ("age", age)];
            assert_eq!(scrape.value("swr_repository_tags_by_age", &labels), Some(within as f64), "{of} {age}");
        }
    }
    assert_eq!(scrape.series("swr_repository_tags_read").len(), truth.len());
    let namespaces: BTreeSet<&String> = truth.keys().map(|(namespace, _)| namespace).collect();
    for picked in RULES {
        check_rule(scrape, truth, &namespaces, picked);
    }
    for namespace in namespaces {
        let of = truth.iter().filter(|((other, _), _)| other == namespace).flat_map(|(_, counted)| &counted.blobs);
        let shown = scrape.value("swr_namespace_unique_layer_bytes", &[("namespace", namespace)]);
        assert_eq!(shown, Some(bytes(of)), "{namespace}");
    }
    assert_eq!(scrape.get("swr_unique_layer_bytes"), Some(bytes(owners.into_keys())));
}

fn check_rule(scrape: &Scrape, truth: &Truth, namespaces: &BTreeSet<&String>, picked: PickedBy) {
    let rule = ("rule", picked.0);
    for (key, counted) in truth {
        let labels = [("namespace", key.0.as_str()), ("repository", key.1.as_str()), rule];
        let tags = Some(picked.1(counted).len() as f64).filter(|tags| *tags > 0.0);
        assert_eq!(scrape.value("swr_repository_reclaimable_tags", &labels), tags, "{key:?} {rule:?}");
        let bytes = tags.map(|_| reclaimable(truth, picked, |other| other == key)).filter(|bytes| *bytes > 0.0);
        assert_eq!(scrape.value("swr_repository_reclaimable_layer_bytes", &labels), bytes, "{key:?} {rule:?}");
    }
    for namespace in namespaces {
        let bytes = reclaimable(truth, picked, |(other, _)| other == *namespace);
        let shown = scrape.value("swr_namespace_reclaimable_layer_bytes", &[("namespace", namespace), rule]);
        assert_eq!(shown, Some(bytes), "{namespace} {rule:?}");
    }
    let all = reclaimable(truth, picked, |_| true);
    assert_eq!(scrape.value("swr_reclaimable_layer_bytes", &[rule]), Some(all), "{rule:?}");
}
