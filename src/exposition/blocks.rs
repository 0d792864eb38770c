//! Blocks of repositories: the parts by which the families with samples per repository are encoded, and taken over where
//! nothing in them changed.
//!
//! Each block of each family is compressed apart. A block whose rows have the same names and, in a family, the same values as
//! in the exposition before, is that of the exposition before: its bytes are shared.

use super::columns::{Column, Lines, Row, differing};
use super::compress::Part;
use super::constant_labels::ConstantLabels;
use super::line_deflater::{FamilyLines, LabelPrefixes, Line, LineDeflater};
use super::repository_metrics::RepositoryMetrics;
use super::repository_selection::RepositorySelection;
use super::text::{CHUNK, Counts, label};
use crate::catalog;
use crate::model::chunks::Chunk;
use crate::model::reclaim::Rule;
use crate::model::tags::Reclaimable;
use crate::model::{RepositoryImages, RepositoryRef, Snapshot};
use std::sync::Arc;

/// A snapshot and the repositories of it that get series.
#[derive(Clone, Copy)]
pub(super) struct Selected<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) selection: &'a RepositorySelection,
}

impl<'a> Selected<'a> {
    fn reclaimable(self) -> &'a [Reclaimable] {
        self.snapshot.images.as_ref().map_or(&[], |images| &images.reclaimable)
    }

    /// The blocks in their order.
    pub(super) fn blocks(self) -> impl Iterator<Item = Block<'a>> {
        let mut end = 0;
        self.snapshot.repositories.blocks().map(move |chunks| {
            let start = end;
            end += chunks.iter().map(|chunk| chunk.len()).sum::<usize>();
            Block { of: self, chunks, start, end }
        })
    }
}

/// A run of rows of a snapshot.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    of: Selected<'a>,
    chunks: &'a [Arc<Chunk>],
    /// The index of the first row in the snapshot.
    start: usize,
    end: usize,
}

/// What differs between two blocks.
struct Difference {
    metrics: RepositoryMetrics,
    images: bool,
}

impl Difference {
    const ALL: Self = Self { metrics: RepositoryMetrics::ALL, images: true };

    fn affects(&self, column: &Column) -> bool {
        column.metric.map_or(self.images, |metric| self.metrics.contains(metric))
    }
}

impl<'a> Block<'a> {
    fn rows(&self) -> impl Iterator<Item = RepositoryRef<'a>> + use<'a> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    fn first_key(&self) -> (&'a str, &'a str) {
        self.rows().next().expect("a block has rows").key()
    }

    fn images(&self) -> Option<&'a [RepositoryImages]> {
        let images = self.of.snapshot.images.as_deref()?;
        Some(&images.repositories[self.start..self.end])
    }

    /// What each clean-up rule would free in its repositories, by their index in the block.
    fn reclaimable(&self) -> impl Iterator<Item = (Rule, usize, u32, Option<u128>)> + use<'a> {
        let (start, end) = (self.start, self.end);
        self.of.reclaimable().iter().flat_map(move |of_rule| {
            let place = |index| of_rule.repositories.partition_point(|here| (here.index as usize) < index);
            let here = &of_rule.repositories[place(start)..place(end)];
            here.iter().map(move |here| (of_rule.rule, here.index as usize - start, here.tags, here.bytes))
        })
    }

    fn difference(&self, old: &Self) -> Difference {
        let is_selected = |block: &Self| block.of.selection.in_range(block.start..block.end);
        if self.end - self.start != old.end - old.start || is_selected(self) != is_selected(old) {
            return Difference::ALL;
        }
        let mut metrics = RepositoryMetrics::NONE;
        let has_chunks = self.chunks.len() == old.chunks.len();
        let pairs = self.chunks.iter().zip(old.chunks);
        for (new, old) in pairs.filter(|(new, old)| !Arc::ptr_eq(new, old)) {
            if new.len() != old.len() {
                return Difference::ALL;
            }
            for (new, old) in new.iter().zip(old.iter()) {
                if new.key() != old.key() {
                    return Difference::ALL;
                }
                metrics = differing(&old, &new).fold(metrics, RepositoryMetrics::with);
            }
        }
        let images = self.images() != old.images() || !self.reclaimable().eq(old.reclaimable());
        if has_chunks { Difference { metrics, images } } else { Difference::ALL }
    }
}

/// Writes the families of blocks of repositories.
pub(super) struct BlockWriter {
    prefixes: LabelPrefixes,
    text: Vec<u8>,
    lines: Vec<Line>,
    /// The constant labels, encoded.
    constant: Vec<u8>,
}

impl BlockWriter {
    /// All samples get these labels.
    pub(super) fn new(labels: &ConstantLabels) -> Self {
        Self { prefixes: LabelPrefixes::default(), text: Vec::new(), lines: Vec::new(), constant: labels.encode() }
    }

    /// Takes in the rows of a block.
    pub(super) fn begin(&mut self, block: &Block<'_>) -> &LabelPrefixes {
        // All repository families begin with the same two labels; a golden test would show another.
        let labels = catalog::REPOSITORY_INFO.labels;
        self.prefixes.clear();
        for (row, index) in block.rows().zip(block.start..) {
            if block.of.selection.has(index) {
                self.prefixes.push(|text| {
                    label(b'{', labels[0], row.namespace, text);
                    label(b',', labels[1], row.name, text);
                });
            }
        }
        &self.prefixes
    }

    /// Writes the lines of a family for the block; `sink` gets them in pieces of about [`CHUNK`] bytes.
    pub(super) fn write(
        &mut self,
        block: &Block<'_>,
        column: &Column,
        mut sink: impl FnMut(FamilyLines<'_>),
    ) -> Counts {
        let mut counts = Counts::default();
        let images = block.images();
        let selection = block.of.selection;
        let Self { prefixes, text, lines, constant } = self;
        let mut flush = |text: &mut Vec<u8>, lines: &mut Vec<Line>| {
            counts += Counts { series: lines.len(), bytes: text.len() };
            sink(FamilyLines { family: column.family, text, lines, prefixes });
            text.clear();
            lines.clear();
        };
        let selected = block.rows().zip(block.start..).filter(|(_, index)| selection.has(*index));
        for (number, ((repository, index), prefix)) in selected.zip(prefixes.iter()).enumerate() {
            let images = images.map(|images| &images[index - block.start]);
            let row = Row { repository, index, reclaimable: block.of.reclaimable(), images, prefix };
            (column.write)(&row, &mut Lines { family: column.family, constant, row: number, text, lines });
            if text.len() >= CHUNK {
                flush(text, lines);
            }
        }
        flush(text, lines);
        counts
    }
}

/// The encoded blocks of an exposition: for each family, a part for each block.
#[derive(Debug, Default)]
pub(super) struct EncodedBlocks(Vec<Vec<Arc<Part>>>);

impl EncodedBlocks {
    /// Encodes the blocks, or takes them over from the exposition before. It had the same columns and labels.
    pub(super) fn new(
        new: Selected<'_>,
        before: Option<(Selected<'_>, &Self)>,
        columns: &[Column],
        labels: &ConstantLabels,
        deflater: &mut LineDeflater,
    ) -> Self {
        let before = before.filter(|(_, encoded)| encoded.0.len() == columns.len());
        let old_blocks: Vec<_> = before.iter().flat_map(|(old, _)| old.blocks()).collect();
        let mut parts: Vec<Vec<Arc<Part>>> = vec![Vec::with_capacity(old_blocks.len()); columns.len()];
        let mut writer = BlockWriter::new(labels);
        let mut at = 0;
        for block in new.blocks() {
            while old_blocks.get(at).is_some_and(|old| old.first_key() < block.first_key()) {
                at += 1;
            }
            let old = old_blocks.get(at).filter(|old| old.first_key() == block.first_key());
            let difference = old.map_or(Difference::ALL, |old| block.difference(old));
            let mut is_begun = false;
            for (number, column) in columns.iter().enumerate() {
                let kept = before.filter(|_| old.is_some() && !difference.affects(column));
                let part = kept.map(|(_, encoded)| encoded.0[number][at].clone()).unwrap_or_else(|| {
                    if !std::mem::replace(&mut is_begun, true) {
                        deflater.begin(writer.begin(&block));
                    }
                    writer.write(&block, column, |lines| deflater.push(&lines));
                    Arc::new(deflater.finish())
                });
                parts[number].push(part);
            }
        }
        Self(parts)
    }

    /// The parts of each family.
    pub(super) fn columns(&self) -> &[Vec<Arc<Part>>] {
        &self.0
    }
}
