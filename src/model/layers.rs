//! An index of blobs and the repositories that refer to them. It counts stored bytes once, exactly, as repositories change.
//!
//! A change of one repository costs time in proportion to its own blobs. The exclusive bytes of *other* repositories follow
//! because each blob stores how many repositories refer to it and the exclusive-or of their numbers: once a single owner is
//! left, that is its number.
//!
//! Sums per organization need separate counts only for blobs of several repositories.
//!
//! Memory: 54 to 59 bytes for each distinct blob, 4 for each reference, 64 for each repository, some 30 for each pair of an
//! organization and a blob of several repositories.

use super::tags::Blob;
use hashbrown::HashTable;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// The number of a repository, chosen by the caller. Small: memory is taken for each number up to the largest.
pub type Owner = u32;

/// The number of an organization, chosen by the caller; small as well.
pub type Group = u32;

/// Blobs in a chunk of the store. It grows by chunks, so that no blob is moved.
const CHUNK: usize = 1 << 14;

#[derive(Clone, Copy, Debug)]
struct Entry {
    blob: Blob,
    /// The number of repositories that refer to it; 0 for a free slot.
    owners: u32,
    /// The exclusive-or of their numbers.
    owners_xor: Owner,
}

#[derive(Clone, Debug, Default)]
struct Owned {
    group: Group,
    /// The slots of its blobs, sorted.
    blobs: Box<[u32]>,
    unique: u128,
    exclusive: u128,
}

/// The index.
#[derive(Debug, Default)]
pub struct Layers {
    slots: HashTable<u32>,
    hasher: RandomState,
    entries: Vec<Vec<Entry>>,
    free: Vec<u32>,
    owners: Vec<Owned>,
    /// The number of repositories of an organization that refer to a blob, for blobs of several repositories.
    shared: HashMap<(Group, u32), u32>,
    groups: Vec<u128>,
    total: u128,
}

impl Layers {
    /// Bytes a distinct blob with its references takes, measured by `cargo bench --bench tags`.
    pub const BYTES: usize = 64;

    /// Sets the blobs of a repository, in slot of its earlier ones. Repeated blobs count once.
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
        let mut after: Vec<u32> = blobs.iter().map(|blob| self.slot_of(*blob)).collect();
        after.sort_unstable();
        after.dedup();
        let before = std::mem::take(&mut self.owners[owner as usize].blobs);
        // New blobs are added before old ones are removed, so that the slots of others stay the same.
        for slot in difference(&after, &before) {
            self.add_reference(owner, slot);
        }
        for slot in difference(&before, &after) {
            self.remove_reference(owner, slot);
        }
        self.owners[owner as usize].blobs = after.into();
    }

    /// Removes all blobs of a repository.
    pub fn release(&mut self, owner: Owner) {
        let Some(owned) = self.owners.get_mut(owner as usize) else { return };
        for slot in std::mem::take(&mut owned.blobs) {
            self.remove_reference(owner, slot);
        }
    }

    /// Bytes of the distinct blobs of a repository.
    pub fn unique(&self, owner: Owner) -> u128 {
        self.owners.get(owner as usize).map_or(0, |owned| owned.unique)
    }

    /// Bytes of the blobs that no other repository refers to.
    pub fn exclusive(&self, owner: Owner) -> u128 {
        self.owners.get(owner as usize).map_or(0, |owned| owned.exclusive)
    }

    /// Bytes of the distinct blobs of an organization.
    pub fn of_group(&self, group: Group) -> u128 {
        self.groups.get(group as usize).copied().unwrap_or_default()
    }

    /// Bytes of all distinct blobs.
    pub fn total(&self) -> u128 {
        self.total
    }

    /// The number of distinct blobs.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are no blobs.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The number of distinct blobs if the repository had these blobs, which are sorted and distinct.
    pub fn len_with(&self, owner: Owner, blobs: &[Blob]) -> usize {
        let held = self.owners.get(owner as usize).map_or(&[][..], |owned| &owned.blobs).iter();
        let leaving = held.map(|slot| self.entry(*slot)).filter(|entry| entry.owners == 1);
        let leaving = leaving.filter(|entry| blobs.binary_search(&entry.blob).is_err()).count();
        let coming = blobs.iter().filter(|blob| self.find(hash_of(&self.hasher, blob), blob).is_none()).count();
        self.len() - leaving + coming
    }

    /// The distinct blobs of a repository.
    pub fn blobs(&self, owner: Owner) -> impl ExactSizeIterator<Item = Blob> + '_ {
        let blobs = self.owners.get(owner as usize).map_or(&[][..], |owned| &owned.blobs);
        blobs.iter().map(|slot| self.entry(*slot).blob)
    }

    /// The slot of a blob, which is added if need be.
    fn slot_of(&mut self, blob: Blob) -> u32 {
        let hash = hash_of(&self.hasher, &blob);
        if let Some(slot) = self.find(hash, &blob) {
            return slot;
        }
        let entry = Entry { blob, owners: 0, owners_xor: 0 };
        let slot = match self.free.pop() {
            Some(slot) => {
                *self.entry_mut(slot) = entry;
                slot
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
        let at = |slot: &u32| hash_of(hasher, &entries[*slot as usize / CHUNK][*slot as usize % CHUNK].blob);
        self.slots.insert_unique(hash, slot, at);
        slot
    }

    fn find(&self, hash: u64, blob: &Blob) -> Option<u32> {
        self.slots.find(hash, |slot| self.entry(*slot).blob == *blob).copied()
    }

    fn entry(&self, slot: u32) -> &Entry {
        &self.entries[slot as usize / CHUNK][slot as usize % CHUNK]
    }

    fn entry_mut(&mut self, slot: u32) -> &mut Entry {
        &mut self.entries[slot as usize / CHUNK][slot as usize % CHUNK]
    }

    /// Adds a reference of a repository to a blob.
    fn add_reference(&mut self, owner: Owner, slot: u32) {
        let group = self.owners[owner as usize].group;
        let entry = self.entry_mut(slot);
        let (size, last) = (u128::from(entry.blob.size), entry.owners_xor);
        entry.owners += 1;
        entry.owners_xor ^= owner;
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
                    self.shared.insert((other.group, slot), 1);
                }
                let of_group = self.shared.entry((group, slot)).or_default();
                *of_group += 1;
                if *of_group == 1 {
                    self.groups[group as usize] += size;
                }
            }
        }
        self.owners[owner as usize].unique += size;
    }

    /// Removes a reference of a repository to a blob.
    fn remove_reference(&mut self, owner: Owner, slot: u32) {
        let group = self.owners[owner as usize].group;
        let entry = self.entry_mut(slot);
        entry.owners -= 1;
        entry.owners_xor ^= owner;
        let Entry { blob, owners, owners_xor } = *entry;
        let size = u128::from(blob.size);
        self.owners[owner as usize].unique -= size;
        if owners == 0 {
            self.total -= size;
            self.groups[group as usize] -= size;
            self.owners[owner as usize].exclusive -= size;
            self.free_slot(slot);
            return;
        }
        let of_group = self.shared.get_mut(&(group, slot)).expect("blobs of several repositories are counted");
        *of_group -= 1;
        if *of_group == 0 {
            self.groups[group as usize] -= size;
            self.shared.remove(&(group, slot));
        }
        if owners == 1 {
            let last = &mut self.owners[owners_xor as usize];
            last.exclusive += size;
            self.shared.remove(&(last.group, slot));
        }
    }

    fn free_slot(&mut self, slot: u32) {
        let hash = hash_of(&self.hasher, &self.entry(slot).blob);
        if let Ok(found) = self.slots.find_entry(hash, |other| *other == slot) {
            found.remove();
        }
        self.free.push(slot);
    }
}

/// A keyed hash, because digests come from outside. Half a digest is random enough.
fn hash_of(hasher: &RandomState, blob: &Blob) -> u64 {
    hasher.hash_one(&blob.digest.0[..16])
}

/// The elements of `a` that are not in `b`; both are sorted.
fn difference(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut rest = b.iter().peekable();
    a.iter()
        .copied()
        .filter(|slot| {
            while rest.next_if(|other| **other < *slot).is_some() {}
            rest.peek() != Some(&slot)
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

    /// Computes the same sums from the lists alone.
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

    /// One change: a repository, its organization (which may change), and its new blobs; `None` removes it.
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
        // Repositories are sets of tags, each a list of blobs. A step changes one tag or a whole repository.
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
                        // A tag moves to the image of another tag.
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
    fn slots_are_reused() {
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
