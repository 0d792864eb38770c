//! Which blobs are referred to by which repositories, so that stored bytes are counted once: exact, and kept up as
//! repositories change.
//!
//! A change to one repository costs in proportion to its own blobs. What makes that possible for the exclusive bytes of
//! the *others* is that a blob knows how many repositories refer to it and the exclusive-or of their numbers: when one
//! of two lets go, what is left of that is the number of the last one, to whom the blob now belongs alone.
//!
//! Sums per organisation need counts of their own only for blobs of several repositories; a blob of one is its
//! repository's, and so its organisation's.
//!
//! Memory: 48 bytes for each distinct blob and 6 to 11 for finding it, 4 for each reference, 64 a repository, some 30 for
//! each pair of an organisation and a blob of several repositories.

use super::tags::Blob;
use hashbrown::HashTable;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// The number of a repository, chosen by the caller; small, because there is a place for each up to the largest.
pub type Owner = u32;

/// The number of an organisation, chosen by the caller; small as well.
pub type Group = u32;

/// Blobs a chunk of the store has: growing it moves none.
const CHUNK: usize = 1 << 14;

#[derive(Clone, Copy, Debug)]
struct Entry {
    blob: Blob,
    /// Repositories that refer to it; 0 for a place that is free.
    owners: u32,
    /// Exclusive-or of their numbers.
    mixed: Owner,
}

#[derive(Clone, Debug, Default)]
struct Owned {
    group: Group,
    /// Places of its blobs, sorted.
    blobs: Box<[u32]>,
    unique: u128,
    exclusive: u128,
}

/// The index.
#[derive(Debug, Default)]
pub struct Layers {
    places: HashTable<u32>,
    hasher: RandomState,
    entries: Vec<Vec<Entry>>,
    free: Vec<u32>,
    owners: Vec<Owned>,
    /// How many repositories of an organisation refer to a blob, for blobs of several repositories.
    shared: HashMap<(Group, u32), u32>,
    groups: Vec<u128>,
    total: u128,
}

impl Layers {
    /// Says what a repository refers to now; what it referred to before no longer counts. Repeated blobs count once.
    pub fn set(&mut self, owner: Owner, group: Group, blobs: &[Blob]) {
        if self.owners.len() <= owner as usize {
            self.owners.resize_with(owner as usize + 1, Owned::default);
        }
        if self.groups.len() <= group as usize {
            self.groups.resize(group as usize + 1, 0);
        }
        if self.owners[owner as usize].group != group {
            self.release(owner);
            self.owners[owner as usize].group = group;
        }
        let mut after: Vec<u32> = blobs.iter().map(|blob| self.place_of(*blob)).collect();
        after.sort_unstable();
        after.dedup();
        let before = std::mem::take(&mut self.owners[owner as usize].blobs);
        // What is kept is never let go, so that its place stays the same.
        for place in difference(&after, &before) {
            self.take(owner, place);
        }
        for place in difference(&before, &after) {
            self.let_go(owner, place);
        }
        self.owners[owner as usize].blobs = after.into();
    }

    /// The repository refers to nothing any more.
    pub fn release(&mut self, owner: Owner) {
        let Some(owned) = self.owners.get_mut(owner as usize) else { return };
        for place in std::mem::take(&mut owned.blobs) {
            self.let_go(owner, place);
        }
    }

    /// Bytes of the distinct blobs that the repository refers to.
    pub fn unique(&self, owner: Owner) -> u128 {
        self.owners.get(owner as usize).map_or(0, |owned| owned.unique)
    }

    /// Of these, the bytes that no other repository refers to.
    pub fn exclusive(&self, owner: Owner) -> u128 {
        self.owners.get(owner as usize).map_or(0, |owned| owned.exclusive)
    }

    /// Bytes of the distinct blobs of an organisation.
    pub fn of_group(&self, group: Group) -> u128 {
        self.groups.get(group as usize).copied().unwrap_or_default()
    }

    /// Bytes of all distinct blobs.
    pub fn total(&self) -> u128 {
        self.total
    }

    /// Distinct blobs.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many distinct blobs there would be if the repository referred to these, which are sorted and each once.
    pub fn len_with(&self, owner: Owner, blobs: &[Blob]) -> usize {
        let held = self.owners.get(owner as usize).map_or(&[][..], |owned| &owned.blobs).iter();
        let leaving = held.map(|place| self.entry(*place)).filter(|entry| entry.owners == 1);
        let leaving = leaving.filter(|entry| blobs.binary_search(&entry.blob).is_err()).count();
        let coming = blobs.iter().filter(|blob| self.find(hash_of(&self.hasher, blob), blob).is_none()).count();
        self.len() - leaving + coming
    }

    /// The blobs that a repository refers to, each once.
    pub fn blobs(&self, owner: Owner) -> impl ExactSizeIterator<Item = Blob> + '_ {
        let blobs = self.owners.get(owner as usize).map_or(&[][..], |owned| &owned.blobs);
        blobs.iter().map(|place| self.entry(*place).blob)
    }

    /// Where the blob stands, after it was put there if need be.
    fn place_of(&mut self, blob: Blob) -> u32 {
        let hash = hash_of(&self.hasher, &blob);
        if let Some(place) = self.find(hash, &blob) {
            return place;
        }
        let entry = Entry { blob, owners: 0, mixed: 0 };
        let place = match self.free.pop() {
            Some(place) => {
                *self.entry_mut(place) = entry;
                place
            }
            None => {
                if self.entries.last().is_none_or(|chunk| chunk.len() == CHUNK) {
                    self.entries.push(Vec::with_capacity(CHUNK));
                }
                let chunks = self.entries.len();
                let chunk = self.entries.last_mut().expect("one was put there if there was none");
                chunk.push(entry);
                u32::try_from((chunks - 1) * CHUNK + chunk.len() - 1).expect("memory ends before 2^32 blobs do")
            }
        };
        let (entries, hasher) = (&self.entries, &self.hasher);
        let at = |place: &u32| hash_of(hasher, &entries[*place as usize / CHUNK][*place as usize % CHUNK].blob);
        self.places.insert_unique(hash, place, at);
        place
    }

    fn find(&self, hash: u64, blob: &Blob) -> Option<u32> {
        self.places.find(hash, |place| self.entry(*place).blob == *blob).copied()
    }

    fn entry(&self, place: u32) -> &Entry {
        &self.entries[place as usize / CHUNK][place as usize % CHUNK]
    }

    fn entry_mut(&mut self, place: u32) -> &mut Entry {
        &mut self.entries[place as usize / CHUNK][place as usize % CHUNK]
    }

    /// A repository that did not refer to a blob does now.
    fn take(&mut self, owner: Owner, place: u32) {
        let group = self.owners[owner as usize].group;
        let entry = self.entry_mut(place);
        let (size, last) = (u128::from(entry.blob.size), entry.mixed);
        entry.owners += 1;
        entry.mixed ^= owner;
        match entry.owners {
            1 => {
                self.total += size;
                self.groups[group as usize] += size;
                self.owners[owner as usize].exclusive += size;
            }
            owners => {
                if owners == 2 {
                    let other = &mut self.owners[last as usize];
                    other.exclusive -= size;
                    self.shared.insert((other.group, place), 1);
                }
                let of_group = self.shared.entry((group, place)).or_default();
                *of_group += 1;
                if *of_group == 1 {
                    self.groups[group as usize] += size;
                }
            }
        }
        self.owners[owner as usize].unique += size;
    }

    /// A repository that referred to a blob no longer does.
    fn let_go(&mut self, owner: Owner, place: u32) {
        let group = self.owners[owner as usize].group;
        let entry = self.entry_mut(place);
        entry.owners -= 1;
        entry.mixed ^= owner;
        let Entry { blob, owners, mixed } = *entry;
        let size = u128::from(blob.size);
        self.owners[owner as usize].unique -= size;
        if owners == 0 {
            self.total -= size;
            self.groups[group as usize] -= size;
            self.owners[owner as usize].exclusive -= size;
            self.forget(place);
            return;
        }
        let of_group = self.shared.get_mut(&(group, place)).expect("a blob of several repositories is counted");
        *of_group -= 1;
        if *of_group == 0 {
            self.groups[group as usize] -= size;
            self.shared.remove(&(group, place));
        }
        if owners == 1 {
            let last = &mut self.owners[mixed as usize];
            last.exclusive += size;
            self.shared.remove(&(last.group, place));
        }
    }

    fn forget(&mut self, place: u32) {
        let hash = hash_of(&self.hasher, &self.entry(place).blob);
        if let Ok(found) = self.places.find_entry(hash, |other| *other == place) {
            found.remove();
        }
        self.free.push(place);
    }
}

/// Keyed, because digests come from outside; the first half is random enough.
fn hash_of(hasher: &RandomState, blob: &Blob) -> u64 {
    hasher.hash_one(&blob.digest.0[..16])
}

/// What is in `a` and not in `b`, both sorted.
fn difference(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut rest = b.iter().peekable();
    a.iter()
        .copied()
        .filter(|place| {
            while rest.next_if(|other| **other < *place).is_some() {}
            rest.peek() != Some(&place)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tags::Digest32;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn blob(number: u16) -> Blob {
        let mut digest = [7; 32];
        digest[..2].copy_from_slice(&number.to_le_bytes());
        Blob { digest: Digest32(digest), size: u64::from(number % 97) + 1 }
    }

    /// Counts the same from nothing but the lists, as one would by hand.
    #[derive(Default)]
    struct ByHand(BTreeMap<Owner, (Group, BTreeSet<Blob>)>);

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

        fn of_group(&self, group: Group) -> u128 {
            Self::sum(self.0.values().filter(|(of, _)| *of == group).flat_map(|(_, blobs)| blobs))
        }
    }

    /// One change: a repository, its organisation (which may change), and its blobs from now on; none lets it go.
    type Step = (Owner, Group, Option<Vec<u16>>);

    fn follow(steps: impl IntoIterator<Item = Step>, mut check: impl FnMut(usize) -> bool) {
        let (mut layers, mut truth) = (Layers::default(), ByHand::default());
        for (number, (owner, group, blobs)) in steps.into_iter().enumerate() {
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
            if !check(number) {
                continue;
            }
            for owner in 0..12 {
                assert_eq!(layers.unique(owner), truth.unique(owner), "unique of {owner} after step {number}");
                assert_eq!(layers.exclusive(owner), truth.exclusive(owner), "exclusive of {owner} after step {number}");
                let held: BTreeSet<Blob> = layers.blobs(owner).collect();
                assert_eq!(held, truth.0.get(&owner).map(|(_, blobs)| blobs.clone()).unwrap_or_default());
            }
            for group in 0..3 {
                assert_eq!(layers.of_group(group), truth.of_group(group), "group {group} after step {number}");
            }
            let all: BTreeSet<_> = truth.0.values().flat_map(|(_, blobs)| blobs).collect();
            assert_eq!((layers.total(), layers.len()), (ByHand::sum(all.iter().copied()), all.len()));
            let pairs = layers.shared.len();
            assert!(all.len() < 2 || pairs <= all.len() * 3, "{pairs} counts for {} blobs", all.len());
        }
    }

    fn step() -> impl Strategy<Value = Step> {
        (0u32..12, 0u32..3, proptest::option::weighted(0.8, proptest::collection::vec(0u16..60, 0..25)))
    }

    proptest! {
        #[test]
        fn bytes_are_those_that_are_counted_by_hand(steps in proptest::collection::vec(step(), 1..60)) {
            follow(steps, |_| true);
        }
    }

    #[test]
    fn ten_thousand_pushes_deletions_and_moves_of_tags_lose_no_byte() {
        let mut random = fastrand::Rng::with_seed(11);
        // Repositories as sets of tags, each tag a list of blobs; a step changes one tag or a whole repository.
        let mut tags: Vec<BTreeMap<u8, Vec<u16>>> = vec![BTreeMap::new(); 12];
        let mut image = {
            let mut random = fastrand::Rng::with_seed(12);
            move |repository: u16| -> Vec<u16> {
                let base = random.u16(..4);
                let shared = (0..1 + base).map(|layer| base * 10 + layer);
                shared.chain((0..3).map(|_| 100 + repository * 8 + random.u16(..12))).collect()
            }
        };
        let steps: Vec<Step> = (0..10_000)
            .map(|_| {
                let owner = random.u32(..12);
                let mine = &mut tags[owner as usize];
                match random.u8(..20) {
                    0 => mine.clear(),
                    1..6 => drop(mine.pop_first()),
                    6..9 if mine.len() > 1 => {
                        // One tag is moved to what another one names.
                        let to = mine.values().next().unwrap().clone();
                        *mine.values_mut().last().unwrap() = to;
                    }
                    _ => drop(mine.insert(random.u8(..8), image(u16::try_from(owner).unwrap()))),
                }
                let blobs = (!mine.is_empty()).then(|| mine.values().flatten().copied().collect());
                (owner, owner % 3, blobs)
            })
            .collect();
        follow(steps, |number| number % 7 == 0 || number > 9_900);
    }

    #[test]
    fn places_are_used_again() {
        let mut layers = Layers::default();
        for round in 0..50u16 {
            let blobs: Vec<Blob> = (0..1_000).map(|number| blob(round * 1_000 + number)).collect();
            layers.set(0, 0, &blobs);
        }
        assert!(layers.entries.iter().map(Vec::len).sum::<usize>() <= 2_000);
        layers.release(0);
        assert!(layers.is_empty() && layers.total() == 0 && layers.shared.is_empty());
    }

    #[test]
    fn sums_of_absurd_sizes_do_not_overflow() {
        let mut layers = Layers::default();
        let huge: Vec<Blob> = (0..100).map(|number| Blob { size: u64::MAX, ..blob(number) }).collect();
        layers.set(0, 0, &huge);
        assert_eq!(layers.total(), u128::from(u64::MAX) * 100);
    }
}
