//! The families with samples per repository, and how the samples of one repository are written.

use super::line_deflater::Line;
use super::repository_metrics::RepositoryMetric;
use super::text::{Value, label, write_value};
use crate::catalog::{self, Family};
use crate::model::tags::{Reclaimable, ReclaimableHere, TagFigures};
use crate::model::{RepositoryImages, RepositoryRef, Visibility};

/// A repository as a family sees it.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) repository: RepositoryRef<'a>,
    /// Its index in the snapshot.
    pub(super) index: usize,
    /// What clean-up rules would free, in all repositories.
    pub(super) reclaimable: &'a [Reclaimable],
    /// Its figures from tags and details, if they are collected.
    pub(super) images: Option<&'a RepositoryImages>,
    /// The labels that all its samples begin with: `{namespace="..",repository=".."`.
    pub(super) prefix: &'a [u8],
}

/// What the samples of a repository in a family depend on, besides its name. The functions say whether two states of the
/// repository give the same samples.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// A value of the listing.
    Listing(RepositoryMetric),
    /// Its tags.
    Tags(fn(&TagFigures, &TagFigures) -> bool),
    /// Other figures beyond the listing.
    Images(fn(&RepositoryImages, &RepositoryImages) -> bool),
    /// What the clean-up rules would free.
    Reclaimable(fn(&ReclaimableHere, &ReclaimableHere) -> bool),
}

/// A family with samples per repository.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) family: &'static Family,
    pub(super) source: Source,
    /// Writes the samples of a repository, any number of them.
    pub(super) write: fn(&Row<'_>, &mut Lines<'_>),
}

impl Column {
    /// The column of a metric of the listing.
    pub(super) fn of(metric: RepositoryMetric) -> Self {
        let (family, write): (_, fn(&Row<'_>, &mut Lines<'_>)) = match metric {
            RepositoryMetric::Size => (&catalog::REPOSITORY_SIZE, |row, lines| {
                lines.figure(row, row.repository.size.map(Value::Integer));
            }),
            RepositoryMetric::Images => (&catalog::REPOSITORY_IMAGES, |row, lines| {
                lines.figure(row, row.repository.images.map(Value::Integer));
            }),
            RepositoryMetric::Downloads => (&catalog::REPOSITORY_DOWNLOADS, |row, lines| {
                lines.figure(row, row.repository.downloads.map(Value::Integer));
            }),
            RepositoryMetric::Created => (&catalog::REPOSITORY_CREATED, |row, lines| {
                lines.figure(row, row.repository.created.map(Value::Time));
            }),
            RepositoryMetric::Updated => (&catalog::REPOSITORY_UPDATED, |row, lines| {
                lines.figure(row, row.repository.updated.map(Value::Time));
            }),
            RepositoryMetric::Info => (&catalog::REPOSITORY_INFO, |row, lines| {
                let labels = lines.family.labels;
                lines.sample(Value::Integer(1), |out| {
                    out.extend_from_slice(row.prefix);
                    label(b',', labels[2], row.repository.category.map_or("", |category| category), out);
                    label(b',', labels[3], visibility(row.repository.visibility), out);
                });
            }),
        };
        Self { family, source: Source::Listing(metric), write }
    }
}

fn visibility(visibility: Option<Visibility>) -> &'static str {
    match visibility {
        Some(Visibility::Public) => "public",
        Some(Visibility::Private) => "private",
        None => "",
    }
}

/// The metrics of the listing that differ between two states of one repository.
pub(super) fn differing(old: &RepositoryRef<'_>, new: &RepositoryRef<'_>) -> impl Iterator<Item = RepositoryMetric> {
    let differs = [
        old.size != new.size,
        old.images != new.images,
        old.downloads != new.downloads,
        old.created != new.created,
        old.updated != new.updated,
        (old.category, old.visibility) != (new.category, new.visibility),
    ];
    RepositoryMetric::ALL.into_iter().zip(differs).filter(|(_, differs)| *differs).map(|(metric, _)| metric)
}

/// Takes the lines of one family.
pub(super) struct Lines<'a> {
    pub(super) family: &'static Family,
    /// The constant labels, encoded.
    pub(super) constant: &'a [u8],
    /// The index of the repository among the selected ones of the block.
    pub(super) row: usize,
    pub(super) text: &'a mut Vec<u8>,
    pub(super) lines: &'a mut Vec<Line>,
}

impl Lines<'_> {
    /// Writes a sample whose labels `labels` appends, with the opening brace and without the closing one.
    pub(super) fn sample(&mut self, value: Value, labels: impl FnOnce(&mut Vec<u8>)) {
        self.text.extend_from_slice(self.family.name.as_bytes());
        labels(self.text);
        self.text.extend_from_slice(self.constant);
        self.text.push(b'}');
        write_value(value, self.text);
        self.lines.push(Line { row: self.row, end: self.text.len() });
    }

    /// Writes the only sample of a repository in this family, if it has a value.
    pub(super) fn figure(&mut self, row: &Row<'_>, value: Option<Value>) {
        if let Some(value) = value {
            self.sample(value, |out| out.extend_from_slice(row.prefix));
        }
    }
}
