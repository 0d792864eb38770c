//! What rules would free, against a count by brute force: pushes, deletions, moves, indexes, digests with two sizes, tags
//! that age and restarts.

use super::tests::{only, restarted_at, update_with};
use super::*;
use crate::collect::fetch_task::FetchKind;
use crate::model::reading::ReadingOptions;
use crate::model::tags::{Blob, Contents, Digest32, Reclaimable, Tag};
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

const DAY: u32 = 86_400;
const REPOSITORIES: usize = 9;

/// A repository: tags by name, and what was ever known of images below its present indexes.
#[derive(Clone, Debug, Default)]
struct Repository {
    tags: BTreeMap<String, Tag>,
    remembered: BTreeMap<Digest32, BTreeSet<Blob>>,
    version: i64,
}

struct World {
    random: fastrand::Rng,
    repositories: Vec<Repository>,
    now: u32,
    pushes: u32,
}

fn digest(number: u32) -> Digest32 {
    let mut bytes = [3; 32];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    Digest32(bytes)
}

fn text(digest: Digest32) -> Box<str> {
    format!("sha256:{}", hex::encode(digest.0)).into()
}

fn name(index: usize) -> (&'static str, String) {
    (["a", "b", "c"][index % 3], format!("{index}"))
}

impl World {
    /// The contents of a manifest follow from its number.
    fn image(&mut self, repository: usize, number: u32) -> Contents {
        // Layers of four bases, of the repository, and of the image. Some responses contradict each other on a size.
        let base = number % 4;
        let of_base = (0..=base).map(|layer| 1_000 + base * 10 + layer);
        let shared = [2_000 + u32::try_from(repository).unwrap() * 10 + number % 3, 3_000 + number / 2];
        let blobs = of_base.chain(shared).map(|blob| {
            let two_sizes = blob % 7 == 0 && self.random.u8(..4) == 0;
            Blob { digest: digest(blob), size: u64::from(blob) * if two_sizes { 2 } else { 1 } }
        });
        Contents::Image(blobs.collect())
    }

    fn push(&mut self, repository: usize) {
        self.pushes += 1;
        let (number, now) = (self.pushes % 60, self.now);
        let digests: Vec<Digest32> =
            self.repositories[repository].tags.values().filter_map(|tag| Digest32::parse(&tag.digest)).collect();
        let (contents, own) = match self.random.u8(..10) {
            0 => (Contents::Unknown, digest(10_000 + number)),
            1..4 if !digests.is_empty() => {
                let listed = (0..3).map(|_| match self.random.u8(..5) {
                    0 => digest(20_000 + self.random.u32(..60)),
                    _ => digests[self.random.usize(..digests.len())],
                });
                (Contents::Index(listed.collect()), digest(30_000 + self.pushes))
            }
            _ => (self.image(repository, number), digest(20_000 + number)),
        };
        let at = Timestamp(i64::from(now) * 1_000_000_000 + i64::from(self.random.u32(..3)));
        let (updated, created) = match self.random.u8(..12) {
            0 => (None, None),
            1 => (None, Some(at)),
            _ => (Some(at), Some(Timestamp(at.0 - 5))),
        };
        let prefix = if self.random.u8(..8) == 0 { "keep-" } else { "v" };
        let name = format!("{prefix}{}", self.random.u8(..14));
        let tag = Tag { name: name.as_str().into(), digest: text(own), updated, created, contents, ..Tag::default() };
        self.repositories[repository].tags.insert(name, tag);
    }

    /// One change, or none but time. Returns the repository.
    fn step(&mut self) -> usize {
        let index = self.random.usize(..REPOSITORIES);
        self.now += match self.random.u8(..4) {
            0 => 0,
            1 => self.random.u32(..DAY * 2),
            _ => self.random.u32(..DAY / 4),
        };
        let random = self.random.u8(..20);
        let tags = &mut self.repositories[index].tags;
        match random {
            0 => tags.clear(),
            1..6 => drop(tags.pop_first()),
            6..8 => drop(tags.pop_last()),
            8 if tags.len() > 1 => {
                // A tag moves to the image of another.
                let (to, of) = (tags.values().next().unwrap().clone(), tags.keys().last().unwrap().clone());
                tags.insert(of.clone(), Tag { name: of.as_str().into(), ..to });
            }
            9 => return index,
            _ => self.push(index),
        }
        self.repositories[index].version += 1;
        index
    }

    fn listing(&self) -> Snapshot {
        let rows = self.repositories.iter().enumerate().map(|(index, repository)| {
            let (namespace, name) = name(index);
            crate::model::Repository {
                name: name.into(),
                updated: Some(Timestamp(repository.version)),
                ..crate::model::Repository::unknown(namespace.into())
            }
        });
        Snapshot::new(Timestamp(0), rows.collect()).0
    }
}

impl Repository {
    /// The blobs of an image below an index, and whether these are all: those of all tags with that digest, or those that
    /// are remembered. No index lists itself here.
    fn below(&self, digest: Digest32) -> (BTreeSet<Blob>, bool) {
        let tagged: Vec<&Tag> = self.tags.values().filter(|tag| tag.digest == text(digest)).collect();
        if tagged.is_empty() {
            return self.remembered.get(&digest).map(|blobs| (blobs.clone(), true)).unwrap_or_default();
        }
        let (mut blobs, mut is_whole) = (BTreeSet::new(), true);
        for tag in tagged {
            match &tag.contents {
                Contents::Unknown => is_whole = false,
                Contents::Image(parts) => blobs.extend(parts),
                Contents::Index(images) => {
                    for (below, is_known) in images.iter().map(|image| self.below(*image)) {
                        blobs.extend(below);
                        is_whole &= is_known;
                    }
                }
            }
        }
        (blobs, is_whole)
    }

    fn blobs(&self, tag: &Tag) -> BTreeSet<Blob> {
        match &tag.contents {
            Contents::Unknown => BTreeSet::new(),
            Contents::Image(parts) => parts.iter().copied().collect(),
            Contents::Index(images) => images.iter().flat_map(|image| self.below(*image).0).collect(),
        }
    }

    fn blobs_of_tags(&self) -> Vec<(&str, BTreeSet<Blob>)> {
        self.tags.values().map(|tag| (&*tag.name, self.blobs(tag))).collect()
    }

    /// Remembers what is below the indexes there are, and nothing else.
    fn remember(&mut self) {
        let mut open: Vec<Digest32> = Vec::new();
        for tag in self.tags.values() {
            if let Contents::Index(images) = &tag.contents {
                open.extend(images);
            }
        }
        let mut remembered = BTreeMap::new();
        while let Some(digest) = open.pop() {
            let (blobs, is_whole) = self.below(digest);
            if is_whole && remembered.insert(digest, blobs).is_none() {
                for tag in self.tags.values().filter(|tag| tag.digest == text(digest)) {
                    if let Contents::Index(images) = &tag.contents {
                        open.extend(images);
                    }
                }
            }
        }
        self.remembered = remembered;
    }

    fn picked(&self, rule: Rule, keep: &str, now: u32) -> BTreeSet<&str> {
        let dated = |tag: &&Tag| tag.updated.or(tag.created).is_some();
        let mut eligible: Vec<&Tag> =
            self.tags.values().filter(dated).filter(|tag| keep.is_empty() || !tag.name.starts_with(keep)).collect();
        eligible.sort_by_key(|tag| (tag.updated.or(tag.created), &tag.name));
        match rule {
            Rule::BeyondNewest { count } => eligible.iter().rev().skip(count as usize).map(|tag| &*tag.name).collect(),
            Rule::OlderThan { days } => {
                let limit = i64::from(now - days * DAY) * 1_000_000_000;
                let is_old = |tag: &&&Tag| tag.updated.or(tag.created).unwrap().0 <= limit;
                eligible.iter().filter(is_old).map(|tag| &*tag.name).collect()
            }
        }
    }
}

/// A repository's name, the number of picked tags, and the bytes.
type Row = (usize, usize, u128);

/// What a rule frees: in each repository with picked tags, in each organization, in all.
fn count(
    world: &World,
    blobs: &[Vec<(&str, BTreeSet<Blob>)>],
    rule: Rule,
    keep: &str,
) -> (Vec<Row>, BTreeMap<&'static str, u128>, u128) {
    // For each blob, who refers to it and whether anything there keeps it.
    let mut referring: BTreeMap<Blob, BTreeMap<usize, bool>> = BTreeMap::new();
    let mut picked = BTreeMap::new();
    for (index, repository) in world.repositories.iter().enumerate() {
        let names = repository.picked(rule, keep, world.now);
        for (tag, blobs) in &blobs[index] {
            for blob in blobs {
                *referring.entry(*blob).or_default().entry(index).or_default() |= !names.contains(tag);
            }
        }
        picked.insert(index, names.len());
    }
    let free = |within: &dyn Fn(usize) -> bool| {
        let blobs = referring.iter().filter(|(_, of)| of.iter().all(|(index, is_kept)| within(*index) && !is_kept));
        blobs.map(|(blob, _)| u128::from(blob.size)).sum::<u128>()
    };
    let rows = picked.into_iter().filter(|(_, tags)| *tags > 0);
    let rows = rows.map(|(index, tags)| (index, tags, free(&|other| other == index))).collect();
    let groups = ["a", "b", "c"].map(|group| (group, free(&|index| name(index).0 == group)));
    (rows, groups.into(), free(&|_| true))
}

fn shown(of_rule: &Reclaimable, listing: &Snapshot) -> (Vec<Row>, BTreeMap<&'static str, u128>, u128) {
    let rows = of_rule.repositories.iter().map(|here| {
        let name: usize = listing.repositories.iter().nth(here.index as usize).unwrap().name.parse().unwrap();
        (name, here.tags as usize, here.bytes.unwrap())
    });
    let mut rows: Vec<Row> = rows.collect();
    rows.sort_unstable();
    let groups = of_rule
        .namespaces
        .iter()
        .map(|(group, bytes)| (["a", "b", "c"][usize::from(group.as_bytes()[0] - b'a')], *bytes));
    (rows, groups.collect(), of_rule.bytes.unwrap())
}

#[tokio::test]
async fn ten_thousand_changes_of_tags_and_of_the_time_lose_no_byte() {
    let mut world = World {
        random: fastrand::Rng::with_seed(16),
        repositories: vec![Repository::default(); REPOSITORIES],
        now: 1_700_000_000,
        pushes: 0,
    };
    let rules = ["older_than_1d", "older_than_3d", "older_than_9d", "beyond_newest_1", "beyond_newest_3"];
    let mut options = TagOptions {
        full_interval: Duration::from_secs(u64::from(DAY) * 10_000),
        reclaim: Reclaim { rules: crate::model::reclaim::parse(rules).unwrap(), keep: None },
        ..only(FetchKind::Tags)
    };
    let mut inventory = TagInventory::default();
    let (mut keep, mut freed) = ("", 0);
    for step in 0..10_000 {
        let changed = world.step();
        match world.random.u16(..500) {
            0 => {
                let now = SystemTime::UNIX_EPOCH + Duration::from_secs(world.now.into());
                inventory = restarted_at(&inventory, now);
            }
            1 => {
                // Other settings.
                keep = if keep.is_empty() { "keep-" } else { "" };
                options.reclaim.keep = (!keep.is_empty()).then(|| format!("{keep}.*").parse().unwrap());
                let rules = world.random.usize(1..=rules.len());
                options.reclaim.rules = options.reclaim.rules.iter().rev().take(rules).copied().collect();
                if rules < 3 {
                    options.reclaim.rules = crate::model::reclaim::parse(["older_than_2d", "beyond_newest_4"]).unwrap();
                }
                inventory.adapt(&options);
            }
            _ => {}
        }
        let listing = world.listing();
        let plan = update_with(&mut inventory, &listing, &options, world.now);
        for task in plan.tasks {
            let subject = inventory.subject(&task).unwrap();
            let index: usize = subject.name.parse().unwrap();
            let tags = world.repositories[index].tags.values().cloned().collect();
            let reading =
                ReadingOptions { keep: options.reclaim.keep.as_ref(), indexed: &subject.indexed, with_series: false };
            inventory.store(&task, &subject, Fetched::Tags(Some(Reading::of(tags, &reading))), world.now);
            world.repositories[index].remember();
        }
        let images = inventory.images(&options, world.now);
        assert_eq!(images.reclaimable.len(), options.reclaim.rules.len());
        let blobs: Vec<_> = world.repositories.iter().map(Repository::blobs_of_tags).collect();
        for of_rule in &images.reclaimable {
            let counted = count(&world, &blobs, of_rule.rule, keep);
            freed += u32::from(counted.2 > 0);
            assert_eq!(shown(of_rule, &listing), counted, "{} after step {step} in {changed}", of_rule.rule);
        }
    }
    assert!(freed > 10_000, "the test says something: {freed}");
}
