//! The families with samples per repository, and how the samples of one repository are written.

use super::line_deflater::Line;
use super::repository_metrics::RepositoryMetric;
use super::text::{Value, label, open_label, write_value};
use crate::catalog::{self, Family};
use crate::model::tags::{AGE_LABELS, Details, ManifestKind, Reclaimable, ReclaimableHere, TagFigures, TagSeries};
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

/// The samples of a repository in a family, any number of them.
#[derive(Clone, Copy)]
pub(super) enum Samples {
    /// A value of the listing, or one with values of the listing as labels.
    Listing(RepositoryMetric),
    /// A figure of its tags.
    Tags(fn(&TagFigures) -> Option<Value>),
    /// The number of its tags in each age class.
    Ages,
    /// Another figure beyond the listing.
    Images(fn(&RepositoryImages) -> Option<Value>),
    /// Its details as labels.
    Details,
    /// A figure of each clean-up rule that picks tags of it.
    Rules(fn(&ReclaimableHere) -> Option<Value>),
    /// A figure of each tag that has series of its own.
    Series(fn(&TagSeries) -> Option<Value>),
    /// The properties of such a tag as labels.
    SeriesInfo,
}

/// A family with samples per repository.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) family: &'static Family,
    pub(super) samples: Samples,
}

impl Column {
    /// The column of a metric of the listing.
    pub(super) fn of(metric: RepositoryMetric) -> Self {
        let family = match metric {
            RepositoryMetric::Size => &catalog::REPOSITORY_SIZE,
            RepositoryMetric::Images => &catalog::REPOSITORY_IMAGES,
            RepositoryMetric::Downloads => &catalog::REPOSITORY_DOWNLOADS,
            RepositoryMetric::Created => &catalog::REPOSITORY_CREATED,
            RepositoryMetric::Updated => &catalog::REPOSITORY_UPDATED,
            RepositoryMetric::Info => &catalog::REPOSITORY_INFO,
        };
        Self { family, samples: Samples::Listing(metric) }
    }

    /// Writes the samples of a repository.
    pub(super) fn write(&self, row: &Row<'_>, lines: &mut Lines<'_>) {
        let tags = row.images.and_then(|images| images.tags.as_ref());
        let (labels, repository) = (self.family.labels, &row.repository);
        match self.samples {
            Samples::Listing(RepositoryMetric::Size) => lines.figure(row, repository.size.map(Value::Integer)),
            Samples::Listing(RepositoryMetric::Images) => lines.figure(row, repository.images.map(Value::Integer)),
            Samples::Listing(RepositoryMetric::Downloads) => {
                lines.figure(row, repository.downloads.map(Value::Integer));
            }
            Samples::Listing(RepositoryMetric::Created) => lines.figure(row, repository.created.map(Value::Time)),
            Samples::Listing(RepositoryMetric::Updated) => lines.figure(row, repository.updated.map(Value::Time)),
            Samples::Listing(RepositoryMetric::Info) => lines.sample(row, Value::Integer(1), |out| {
                label(b',', labels[2], repository.category.map_or("", |category| category), out);
                label(b',', labels[3], visibility(repository.visibility), out);
            }),
            Samples::Tags(value) => lines.figure(row, tags.and_then(value)),
            Samples::Ages => {
                for (age, count) in tags.into_iter().flat_map(|tags| AGE_LABELS.into_iter().zip(tags.by_age)) {
                    lines.sample(row, Value::Integer(count.into()), |out| label(b',', labels[2], age, out));
                }
            }
            Samples::Images(value) => lines.figure(row, row.images.and_then(value)),
            Samples::Details => {
                if let Some(details) = row.images.and_then(|images| images.details.as_deref()) {
                    lines.sample(row, Value::Integer(1), |out| details_labels(details, labels, out));
                }
            }
            Samples::Rules(value) => {
                for of_rule in row.reclaimable {
                    let found = of_rule.repositories.binary_search_by_key(&row.index, |here| here.index as usize);
                    if let Some(value) = found.ok().and_then(|found| value(&of_rule.repositories[found])) {
                        lines.sample(row, value, |out| label(b',', labels[2], &of_rule.rule.to_string(), out));
                    }
                }
            }
            Samples::Series(value) => {
                for (tag, value) in series(tags).iter().filter_map(|tag| Some((tag, value(tag)?))) {
                    lines.sample(row, value, |out| label(b',', labels[2], &tag.name, out));
                }
            }
            Samples::SeriesInfo => {
                for tag in series(tags) {
                    lines.sample(row, Value::Integer(1), |out| tag_labels(tag, labels, out));
                }
            }
        }
    }

    /// Whether two states of a repository give the same samples beyond those of the listing and of clean-up rules.
    pub(super) fn is_same(&self, new: &RepositoryImages, old: &RepositoryImages) -> bool {
        let (new_tags, old_tags) = (new.tags.as_ref(), old.tags.as_ref());
        match self.samples {
            Samples::Tags(value) => new_tags.and_then(value) == old_tags.and_then(value),
            Samples::Ages => new_tags.map(|tags| tags.by_age) == old_tags.map(|tags| tags.by_age),
            Samples::Images(value) => value(new) == value(old),
            Samples::Details => new.details == old.details,
            Samples::Series(_) | Samples::SeriesInfo => series(new_tags) == series(old_tags),
            Samples::Listing(_) | Samples::Rules(_) => true,
        }
    }
}

fn series(tags: Option<&TagFigures>) -> &[TagSeries] {
    tags.and_then(|tags| tags.series.as_deref()).unwrap_or_default()
}

fn visibility(visibility: Option<Visibility>) -> &'static str {
    match visibility {
        Some(Visibility::Public) => "public",
        Some(Visibility::Private) => "private",
        None => "",
    }
}

fn details_labels(details: &Details, labels: &[&str], out: &mut Vec<u8>) {
    number_label(labels[2], details.id, out);
    label(b',', labels[3], details.creator.as_deref().unwrap_or_default(), out);
    label(b',', labels[4], details.domain_id.as_deref().unwrap_or_default(), out);
}

fn tag_labels(tag: &TagSeries, labels: &[&str], out: &mut Vec<u8>) {
    let kind = match tag.contents {
        ManifestKind::Image => "image",
        ManifestKind::Index => "index",
        ManifestKind::Unknown => "",
    };
    let truth = |value: Option<bool>| value.map_or("", |value| if value { "true" } else { "false" });
    label(b',', labels[2], &tag.name, out);
    label(b',', labels[3], &tag.digest, out);
    label(b',', labels[4], kind, out);
    number_label(labels[5], tag.schema, out);
    label(b',', labels[6], truth(tag.trusted), out);
    label(b',', labels[7], truth(tag.scanned), out);
}

/// Appends a label whose value is a number, or empty if it is not known.
fn number_label(name: &str, value: Option<u64>, out: &mut Vec<u8>) {
    open_label(b',', name, out);
    if let Some(value) = value {
        super::number::integer(value, out);
    }
    out.push(b'"');
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
    /// Writes a sample; `labels` appends those behind the labels of the repository.
    fn sample(&mut self, row: &Row<'_>, value: Value, labels: impl FnOnce(&mut Vec<u8>)) {
        self.text.extend_from_slice(self.family.name.as_bytes());
        self.text.extend_from_slice(row.prefix);
        labels(self.text);
        self.text.extend_from_slice(self.constant);
        self.text.push(b'}');
        write_value(value, self.text);
        self.lines.push(Line { row: self.row, end: self.text.len() });
    }

    /// Writes the only sample of a repository in this family, if it has a value.
    fn figure(&mut self, row: &Row<'_>, value: Option<Value>) {
        if let Some(value) = value {
            self.sample(row, value, |_| {});
        }
    }
}
