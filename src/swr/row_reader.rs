//! Rows of the repository list, of which those that come as they were before are taken over without parsing.
//!
//! A row is known by a keyed hash of 128 bits of its text. The key is drawn when the client is made and leaves it nowhere,
//! so texts with the same hash cannot be found on purpose, and by chance not within the life of a machine: a billion pairs
//! of texts per second for a hundred years collide with a probability below 10^-19.

use super::wire::{self, DroppedFields, StringInterner};
use crate::model::chunks::{Fingerprint, Packer};
use crate::model::repositories::Place;
use crate::model::{Repositories, Row};
use hashbrown::HashTable;
use highway::{HighwayHash, HighwayHasher, Key};
use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Reads the rows of one array.
pub trait RowReader: Send {
    /// A row.
    type Row: Send;
    /// Reads the next row, and returns the length of the whole list, if the row states it.
    ///
    /// # Errors
    /// When it is no JSON object.
    fn read(&mut self, object: &[u8], dropped: &mut DroppedFields) -> Result<Option<u64>, serde_json::Error>;
    /// The rows that could be understood.
    fn finish(self) -> Vec<Self::Row>;
}

/// The key of the hashes of one client.
#[derive(Clone, Copy)]
pub struct FingerprintKey(Key);

impl FingerprintKey {
    /// A random key.
    pub fn random() -> Self {
        // Each is seeded by the operating system.
        let random = RandomState::new();
        Self(Key([0, 1, 2, 3].map(|part: u64| random.hash_one(part))))
    }

    fn hash(&self, text: &[u8]) -> Fingerprint {
        Fingerprint(HighwayHasher::new(self.0).hash128(text))
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey")
    }
}

/// The rows of the listing before, found by their fingerprints.
#[derive(Debug)]
pub struct KnownRows {
    key: FingerprintKey,
    rows: Repositories,
    /// With the fingerprints, so that a row is found without a look at where it lies.
    places: HashTable<(Fingerprint, Place)>,
}

impl KnownRows {
    /// The rows of a listing that was read with this key. Takes some 50 ns per row.
    pub fn of(rows: Repositories, key: FingerprintKey) -> Self {
        let mut places = HashTable::with_capacity(rows.len());
        for (fingerprint, place) in rows.fingerprints() {
            places.insert_unique(fingerprint.0[0], (fingerprint, place), |(known, _)| known.0[0]);
        }
        Self { key, rows, places }
    }

    /// No rows.
    pub fn none(key: FingerprintKey) -> Self {
        Self::of(Repositories::default(), key)
    }

    /// Those rows.
    pub fn repositories(&self) -> &Repositories {
        &self.rows
    }

    fn get(&self, fingerprint: Fingerprint) -> Option<Row> {
        let found = self.places.find(fingerprint.0[0], |(known, _)| *known == fingerprint);
        found.map(|(_, place)| self.rows.row(*place))
    }
}

/// Reads the rows of one page.
pub struct ListingRows<'k> {
    known: &'k KnownRows,
    interner: StringInterner,
    packer: Packer,
    rows: Vec<ReadRow>,
}

enum ReadRow {
    Known(Row),
    /// The next row of the packer.
    Packed,
}

impl<'k> ListingRows<'k> {
    /// A reader without rows.
    pub fn new(known: &'k KnownRows) -> Self {
        Self { known, interner: StringInterner::default(), packer: Packer::default(), rows: Vec::new() }
    }
}

impl RowReader for ListingRows<'_> {
    type Row = Row;

    fn read(&mut self, object: &[u8], dropped: &mut DroppedFields) -> Result<Option<u64>, serde_json::Error> {
        let (text, total) = without_total(object);
        let fingerprint = self.known.key.hash(text);
        if let Some(row) = self.known.get(fingerprint) {
            self.rows.push(ReadRow::Known(row));
            return Ok(total);
        }
        let dropped_before = *dropped;
        let row = wire::repository(object, &mut self.interner, dropped)?;
        if let Some(repository) = &row.repository {
            // A row with an odd value is parsed and counted each time, and so is one whose total stands elsewhere.
            let is_plain = *dropped == dropped_before && row.total == total;
            self.packer.push(repository.as_ref(), if is_plain { fingerprint } else { Fingerprint::NONE });
            self.rows.push(ReadRow::Packed);
        }
        Ok(row.total)
    }

    fn finish(mut self) -> Vec<Row> {
        let chunk = self.packer.finish();
        let mut packed = Row::all(&chunk);
        let row = |row| match row {
            ReadRow::Known(row) => row,
            ReadRow::Packed => packed.next().expect("each was packed"),
        };
        self.rows.into_iter().map(row).collect()
    }
}

/// Splits a row into what describes its repository, and the length of the whole list behind it. That is part of each row of
/// the v2 API, where a single new repository would make all rows differ.
fn without_total(object: &[u8]) -> (&[u8], Option<u64>) {
    let split = || {
        let inner = object.strip_suffix(b"}")?;
        let digits = inner.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let (before, digits) = inner.split_at(inner.len() - digits);
        let total = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some((before.strip_suffix(b"\"total_range\":")?, total))
    };
    split().map_or((object, None), |(text, total)| (text, Some(total)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Repository;
    use proptest::prelude::*;

    fn read(known: &KnownRows, objects: &[String]) -> (Vec<Repository>, Vec<Option<u64>>, DroppedFields, Repositories) {
        let (mut reader, mut dropped) = (ListingRows::new(known), DroppedFields::default());
        let totals = objects.iter().map(|object| reader.read(object.as_bytes(), &mut dropped).unwrap()).collect();
        let rows = reader.finish();
        let owned = rows.iter().map(|row| row.get().to_owned()).collect();
        (owned, totals, dropped, Repositories::merged(&rows, &known.rows).0)
    }

    fn parsed(objects: &[String]) -> (Vec<Repository>, Vec<Option<u64>>, DroppedFields) {
        let (mut interner, mut dropped) = (StringInterner::default(), DroppedFields::default());
        let rows =
            objects.iter().map(|object| wire::repository(object.as_bytes(), &mut interner, &mut dropped).unwrap());
        let (rows, totals): (Vec<_>, _) = rows.map(|row| (row.repository, row.total)).unzip();
        (rows.into_iter().flatten().collect(), totals, dropped)
    }

    fn row(name: &str, size: &str, total: u64) -> String {
        format!(r#"{{"namespace":"n","name":"{name}","size":{size},"total_range":{total}}}"#)
    }

    #[test]
    fn a_row_is_taken_over_though_the_list_has_grown_and_parsed_when_it_changed() {
        let key = FingerprintKey::random();
        let (_, _, _, before) = read(&KnownRows::none(key), &[row("a", "1", 2), row("b", "2", 2)]);
        let known = KnownRows::of(before.clone(), key);
        let now = [row("a", "1", 3), row("b", "3", 3), row("c", "4", 3)];
        let mut reader = ListingRows::new(&known);
        for object in &now {
            assert_eq!(reader.read(object.as_bytes(), &mut DroppedFields::default()).unwrap(), Some(3));
        }
        let is_known: Vec<_> = reader.rows.iter().map(|row| matches!(row, ReadRow::Known(_))).collect();
        assert_eq!(is_known, [true, false, false]);
        assert_eq!(read(&known, &now).0, parsed(&now).0);
        let other = KnownRows::of(before, FingerprintKey::random());
        assert_eq!(other.get(key.hash(b"anything")).map(drop), None);
    }

    #[test]
    fn a_row_with_an_odd_value_is_counted_each_time() {
        let key = FingerprintKey::random();
        let odd = [row("a", "-1", 1), r#"{"total_range":7,"name":"b","namespace":"n"}"#.into(), "{}".into()];
        let (_, _, first, rows) = read(&KnownRows::none(key), &odd);
        let (_, totals, second, _) = read(&KnownRows::of(rows, key), &odd);
        assert_eq!((first.number, first.name), (1, 1));
        assert_eq!((second, totals), (first, vec![Some(1), Some(7), None]));
    }

    #[test]
    fn only_the_total_at_the_end_is_no_part_of_the_row() {
        for (object, text, total) in [
            (r#"{"a":1,"total_range":12}"#, r#"{"a":1,"#, Some(12)),
            (r#"{"total_range":12,"a":1}"#, r#"{"total_range":12,"a":1}"#, None),
            (r#"{"total_range":-1}"#, r#"{"total_range":-1}"#, None),
            (r#"{"total_range":"1"}"#, r#"{"total_range":"1"}"#, None),
            (r#"{"total_range":99999999999999999999}"#, r#"{"total_range":99999999999999999999}"#, None),
            (r#"{"xtotal_range":1}"#, r#"{"xtotal_range":1}"#, None),
            ("{}", "{}", None),
            ("}", "}", None),
        ] {
            assert_eq!(without_total(object.as_bytes()), (text.as_bytes(), total), "{object}");
        }
    }

    fn object() -> impl Strategy<Value = String> {
        let name = prop_oneof![Just("\"a\""), Just("\"b\""), Just("\"\\u0061\""), Just("7"), Just("\"\"")];
        let value = prop_oneof![Just("1"), Just("2"), Just("-1"), Just("null"), Just("\"3\""), Just("1e400")];
        let end = prop_oneof![
            Just(",\"total_range\":1"),
            Just(",\"total_range\":23"),
            Just(",\"x\\\"total_range\":5"),
            Just(",\"total_range\":1,\"total_range\":2"),
            Just(""),
        ];
        (name, value.clone(), value, end).prop_map(|(name, size, created, end)| {
            format!(r#"{{"namespace":"n","name":{name},"size":{size},"created_at":{created}{end}}}"#)
        })
    }

    proptest! {
        #[test]
        fn what_is_taken_over_is_what_would_be_parsed(pages in prop::collection::vec(prop::collection::vec(object(), 0..12), 1..5)) {
            let key = FingerprintKey::random();
            let mut known = KnownRows::none(key);
            for page in pages {
                let (rows, totals, dropped, repositories) = read(&known, &page);
                prop_assert_eq!((rows, totals, dropped), parsed(&page));
                known = KnownRows::of(repositories, key);
            }
        }
    }
}
