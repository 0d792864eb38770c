//! An index of blobs and the repositories that refer to them. It counts stored bytes once, exactly, as repositories change.
//!
//! A change of one repository costs time in proportion to its own blobs. The exclusive bytes of *other* repositories follow
//! because each blob stores how many repositories refer to it and the exclusive-or of their numbers: once a single owner is
//! left, that is its number.
//!
//! Sums per organization need separate counts only for blobs of several repositories.
//!
//! Of each repository's blobs, a clean-up rule picks the first so many ([`Layers::pick`]); the repository keeps the others. A
//! blob that no repository keeps is reclaimable: by its repository if it has only one, by its organization if all its
//! repositories are there, and by the account. A bit for each blob and rule says whether anything keeps it; the number of
//! repositories that do is needed only for blobs of several.
//!
//! Memory: 55 to 60 bytes for each distinct blob, 4 for each reference, 80 for each repository and 32 for each of its rules,
//! some 100 for each blob of several repositories and 30 for each of its organizations.

mod store;

use super::chunks::QuickHasher;
use super::reclaim::MAX_RULES;
use super::tags::Blob;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;
pub use store::Owner;
use store::{BlobStore, EVERY_RULE, Entry};

/// The number of an organization, chosen by the caller; small as well.
pub type Group = u32;

#[derive(Clone, Debug, Default)]
struct Owned {
    group: Group,
    /// The slots of its blobs, in the order in which rules pick them.
    blobs: Box<[u32]>,
    unique: u128,
    exclusive: u128,
    rules: Box<[Picked]>,
}

/// What a rule does in one repository.
#[derive(Clone, Copy, Debug, Default)]
struct Picked {
    /// It picks so many blobs, the first ones.
    blobs: u32,
    /// Bytes of its exclusive blobs among them.
    bytes: u128,
}

/// An organization, or the account.
#[derive(Clone, Debug, Default)]
struct Sums {
    unique: u128,
    reclaimable: Box<[u128]>,
}

#[derive(Debug)]
struct Shared {
    /// The number of organizations that refer to it.
    groups: u32,
    /// The exclusive-or of their numbers.
    groups_xor: Group,
    /// The number of repositories that keep it, by rule.
    keepers: Box<[u32]>,
}

/// A map by numbers that are given out here.
type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<QuickHasher>>;

/// The index.
#[derive(Debug, Default)]
pub struct Layers {
    store: BlobStore,
    owners: Vec<Owned>,
    /// The number of repositories of an organization that refer to a blob, for blobs of several repositories.
    of_groups: NumberMap<(Group, u32), u32>,
    /// Blobs of several repositories. Empty without rules.
    shared: NumberMap<u32, Shared>,
    groups: Vec<Sums>,
    total: Sums,
    rules: usize,
}

impl Layers {
    /// Bytes a distinct blob with a reference takes, measured by `cargo bench --bench tags`.
    pub const BYTES: usize = 64;

    /// Further bytes of a blob of several repositories, at most.
    const SHARED_BYTES: usize = 100;

    /// Further bytes of such a blob in an organization, at most.
    const GROUP_BYTES: usize = 30;

    /// Sets the number of rules, at most [`MAX_RULES`]. Nothing is picked then. Takes time in proportion to the index.
    pub fn set_rules(&mut self, rules: usize) {
        let rules = rules.min(MAX_RULES);
        self.rules = rules;
        self.owners.iter_mut().for_each(|owned| owned.rules = vec![Picked::default(); rules].into());
        self.groups.iter_mut().chain([&mut self.total]).for_each(|sums| sums.reclaimable = vec![0; rules].into());
        self.store.keep_all();
        self.shared = NumberMap::default();
        if rules > 0 {
            for ((group, slot), owners) in &self.of_groups {
                let none = || Shared { groups: 0, groups_xor: 0, keepers: vec![0; rules].into() };
                let shared = self.shared.entry(*slot).or_insert_with(none);
                shared.groups += 1;
                shared.groups_xor ^= group;
                shared.keepers.iter_mut().for_each(|keepers| *keepers += owners);
            }
        }
    }

    /// Makes room for so many blobs in all, so that it need not grow step by step.
    pub fn reserve(&mut self, blobs: usize) {
        self.store.reserve(blobs);
    }

    /// Sets the blobs of a repository, in place of its earlier ones, in the order in which rules pick them. Nothing is picked
    /// then. Repeated blobs count once.
    pub fn set(&mut self, owner: Owner, group: Group, blobs: &[Blob]) {
        let rules = self.rules;
        if self.owners.len() <= owner as usize {
            let none = || Owned { rules: vec![Picked::default(); rules].into(), ..Owned::default() };
            self.owners.resize_with(owner as usize + 1, none);
        }
        if self.groups.len() <= group as usize {
            self.groups.resize(group as usize + 1, Sums { unique: 0, reclaimable: vec![0; rules].into() });
        }
        self.pick_nothing(owner);
        if self.owners[owner as usize].group != group {
            self.release(owner);
            self.owners[owner as usize].group = group;
        }
        // All are looked up at once, so that the processor waits for memory once for many of them.
        let hashes: Vec<u64> = blobs.iter().map(|blob| self.store.hash_of(blob)).collect();
        let known: Vec<Option<u32>> =
            hashes.iter().zip(blobs).map(|(hash, blob)| self.store.find(*hash, blob)).collect();
        let slots = blobs.iter().zip(hashes).zip(known);
        let mut blobs: Vec<u32> =
            slots.map(|((blob, hash), known)| known.unwrap_or_else(|| self.store.slot_of(*blob, hash))).collect();
        let mut after = sorted(&blobs);
        after.dedup();
        if after.len() < blobs.len() {
            let mut seen = HashSet::new();
            blobs.retain(|slot| seen.insert(*slot));
        }
        let before = sorted(&self.owners[owner as usize].blobs);
        // New blobs are added before old ones are removed, so that the slots of others stay the same.
        for slot in difference(&after, &before) {
            self.add_reference(owner, slot);
        }
        for slot in difference(&before, &after) {
            self.remove_reference(owner, slot);
        }
        self.owners[owner as usize].blobs = blobs.into();
    }

    /// Removes all blobs of a repository.
    pub fn release(&mut self, owner: Owner) {
        self.pick_nothing(owner);
        let Some(owned) = self.owners.get_mut(owner as usize) else { return };
        for slot in std::mem::take(&mut owned.blobs) {
            self.remove_reference(owner, slot);
        }
    }

    /// Lets a rule pick the first so many blobs of a repository. Takes time in proportion to the change.
    pub fn pick(&mut self, owner: Owner, rule: usize, blobs: u32) {
        let Some(owned) = self.owners.get_mut(owner as usize) else { return };
        let Some(picked) = owned.rules.get_mut(rule) else { return };
        let blobs = blobs.min(u32::try_from(owned.blobs.len()).expect("slots are numbers of 32 bits"));
        let before = std::mem::replace(&mut picked.blobs, blobs);
        if before == blobs {
            return;
        }
        let all = std::mem::take(&mut owned.blobs);
        let changed = before.min(blobs) as usize..before.max(blobs) as usize;
        all[changed].iter().for_each(|slot| self.set_kept(*slot, rule, blobs < before));
        self.owners[owner as usize].blobs = all;
    }

    /// Bytes that go if the tags that a rule picks in this repository alone are deleted.
    pub fn reclaimable(&self, owner: Owner, rule: usize) -> u128 {
        self.owners.get(owner as usize).and_then(|owned| owned.rules.get(rule)).map_or(0, |picked| picked.bytes)
    }

    /// Bytes that go if the tags that a rule picks in all repositories of an organization are deleted.
    pub fn reclaimable_in_group(&self, group: Group, rule: usize) -> u128 {
        self.groups.get(group as usize).and_then(|sums| sums.reclaimable.get(rule)).copied().unwrap_or_default()
    }

    /// Bytes that go if the tags that a rule picks in all repositories are deleted.
    pub fn reclaimable_in_all(&self, rule: usize) -> u128 {
        self.total.reclaimable.get(rule).copied().unwrap_or_default()
    }

    /// The slot of a blob that goes with the tags that a rule picks; `None` if a repository keeps it.
    pub fn freed(&self, blob: &Blob, rule: usize) -> Option<u32> {
        let slot = self.store.find(self.store.hash_of(blob), blob)?;
        (self.store.kept(slot) >> rule & 1 == 0).then_some(slot)
    }

    fn pick_nothing(&mut self, owner: Owner) {
        (0..self.rules).for_each(|rule| self.pick(owner, rule, 0));
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
        self.groups.get(group as usize).map_or(0, |sums| sums.unique)
    }

    /// Bytes of all distinct blobs.
    pub fn total(&self) -> u128 {
        self.total.unique
    }

    /// The number of distinct blobs.
    #[allow(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// The memory that blobs of several repositories take beyond that of others, as a number of blobs.
    pub fn sharing(&self) -> usize {
        (self.shared.len() * Self::SHARED_BYTES + self.of_groups.len() * Self::GROUP_BYTES) / Self::BYTES
    }

    /// The number of distinct blobs if the repository had these blobs, which are distinct.
    pub fn len_with(&self, owner: Owner, blobs: &[Blob]) -> usize {
        let mut blobs = blobs.to_vec();
        blobs.sort_unstable();
        let held = self.owners.get(owner as usize).map_or(&[][..], |owned| &owned.blobs).iter();
        let leaving = held.map(|slot| self.store.entry(*slot)).filter(|entry| entry.owners == 1);
        let leaving = leaving.filter(|entry| blobs.binary_search(&entry.blob).is_err()).count();
        let coming = blobs.iter().filter(|blob| self.store.find(self.store.hash_of(blob), blob).is_none()).count();
        self.len() - leaving + coming
    }

    /// The distinct blobs of a repository, in the order in which they were set.
    pub fn blobs(&self, owner: Owner) -> impl ExactSizeIterator<Item = Blob> + '_ {
        let blobs = self.owners.get(owner as usize).map_or(&[][..], |owned| &owned.blobs);
        blobs.iter().map(|slot| self.store.entry(*slot).blob)
    }

    /// Adds a reference of a repository to a blob, which it keeps.
    fn add_reference(&mut self, owner: Owner, slot: u32) {
        self.count_reclaimable(slot, EVERY_RULE, Counted::NoLonger);
        let group = self.owners[owner as usize].group;
        let rules = self.rules;
        let kept_before = std::mem::replace(self.store.kept_mut(slot), EVERY_RULE);
        let entry = self.store.entry_mut(slot);
        let (size, last) = (u128::from(entry.blob.size), entry.owners_xor);
        entry.owners += 1;
        entry.owners_xor ^= owner;
        match entry.owners {
            1 => {
                self.total.unique += size;
                self.groups[group as usize].unique += size;
                self.owners[owner as usize].exclusive += size;
            }
            owners => {
                if owners == 2 {
                    let other = &mut self.owners[last as usize];
                    other.exclusive -= size;
                    self.of_groups.insert((other.group, slot), 1);
                    if rules > 0 {
                        let keepers = (0..rules).map(|rule| u32::from(kept_before >> rule & 1)).collect();
                        self.shared.insert(slot, Shared { groups: 1, groups_xor: other.group, keepers });
                    }
                }
                let of_group = self.of_groups.entry((group, slot)).or_default();
                *of_group += 1;
                let is_first = *of_group == 1;
                if is_first {
                    self.groups[group as usize].unique += size;
                }
                if let Some(shared) = self.shared.get_mut(&slot) {
                    shared.keepers.iter_mut().for_each(|keepers| *keepers += 1);
                    if is_first {
                        shared.groups += 1;
                        shared.groups_xor ^= group;
                    }
                }
            }
        }
        self.owners[owner as usize].unique += size;
    }

    /// Removes a reference of a repository to a blob, which it keeps.
    fn remove_reference(&mut self, owner: Owner, slot: u32) {
        let group = self.owners[owner as usize].group;
        let entry = self.store.entry_mut(slot);
        entry.owners -= 1;
        entry.owners_xor ^= owner;
        let Entry { blob, owners, owners_xor } = *entry;
        let size = u128::from(blob.size);
        self.owners[owner as usize].unique -= size;
        if owners == 0 {
            self.total.unique -= size;
            self.groups[group as usize].unique -= size;
            self.owners[owner as usize].exclusive -= size;
            self.store.free(slot);
            return;
        }
        let of_group = self.of_groups.get_mut(&(group, slot)).expect("blobs of several repositories are counted");
        *of_group -= 1;
        let was_last = *of_group == 0;
        if was_last {
            self.groups[group as usize].unique -= size;
            self.of_groups.remove(&(group, slot));
        }
        let mut kept = EVERY_RULE;
        if let Some(shared) = self.shared.get_mut(&slot) {
            for (rule, keepers) in shared.keepers.iter_mut().enumerate() {
                *keepers -= 1;
                kept &= !(u8::from(*keepers == 0) << rule);
            }
            if was_last {
                shared.groups -= 1;
                shared.groups_xor ^= group;
            }
        }
        if owners == 1 {
            let last = &mut self.owners[owners_xor as usize];
            last.exclusive += size;
            self.of_groups.remove(&(last.group, slot));
            self.shared.remove(&slot);
        }
        *self.store.kept_mut(slot) = kept;
        self.count_reclaimable(slot, EVERY_RULE, Counted::FromNowOn);
    }

    /// One of a blob's repositories keeps it under a rule, or no longer.
    fn set_kept(&mut self, slot: u32, rule: usize, is_kept: bool) {
        let bit = 1 << rule;
        if let Some(shared) = self.shared.get_mut(&slot) {
            let keepers = &mut shared.keepers[rule];
            *keepers = if is_kept { *keepers + 1 } else { *keepers - 1 };
            if *keepers != u32::from(is_kept) {
                // Others keep it before and after.
                return;
            }
        }
        if is_kept {
            self.count_reclaimable(slot, bit, Counted::NoLonger);
            *self.store.kept_mut(slot) |= bit;
        } else {
            *self.store.kept_mut(slot) &= !bit;
            self.count_reclaimable(slot, bit, Counted::FromNowOn);
        }
    }

    /// Counts a blob where it is reclaimable, by those of the rules under which nothing keeps it.
    fn count_reclaimable(&mut self, slot: u32, rules: u8, counted: Counted) {
        let mut left = rules & !self.store.kept(slot);
        if left == 0 {
            return;
        }
        let Entry { blob, owners, owners_xor } = *self.store.entry(slot);
        let size = u128::from(blob.size);
        let owner = (owners == 1).then_some(owners_xor as usize);
        let group = match owner {
            Some(owner) => Some(self.owners[owner].group as usize),
            None => self.shared.get(&slot).filter(|shared| shared.groups == 1).map(|of| of.groups_xor as usize),
        };
        while left != 0 {
            let rule = left.trailing_zeros() as usize;
            left &= left - 1;
            let of_owner = owner.map(|owner| &mut self.owners[owner].rules[rule].bytes);
            let of_group = group.map(|group| &mut self.groups[group].reclaimable[rule]);
            for sum in [Some(&mut self.total.reclaimable[rule]), of_group, of_owner].into_iter().flatten() {
                match counted {
                    Counted::FromNowOn => *sum += size,
                    Counted::NoLonger => *sum -= size,
                }
            }
        }
    }
}

/// Whether a blob is counted as reclaimable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    FromNowOn,
    NoLonger,
}

fn sorted(slots: &[u32]) -> Vec<u32> {
    let mut slots = slots.to_vec();
    slots.sort_unstable();
    slots
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
#[path = "layers/layers_tests.rs"]
mod tests;
