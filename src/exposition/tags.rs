//! The families of tags and details: which there are, and their lines, a repository at a time.
//!
//! All of them begin with the labels of a repository and may have any number of lines for each. Whether the lines of a
//! repository are those of an earlier page is told without writing them, so that most of a page need not be written anew.

use super::rows::Rows;
use super::text::{Counts, Value, Writer, label, open_label, write_value};
use crate::catalog::{self, Family};
use crate::model::Images;
use crate::model::tags::{ManifestKind, RepositoryImages, TagFigures, TagSeries};
use std::io::{self, Write};
use std::sync::Arc;

/// A family with lines for each repository. A page has them in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagFamily {
    Tags,
    Unlayered,
    Unique,
    Exclusive,
    Newest,
    Oldest,
    ByAge,
    DetailsInfo,
    Priority,
    TagSize,
    TagCreated,
    TagUpdated,
    TagInfo,
}

/// The `age` label, youngest class first.
const AGES: [&str; 5] = ["7d", "30d", "90d", "365d", "older"];

impl TagFamily {
    pub(super) const ALL: [Self; 13] = [
        Self::Tags,
        Self::Unlayered,
        Self::Unique,
        Self::Exclusive,
        Self::Newest,
        Self::Oldest,
        Self::ByAge,
        Self::DetailsInfo,
        Self::Priority,
        Self::TagSize,
        Self::TagCreated,
        Self::TagUpdated,
        Self::TagInfo,
    ];

    pub(super) const fn family(self) -> &'static Family {
        match self {
            Self::Tags => &catalog::REPOSITORY_TAGS,
            Self::Unlayered => &catalog::REPOSITORY_UNLAYERED_TAGS,
            Self::Unique => &catalog::REPOSITORY_UNIQUE_LAYERS,
            Self::Exclusive => &catalog::REPOSITORY_EXCLUSIVE_LAYERS,
            Self::Newest => &catalog::REPOSITORY_NEWEST_TAG,
            Self::Oldest => &catalog::REPOSITORY_OLDEST_TAG,
            Self::ByAge => &catalog::REPOSITORY_TAGS_BY_AGE,
            Self::DetailsInfo => &catalog::DETAILS_INFO,
            Self::Priority => &catalog::PRIORITY,
            Self::TagSize => &catalog::TAG_SIZE,
            Self::TagCreated => &catalog::TAG_CREATED,
            Self::TagUpdated => &catalog::TAG_UPDATED,
            Self::TagInfo => &catalog::TAG_INFO,
        }
    }

    /// The value, where there is one at most for each repository.
    fn value(self, of: &RepositoryImages) -> Option<Value> {
        let tags = of.tags.as_ref();
        match self {
            Self::Tags => tags.map(|tags| Value::Integer(tags.tags.into())),
            Self::Unlayered => tags.filter(|tags| tags.unlayered > 0).map(|tags| Value::Integer(tags.unlayered.into())),
            Self::Unique => tags.map(|tags| Value::Sum(tags.unique_bytes)),
            Self::Exclusive => tags.and_then(|tags| tags.exclusive_bytes).map(Value::Sum),
            Self::Newest => tags.and_then(|tags| tags.newest).map(Value::Time),
            Self::Oldest => tags.and_then(|tags| tags.oldest).map(Value::Time),
            Self::Priority => of.details.as_ref().and_then(|details| details.priority).map(Value::Signed),
            Self::DetailsInfo => of.details.as_ref().map(|_| Value::Integer(1)),
            Self::ByAge | Self::TagSize | Self::TagCreated | Self::TagUpdated | Self::TagInfo => None,
        }
    }

    /// Whether two repositories of one name have the same lines.
    pub(super) fn is_same(self, a: &RepositoryImages, b: &RepositoryImages) -> bool {
        match self {
            Self::ByAge => a.tags.as_ref().map(|tags| tags.by_age) == b.tags.as_ref().map(|tags| tags.by_age),
            Self::TagSize | Self::TagCreated | Self::TagUpdated | Self::TagInfo => same(series(a), series(b)),
            Self::DetailsInfo => same(a.details.as_ref(), b.details.as_ref()),
            _ => self.value(a) == self.value(b),
        }
    }

    /// Appends the lines of one repository, whose labels begin with `identity`; how many there are.
    pub(super) fn lines(self, identity: &[u8], of: &RepositoryImages, out: &mut Vec<u8>) -> usize {
        match self {
            Self::ByAge => {
                let Some(TagFigures { by_age, .. }) = &of.tags else { return 0 };
                for (age, tags) in AGES.into_iter().zip(by_age) {
                    self.begin(identity, out);
                    label(b',', self.family().labels[2], age, out);
                    end(Value::Integer((*tags).into()), out);
                }
                AGES.len()
            }
            Self::TagSize => self.series_lines(identity, of, out, |tag| tag.size.map(Value::Integer)),
            Self::TagCreated => self.series_lines(identity, of, out, |tag| tag.created.map(Value::Time)),
            Self::TagUpdated => self.series_lines(identity, of, out, |tag| tag.updated.map(Value::Time)),
            Self::TagInfo => self.series_lines(identity, of, out, |_| Some(Value::Integer(1))),
            _ => {
                let Some(value) = self.value(of) else { return 0 };
                self.begin(identity, out);
                if let (Self::DetailsInfo, Some(details)) = (self, &of.details) {
                    let labels = self.family().labels;
                    open_label(b',', labels[2], out);
                    if let Some(id) = details.id {
                        super::number::integer(id, out);
                    }
                    out.push(b'"');
                    label(b',', labels[3], details.creator.as_deref().unwrap_or_default(), out);
                    label(b',', labels[4], details.domain_id.as_deref().unwrap_or_default(), out);
                }
                end(value, out);
                1
            }
        }
    }

    fn series_lines(
        self,
        identity: &[u8],
        of: &RepositoryImages,
        out: &mut Vec<u8>,
        value: impl Fn(&TagSeries) -> Option<Value>,
    ) -> usize {
        let mut lines = 0;
        for tag in series(of).into_iter().flat_map(|series| series.iter()) {
            let Some(value) = value(tag) else { continue };
            self.begin(identity, out);
            label(b',', self.family().labels[2], &tag.name, out);
            if self == Self::TagInfo {
                info_labels(tag, self.family().labels, out);
            }
            end(value, out);
            lines += 1;
        }
        lines
    }

    fn begin(self, identity: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.family().name.as_bytes());
        out.extend_from_slice(identity);
    }
}

fn info_labels(tag: &TagSeries, labels: &[&str], out: &mut Vec<u8>) {
    label(b',', labels[3], &tag.digest, out);
    let kind = match tag.kind {
        ManifestKind::Image => "image",
        ManifestKind::Index => "index",
        ManifestKind::Unknown => "",
    };
    label(b',', labels[4], kind, out);
    open_label(b',', labels[5], out);
    if let Some(schema) = tag.schema {
        super::number::integer(schema, out);
    }
    out.push(b'"');
    let truth = |value: Option<bool>| value.map_or("", |value| if value { "true" } else { "false" });
    label(b',', labels[6], truth(tag.trusted), out);
    label(b',', labels[7], truth(tag.scanned), out);
}

fn end(value: Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"} ");
    write_value(value, out);
    out.push(b'\n');
}

fn series(of: &RepositoryImages) -> Option<&Arc<[TagSeries]>> {
    of.tags.as_ref()?.series.as_ref()
}

/// What is the same in memory is equal; what is not is compared, because a book may have been read again from its file.
fn same<T: PartialEq + ?Sized>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
        (None, None) => true,
        _ => false,
    }
}

/// Writes the sums over organisations and the account.
pub(super) fn write_sums(images: &Images, writer: &mut Writer<impl Write>) -> io::Result<()> {
    let family = &catalog::NAMESPACE_UNIQUE_LAYERS;
    writer.family(
        family,
        &images.namespaces,
        |(_, bytes)| Some(Value::Sum(*bytes)),
        |(name, _), out| {
            label(b'{', family.labels[0], name, out);
            out.push(b'}');
        },
    )?;
    writer.family(&catalog::UNIQUE_LAYERS, [()], |()| images.unique_bytes.map(Value::Sum), |(), _| {})
}

/// Writes the families of tags and details as they are, without the sums.
pub(super) fn write_images(images: &Images, rows: &Rows, sink: &mut impl Write) -> io::Result<Counts> {
    let mut counts = Counts::default();
    let mut lines = Vec::new();
    for family in TagFamily::ALL {
        let mut has_begun = false;
        for (place, identity) in rows.iter() {
            let series = family.lines(identity, &images.repositories[place], &mut lines);
            if series > 0 && !has_begun {
                has_begun = true;
                let mut head = Vec::new();
                super::text::metadata(family.family(), &mut head);
                sink.write_all(&head)?;
                counts.bytes += head.len();
            }
            counts.series += series;
            if lines.len() >= super::text::CHUNK {
                sink.write_all(&lines)?;
                counts.bytes += lines.len();
                lines.clear();
            }
        }
        sink.write_all(&lines)?;
        counts.bytes += lines.len();
        lines.clear();
    }
    Ok(counts)
}
