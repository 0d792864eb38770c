//! The layer index against sums that are counted by hand.

use super::*;
use crate::model::tags::Digest32;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};

fn blob(number: u16) -> Blob {
    let mut digest = [7; 32];
    digest[..2].copy_from_slice(&number.to_le_bytes());
    Blob { digest: Digest32(digest), size: u64::from(number % 97) + 1 }
}

/// The number of rules in these tests.
const RULES: usize = 3;

/// Computes the same sums from the lists alone.
#[derive(Default)]
struct ByHand(BTreeMap<Owner, (Group, BTreeSet<Blob>)>, BTreeMap<(Owner, usize), BTreeSet<Blob>>);

impl ByHand {
    fn sum<'a>(blobs: impl IntoIterator<Item = &'a Blob>) -> u128 {
        blobs.into_iter().collect::<BTreeSet<_>>().into_iter().map(|blob| u128::from(blob.size)).sum()
    }

    fn unique(&self, owner: Owner) -> u128 {
        self.0.get(&owner).map_or(0, |(_, blobs)| Self::sum(blobs))
    }

    fn exclusive(&self, owner: Owner) -> u128 {
        let others: BTreeSet<_> =
            self.0.iter().filter(|(other, _)| **other != owner).flat_map(|(_, (_, blobs))| blobs).collect();
        self.0.get(&owner).map_or(0, |(_, blobs)| Self::sum(blobs.iter().filter(|blob| !others.contains(blob))))
    }

    /// Bytes of the blobs that only repositories of one owner, of one organization, or any repositories refer to, and none
    /// of them keeps.
    fn reclaimable(&self, rule: usize) -> ([u128; 12], [u128; 3], u128) {
        let mut referring: HashMap<&Blob, Vec<(Owner, Group)>> = HashMap::new();
        for (owner, (group, blobs)) in &self.0 {
            blobs.iter().for_each(|blob| referring.entry(blob).or_default().push((*owner, *group)));
        }
        let is_picked = |owner: Owner, blob: &Blob| self.1.get(&(owner, rule)).is_some_and(|of| of.contains(blob));
        let (mut owners, mut groups, mut all) = ([0; 12], [0; 3], 0);
        for (blob, referring) in referring {
            if referring.iter().all(|(owner, _)| is_picked(*owner, blob)) {
                let (owner, group) = referring[0];
                let size = u128::from(blob.size);
                all += size;
                groups[group as usize] += if referring.iter().all(|(_, other)| *other == group) { size } else { 0 };
                owners[owner as usize] += if referring.len() == 1 { size } else { 0 };
            }
        }
        (owners, groups, all)
    }

    fn of_group(&self, group: Group) -> u128 {
        Self::sum(self.0.values().filter(|(of, _)| *of == group).flat_map(|(_, blobs)| blobs))
    }
}

/// One change: a repository, its organization (which may change), and its new blobs; `None` removes it.
///
/// Then rules pick blobs of some repository: these of a hundred parts.
type Step = (Owner, Group, Option<Vec<u16>>, (Owner, [u32; RULES]));

fn follow(steps: impl IntoIterator<Item = Step>) {
    let (mut layers, mut truth) = (Layers::default(), ByHand::default());
    layers.set_rules(RULES);
    for (number, (owner, group, blobs, (picking, parts))) in steps.into_iter().enumerate() {
        truth.1.retain(|(of, _), _| *of != owner);
        match blobs {
            Some(blobs) => {
                let blobs: Vec<Blob> = blobs.into_iter().map(blob).collect();
                let unique: Vec<Blob> = blobs.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
                let expected = layers.len_with(owner, &unique);
                layers.set(owner, group, &blobs);
                assert_eq!(layers.len(), expected, "after step {number}");
                truth.0.insert(owner, (group, blobs.into_iter().collect()));
            }
            None => {
                layers.release(owner);
                truth.0.remove(&owner);
            }
        }
        let held: Vec<Blob> = layers.blobs(picking).collect();
        for (rule, part) in parts.into_iter().enumerate() {
            let picked = held.len() * part as usize / 100;
            layers.pick(picking, rule, u32::try_from(picked).unwrap());
            truth.1.insert((picking, rule), held[..picked].iter().copied().collect());
        }
        if number % 20 == 19 {
            // The rules are set again, and pick the same as before.
            layers.set_rules(RULES);
            for ((owner, rule), blobs) in &truth.1 {
                layers.pick(*owner, *rule, u32::try_from(blobs.len()).unwrap());
            }
        }
        for owner in 0..12 {
            assert_eq!(layers.unique(owner), truth.unique(owner), "unique of {owner} after step {number}");
            assert_eq!(layers.exclusive(owner), truth.exclusive(owner), "exclusive of {owner} after step {number}");
            let held: BTreeSet<Blob> = layers.blobs(owner).collect();
            assert_eq!(held, truth.0.get(&owner).map(|(_, blobs)| blobs.clone()).unwrap_or_default());
        }
        for rule in 0..RULES {
            let owners = std::array::from_fn(|owner| layers.reclaimable(u32::try_from(owner).unwrap(), rule));
            let groups = std::array::from_fn(|group| layers.reclaimable_in_group(u32::try_from(group).unwrap(), rule));
            let counted = (owners, groups, layers.reclaimable_in_all(rule));
            assert_eq!(counted, truth.reclaimable(rule), "rule {rule} after step {number}");
        }
        for group in 0..3 {
            assert_eq!(layers.of_group(group), truth.of_group(group), "group {group} after step {number}");
        }
        let all: BTreeSet<_> = truth.0.values().flat_map(|(_, blobs)| blobs).collect();
        assert_eq!((layers.total(), layers.len()), (ByHand::sum(all.iter().copied()), all.len()));
        let pairs = layers.of_groups.len();
        assert!(layers.shared.len() <= pairs);
        assert!(all.len() < 2 || pairs <= all.len() * 3, "{pairs} counts for {} blobs", all.len());
    }
}

fn step() -> impl Strategy<Value = Step> {
    let blobs = proptest::option::weighted(0.8, proptest::collection::vec(0u16..60, 0..25));
    (0u32..12, 0u32..3, blobs, (0u32..12, proptest::array::uniform3(0u32..=100)))
}

proptest! {
    #[test]
    fn bytes_are_those_that_are_counted_by_hand(steps in proptest::collection::vec(step(), 1..60)) {
        follow(steps);
    }
}

#[test]
fn slots_are_reused() {
    let mut layers = Layers::default();
    for round in 0..50u16 {
        let blobs: Vec<Blob> = (0..1_000).map(|number| blob(round * 1_000 + number)).collect();
        layers.set(0, 0, &blobs);
    }
    assert!(layers.store.slots() <= 2_000);
    layers.release(0);
    assert!(layers.is_empty() && layers.total() == 0 && layers.of_groups.is_empty() && layers.shared.is_empty());
}

#[test]
fn sums_of_absurd_sizes_do_not_overflow() {
    let mut layers = Layers::default();
    let huge: Vec<Blob> = (0..100).map(|number| Blob { size: u64::MAX, ..blob(number) }).collect();
    layers.set(0, 0, &huge);
    assert_eq!(layers.total(), u128::from(u64::MAX) * 100);
}
