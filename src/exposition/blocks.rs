//! Blocks of repositories: the parts by which the families with samples per repository are encoded, and taken over where
//! nothing in them changed.
//!
//! Each block of each family is compressed apart. A block whose rows have the same names and, in a family, the same values as
//! in the exposition before, is that of the exposition before: its bytes are shared.

use super::columns::{Column, Lines, Row, Samples, differing};
use super::compress::{Deflated, Deflater, Part};
use super::constant_labels::ConstantLabels;
use super::line_deflater::{FamilyLines, LabelPrefixes, Line, LineDeflater};
use super::repository_metrics::RepositoryMetrics;
use super::repository_selection::RepositorySelection;
use super::text::{CHUNK, Value, label, metadata};
use crate::catalog;
use crate::model::chunks::{BlockSize, Chunk};
use crate::model::tags::{Reclaimable, ReclaimableHere};
use crate::model::{RepositoryImages, RepositoryRef, Snapshot};
use std::cell::OnceCell;
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

    pub(super) fn blocks(self, size: BlockSize) -> impl Iterator<Item = Block<'a>> {
        let mut end = 0;
        self.snapshot.repositories.blocks(size).map(move |chunks| {
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

/// What differs between two blocks of the same names.
struct Difference<'a> {
    new: Block<'a>,
    old: Block<'a>,
    metrics: RepositoryMetrics,
    /// Whether any figure of tags or details differs, once a family asks.
    images: OnceCell<bool>,
}

impl Difference<'_> {
    fn affects(&self, column: &Column) -> bool {
        match column.samples {
            Samples::Listing(metric) => self.metrics.contains(metric),
            Samples::Rules(value) => !self.new.has_same_reclaimable(&self.old, value),
            _ => {
                let (new, old) = (self.new.images(), self.old.images());
                let differs = *self.images.get_or_init(|| new != old);
                let (Some(new), Some(old)) = (new, old) else { return differs };
                differs && !new.iter().zip(old).all(|(new, old)| column.is_same(new, old))
            }
        }
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

    /// What a clean-up rule would free in its repositories.
    fn reclaimable(&self, of_rule: &'a Reclaimable) -> &'a [ReclaimableHere] {
        let place = |index| of_rule.repositories.partition_point(|here| (here.index as usize) < index);
        &of_rule.repositories[place(self.start)..place(self.end)]
    }

    fn has_same_reclaimable(&self, old: &Self, value: fn(&ReclaimableHere) -> Option<Value>) -> bool {
        let is_same = |new: &ReclaimableHere, before: &ReclaimableHere| {
            new.index as usize - self.start == before.index as usize - old.start && value(new) == value(before)
        };
        let (all, before) = (self.of.reclaimable(), old.of.reclaimable());
        all.len() == before.len()
            && all.iter().zip(before).all(|(of_rule, before)| {
                let (here, there) = (self.reclaimable(of_rule), old.reclaimable(before));
                of_rule.rule == before.rule
                    && here.len() == there.len()
                    && here.iter().zip(there).all(|(new, old)| is_same(new, old))
            })
    }

    /// What differs from the block before; `None` if its rows are others.
    fn difference(&self, old: &Self) -> Option<Difference<'a>> {
        let is_selected = |block: &Self| block.of.selection.in_range(block.start..block.end);
        if self.end - self.start != old.end - old.start || is_selected(self) != is_selected(old) {
            return None;
        }
        if self.chunks.len() != old.chunks.len() {
            return None;
        }
        let mut metrics = RepositoryMetrics::NONE;
        let pairs = self.chunks.iter().zip(old.chunks);
        for (new, old) in pairs.filter(|(new, old)| !Arc::ptr_eq(new, old)) {
            if new.len() != old.len() {
                return None;
            }
            for (new, old) in new.iter().zip(old.iter()) {
                if new.key() != old.key() {
                    return None;
                }
                metrics = differing(&old, &new).fold(metrics, RepositoryMetrics::with);
            }
        }
        Some(Difference { new: *self, old: *old, metrics, images: OnceCell::new() })
    }
}

struct BlockEncoder {
    deflater: LineDeflater,
    prefixes: LabelPrefixes,
    text: Vec<u8>,
    lines: Vec<Line>,
    /// The constant labels, encoded.
    constant: Vec<u8>,
}

impl BlockEncoder {
    fn new(labels: &ConstantLabels) -> Self {
        let (deflater, prefixes) = (LineDeflater::default(), LabelPrefixes::default());
        Self { deflater, prefixes, text: Vec::new(), lines: Vec::new(), constant: labels.encode() }
    }

    /// Takes in the rows of a block.
    fn begin(&mut self, block: &Block<'_>) {
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
        self.deflater.begin(&self.prefixes);
    }

    /// The lines of a family for the block, compressed in pieces of about [`CHUNK`] bytes.
    fn encode(&mut self, block: &Block<'_>, column: &Column) -> Part {
        let images = block.images();
        let selection = block.of.selection;
        let Self { deflater, prefixes, text, lines, constant } = self;
        let mut flush = |text: &mut Vec<u8>, lines: &mut Vec<Line>| {
            deflater.push(&FamilyLines { family: column.family, text, lines, prefixes });
            text.clear();
            lines.clear();
        };
        let selected = block.rows().zip(block.start..).filter(|(_, index)| selection.has(*index));
        for (number, ((repository, index), prefix)) in selected.zip(prefixes.iter()).enumerate() {
            let images = images.map(|images| &images[index - block.start]);
            let row = Row { repository, index, reclaimable: block.of.reclaimable(), images, prefix };
            column.write(&row, &mut Lines { family: column.family, constant, row: number, text, lines });
            if text.len() >= CHUNK {
                flush(text, lines);
            }
        }
        flush(text, lines);
        deflater.finish()
    }
}

/// Columns as encoded blocks: for each column, a part for each block.
#[derive(Debug, Default)]
pub(super) struct EncodedBlocks(Vec<Vec<Arc<Part>>>);

impl EncodedBlocks {
    /// Encodes the blocks, or takes them over from the exposition before. It had the same blocks, columns and labels. Without
    /// one, half of the work is done on a second thread.
    pub(super) fn new(
        new: Selected<'_>,
        before: Option<(Selected<'_>, &Self)>,
        size: BlockSize,
        columns: &[Column],
        labels: &ConstantLabels,
    ) -> Self {
        let blocks: Vec<_> = new.blocks(size).collect();
        let encode = |blocks: &[Block<'_>], before| Self::encode(blocks, before, columns, labels);
        let before = before.filter(|(_, encoded)| encoded.0.len() == columns.len());
        let before = before.map(|(old, encoded)| (old.blocks(size).collect(), encoded));
        let has_threads = std::thread::available_parallelism().is_ok_and(|threads| threads.get() > 1);
        if before.is_some() || blocks.len() < 2 || !has_threads {
            return encode(&blocks, before);
        }
        let (first, second) = blocks.split_at(blocks.len() / 2);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| encode(second, None));
            let mut all = encode(first, None);
            let second = second.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all.0.iter_mut().zip(second.0).for_each(|(parts, more)| parts.extend(more));
            all
        })
    }

    fn encode(
        blocks: &[Block<'_>],
        before: Option<(Vec<Block<'_>>, &Self)>,
        columns: &[Column],
        labels: &ConstantLabels,
    ) -> Self {
        let mut encoded = Self(vec![Vec::with_capacity(blocks.len()); columns.len()]);
        let (old_blocks, old_parts) = before.map_or_else(Default::default, |(blocks, encoded)| (blocks, &*encoded.0));
        let mut encoder = BlockEncoder::new(labels);
        let mut at = 0;
        for block in blocks {
            while old_blocks.get(at).is_some_and(|old| old.first_key() < block.first_key()) {
                at += 1;
            }
            let old = old_blocks.get(at).filter(|old| old.first_key() == block.first_key());
            let difference = old.and_then(|old| block.difference(old));
            let mut is_begun = false;
            for (number, column) in columns.iter().enumerate() {
                let is_kept = difference.as_ref().is_some_and(|difference| !difference.affects(column));
                let part = if is_kept {
                    old_parts[number][at].clone()
                } else {
                    if !std::mem::replace(&mut is_begun, true) {
                        encoder.begin(block);
                    }
                    Arc::new(encoder.encode(block, column))
                };
                encoded.0[number].push(part);
            }
        }
        encoded
    }

    /// Appends the families that have samples.
    pub(super) fn append_to(&self, deflated: &mut Deflated, columns: &[Column], deflater: &mut Deflater) {
        let families = columns.iter().zip(&self.0);
        for (column, parts) in families.filter(|(_, parts)| parts.iter().any(|part| part.series > 0)) {
            let mut head = Vec::new();
            metadata(column.family, &mut head);
            deflater.push(&head);
            deflated.push(deflater.finish(0));
            parts.iter().for_each(|part| deflated.push(part.clone()));
        }
    }

    #[cfg(test)]
    pub(super) fn parts(&self) -> impl Iterator<Item = &Arc<Part>> {
        self.0.iter().flatten()
    }
}
