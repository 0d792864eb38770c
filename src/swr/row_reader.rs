//! Rows of the repository list, of which those that come as they were before are taken over without parsing.
//!
//! A row is known by a keyed hash of 96 bits of its text. The key is drawn when the client is made and leaves it nowhere,
//! so texts with the same hash cannot be found on purpose, and by chance not within the life of a machine: a billion pairs
//! of texts per second for a hundred years collide with a probability below 10^-19.

use super::wire::{self, DroppedFields, StringInterner};
use crate::model::chunks::{Fingerprint, Packer};
use crate::model::repositories::KnownRow;
use crate::model::{Repositories, Row};
use hashbrown::HashTable;
use highway::{HighwayHash, HighwayHasher, Key};
use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Reads the rows of one array.
pub trait RowReader: Send {
    /// A row.
    type Row: Send;
    /// Reads the next row from the beginning of a text of which it may be a part, if it is known and that is seen at once.
    /// Returns how long it is, and the length of the whole list, if the row states it.
    fn read_known(&mut self, _text: &[u8]) -> Option<(usize, Option<u64>)> {
        None
    }
    /// Reads the next row, a JSON object. Returns the length of the whole list, if the row states it.
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
        let hash = HighwayHasher::new(self.0).hash128(text).map(u64::to_le_bytes);
        Fingerprint(*hash.as_flattened().first_chunk().expect("16 bytes"))
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
    repositories: Repositories,
    /// The numbers of the rows in the order in which they were listed, by their fingerprints.
    numbers: HashTable<u32>,
}

impl KnownRows {
    /// The rows of a listing that was read with this key. Takes some 30 ns per row.
    pub fn of(repositories: Repositories, key: FingerprintKey) -> Self {
        let mut numbers = HashTable::with_capacity(repositories.listed());
        let fingerprint = |number: usize| repositories.known_row(number).map(|row| row.fingerprint).unwrap_or_default();
        for number in 0..repositories.listed() {
            let own = fingerprint(number);
            if let (true, Ok(number)) = (own != Fingerprint::NONE, u32::try_from(number)) {
                numbers.insert_unique(own.short(), number, |other| fingerprint(*other as usize).short());
            }
        }
        Self { key, repositories, numbers }
    }

    /// No rows.
    pub fn none(key: FingerprintKey) -> Self {
        Self::of(Repositories::default(), key)
    }

    /// Those rows.
    pub fn repositories(&self) -> &Repositories {
        &self.repositories
    }

    fn find(&self, fingerprint: Fingerprint) -> Option<usize> {
        let is_same = |number: &u32| {
            self.repositories.known_row(*number as usize).is_some_and(|row| row.fingerprint == fingerprint)
        };
        self.numbers.find(fingerprint.short(), is_same).map(|number| *number as usize)
    }
}

/// Reads the rows of one page.
///
/// Most rows come in the order of the listing before. So the row that is expected next is looked at first: if the text begins
/// as long as the row was and has its hash, then it is that row, and nobody has to find out where it ends.
pub struct ListingRows<'k> {
    known: &'k KnownRows,
    /// The number of the known row that is expected next.
    number: usize,
    /// That row, and the one behind it: rows lie anywhere in memory, so each is fetched while another is read.
    expected: [Option<KnownRow>; 2],
    interner: StringInterner,
    packer: Packer,
    rows: Vec<ReadRow>,
}

enum ReadRow {
    Known(KnownRow),
    /// The next row of the packer.
    Packed,
}

impl<'k> ListingRows<'k> {
    /// A reader without rows.
    pub fn new(known: &'k KnownRows) -> Self {
        let (interner, packer) = Default::default();
        Self { known, number: 0, expected: [None; 2], interner, packer, rows: Vec::new() }
    }

    /// Expects the row with a number next.
    fn expect(&mut self, number: usize) {
        let row = |number| self.known.repositories.known_row(number);
        let next = self.expected[1].filter(|_| number == self.number + 1);
        self.expected = [next.or_else(|| row(number)), row(number + 1)];
        self.number = number;
    }
}

impl RowReader for ListingRows<'_> {
    type Row = Row;

    fn read_known(&mut self, text: &[u8]) -> Option<(usize, Option<u64>)> {
        let expected = self.expected[0]?;
        let (own, rest) = text.split_at_checked(expected.text_length.into())?;
        let (total, total_length) = match own.last()? {
            b'}' => (None, 0),
            b',' => total_at_start(rest).map(|(total, length)| (Some(total), length))?,
            _ => return None,
        };
        if self.known.key.hash(own) != expected.fingerprint {
            return None;
        }
        self.rows.push(ReadRow::Known(expected));
        self.expect(self.number + 1);
        Some((own.len() + total_length, total))
    }

    fn read(&mut self, object: &[u8], dropped: &mut DroppedFields) -> Result<Option<u64>, serde_json::Error> {
        let (text, total) = without_total(object);
        let fingerprint = self.known.key.hash(text);
        if let Some(number) = self.known.find(fingerprint) {
            self.rows.extend(self.known.repositories.known_row(number).map(ReadRow::Known));
            self.expect(number + 1);
            return Ok(total);
        }
        let dropped_before = *dropped;
        let row = wire::repository(object, &mut self.interner, dropped)?;
        if let Some(repository) = &row.repository {
            // A row with an odd value is parsed and counted each time, and so is one whose total stands elsewhere.
            let is_plain = *dropped == dropped_before && row.total == total;
            let (fingerprint, length) = match u16::try_from(text.len()) {
                Ok(length) if is_plain => (fingerprint, length),
                _ => (Fingerprint::NONE, 0),
            };
            self.packer.push(repository.as_ref(), fingerprint, length);
            self.rows.push(ReadRow::Packed);
            // A repository that changed is in the place of what it was.
            if self.expected[0].is_some_and(|row| row.has_key_of(&self.packer)) {
                self.expect(self.number + 1);
            }
        }
        Ok(row.total)
    }

    fn finish(mut self) -> Vec<Row> {
        let chunk = self.packer.finish();
        let mut packed = Row::all(&chunk);
        let row = |row| match row {
            ReadRow::Known(known) => self.known.repositories.row(&known),
            ReadRow::Packed => packed.next().expect("each was packed"),
        };
        self.rows.into_iter().map(row).collect()
    }
}

/// The key before the length of the whole list.
const TOTAL: &[u8] = b"\"total_range\":";

/// The length of the whole list with which the rest of a row begins, and how long that is.
fn total_at_start(rest: &[u8]) -> Option<(u64, usize)> {
    let digits = rest.strip_prefix(TOTAL)?;
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let total = std::str::from_utf8(&digits[..count]).ok()?.parse().ok()?;
    (digits.get(count) == Some(&b'}')).then_some((total, TOTAL.len() + count + 1))
}

/// Splits a row into what describes its repository, and the length of the whole list behind it. That is part of each row of
/// the v2 API, where a single new repository would make all rows differ.
fn without_total(object: &[u8]) -> (&[u8], Option<u64>) {
    let split = || {
        let inner = object.strip_suffix(b"}")?;
        let digits = inner.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let (before, digits) = inner.split_at(inner.len() - digits);
        let total = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some((before.strip_suffix(TOTAL)?, total))
    };
    split().map_or((object, None), |(text, total)| (text, Some(total)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Repository;
    use crate::swr::ApiError;
    use crate::swr::json_array::{JsonArraySplitter, ObjectSink};
    use proptest::prelude::*;

    /// Takes the rows of a page, and counts those that were known at once.
    struct Page<'k> {
        rows: ListingRows<'k>,
        dropped: DroppedFields,
        totals: Vec<Option<u64>>,
        at_once: usize,
    }

    impl ObjectSink<ApiError> for &mut Page<'_> {
        fn known(&mut self, text: &[u8]) -> Option<usize> {
            let (length, total) = self.rows.read_known(text)?;
            self.totals.push(total);
            self.at_once += 1;
            Some(length)
        }

        fn object(&mut self, object: &[u8]) -> Result<(), ApiError> {
            self.totals.push(self.rows.read(object, &mut self.dropped)?);
            Ok(())
        }
    }

    /// Reads a page that arrives in pieces of this length.
    fn page<'k>(known: &'k KnownRows, objects: &[String], piece: usize) -> Page<'k> {
        let rows = ListingRows::new(known);
        let mut page = Page { rows, dropped: DroppedFields::default(), totals: Vec::new(), at_once: 0 };
        let body = format!("[{}]", objects.join(","));
        let mut splitter = JsonArraySplitter::default();
        body.as_bytes().chunks(piece).for_each(|piece| splitter.feed(piece, &mut page).unwrap());
        splitter.finish().unwrap();
        page
    }

    fn read(known: &KnownRows, objects: &[String]) -> (Vec<Repository>, Vec<Option<u64>>, DroppedFields, Repositories) {
        let Page { rows, totals, dropped, .. } = page(known, objects, 150);
        let rows = rows.finish();
        let owned = rows.iter().map(|row| row.get().to_owned()).collect();
        (owned, totals, dropped, Repositories::merged(&rows, &known.repositories).0)
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
        let reader = page(&known, &now, usize::MAX);
        assert_eq!(reader.totals, [Some(3); 3]);
        let is_known: Vec<_> = reader.rows.rows.iter().map(|row| matches!(row, ReadRow::Known(_))).collect();
        assert_eq!(is_known, [true, false, false]);
        assert_eq!(read(&known, &now).0, parsed(&now).0);
        let other = KnownRows::of(before, FingerprintKey::random());
        assert_eq!(other.find(key.hash(b"anything")), None);
    }

    #[test]
    fn rows_in_the_order_of_before_are_known_at_once_though_others_change_come_and_go() {
        let key = FingerprintKey::random();
        let rows =
            |range: std::ops::Range<u32>| range.map(|number| row(&format!("{:03}", number * 37 % 100), "1", 100));
        let mut now: Vec<_> = rows(0..100).collect();
        let (_, _, _, before) = read(&KnownRows::none(key), &now);
        let known = KnownRows::of(before, key);
        assert_eq!(page(&known, &now, usize::MAX).at_once, 99, "nothing is expected of the first");
        now[20] = row("040", "2", 100);
        now.remove(40);
        now.insert(60, row("new", "2", 100));
        // The first, the one that changed, the one behind a gap, and the new one.
        assert_eq!(page(&known, &now, usize::MAX).at_once, 96);
        assert_eq!(read(&known, &now).0, parsed(&now).0);
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
        fn what_is_taken_over_is_what_would_be_parsed(piece in 1usize..300, pages in prop::collection::vec(prop::collection::vec(object(), 0..12), 1..5)) {
            let key = FingerprintKey::random();
            let mut known = KnownRows::none(key);
            for objects in pages {
                let (rows, totals, dropped, repositories) = read(&known, &objects);
                prop_assert_eq!(page(&known, &objects, piece).totals, totals.clone());
                prop_assert_eq!((rows, totals, dropped), parsed(&objects));
                known = KnownRows::of(repositories, key);
            }
        }
    }
}
