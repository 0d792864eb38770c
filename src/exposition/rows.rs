//! The repositories that have series, and what all their samples begin with.

use super::limit::RepositorySelection;
use super::text::label;
use crate::catalog;
use crate::model::{Repository, Snapshot};

/// What all samples of a repository have in common, `{namespace="..",repository=".."`, escaped, in the order of the rows.
///
/// Put together once and read in a row by each family: the names themselves lie where the listing happened to allocate
/// them, and in sorted order nearly each of them is a cache miss. Halves the time of a page of three families.
#[derive(Debug, Default)]
pub(super) struct Rows {
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Places in the snapshot; `None` when every repository has series.
    places: Option<Vec<u32>>,
}

impl Rows {
    pub(super) fn new(snapshot: &Snapshot, chosen: &RepositorySelection) -> Self {
        let mut rows = Self::default();
        // All repository families begin with the same two labels; the golden page would show another.
        let labels = catalog::REPOSITORY_INFO.labels;
        for row in chosen.rows(snapshot) {
            label(b'{', labels[0], &row.namespace, &mut rows.text);
            label(b',', labels[1], &row.name, &mut rows.text);
            rows.ends.push(rows.text.len());
        }
        if rows.ends.len() < snapshot.repositories.len() {
            rows.places = Some(chosen.places(snapshot).map(|place| u32::try_from(place).unwrap_or(u32::MAX)).collect());
        }
        rows
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where a row stands in the snapshot.
    pub(super) fn place(&self, row: usize) -> usize {
        self.places.as_ref().map_or(row, |places| places[row] as usize)
    }

    /// What the samples of some rows in a row begin with, one after the other.
    pub(super) fn text(&self, rows: std::ops::Range<usize>) -> &[u8] {
        let end = |row: usize| if row == 0 { 0 } else { self.ends[row - 1] };
        &self.text[end(rows.start)..end(rows.end)]
    }

    /// What the samples of one row begin with.
    pub(super) fn identity(&self, row: usize) -> &[u8] {
        self.text(row..row + 1)
    }

    /// Each row's place in the snapshot and what its samples begin with.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> + Clone {
        (0..self.len()).map(|row| (self.place(row), self.identity(row)))
    }

    /// Each row with what its samples begin with.
    pub(super) fn of<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = (&'a Repository, &'a [u8])> + Clone {
        self.iter().map(|(place, identity)| (&snapshot.repositories[place], identity))
    }
}
