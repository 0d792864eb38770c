//! The repositories that get series, and the labels that all their samples begin with.

use super::repository_selection::RepositorySelection;
use super::text::label;
use crate::catalog;
use crate::model::{RepositoryRef, Snapshot};

/// The labels `{namespace="..",repository=".."` of each selected repository, escaped, in the order of the snapshot.
///
/// They are put together once and read sequentially by each family. The names themselves lie wherever the listing
/// allocated them, and in sorted order nearly each of them is a cache miss: this halves the time to write three families.
#[derive(Debug, Default)]
pub(super) struct LabelPrefixes {
    text: Vec<u8>,
    /// Where each prefix ends in `text`.
    ends: Vec<usize>,
    /// The index of each repository in the snapshot; `None` if every repository is selected.
    indexes: Option<Vec<u32>>,
}

impl LabelPrefixes {
    pub(super) fn new(snapshot: &Snapshot, selection: &RepositorySelection) -> Self {
        let mut prefixes = Self::default();
        // All repository families begin with the same two labels; a golden test would show another.
        let labels = catalog::REPOSITORY_INFO.labels;
        for row in selection.repositories(snapshot) {
            label(b'{', labels[0], row.namespace, &mut prefixes.text);
            label(b',', labels[1], row.name, &mut prefixes.text);
            prefixes.ends.push(prefixes.text.len());
        }
        if prefixes.ends.len() < snapshot.repositories.len() {
            let selected = (0..snapshot.repositories.len()).filter(|index| selection.has(*index));
            prefixes.indexes = Some(selected.map(|index| u32::try_from(index).unwrap_or(u32::MAX)).collect());
        }
        prefixes
    }

    /// Each selected repository: its index in the snapshot and its prefix.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> + Clone {
        (0..self.ends.len()).map(|row| {
            let start = if row == 0 { 0 } else { self.ends[row - 1] };
            let index = self.indexes.as_ref().map_or(row, |indexes| indexes[row] as usize);
            (index, &self.text[start..self.ends[row]])
        })
    }

    /// Each selected repository with its prefix.
    pub(super) fn of<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        selection: &'a RepositorySelection,
    ) -> impl Iterator<Item = (RepositoryRef<'a>, &'a [u8])> + Clone {
        selection.repositories(snapshot).zip(self.iter().map(|(_, prefix)| prefix))
    }
}
