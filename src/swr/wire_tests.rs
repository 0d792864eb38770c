use super::*;
use crate::swr::repository::details;
use crate::swr::{account, artifacts, enterprise, manifest, retention, tags};
use proptest::prelude::*;

fn read(object: &str) -> (RepositoryRow, DroppedFields) {
    let mut dropped = DroppedFields::default();
    let row = repository(object.as_bytes(), &mut StringInterner::default(), &mut dropped).unwrap();
    (row, dropped)
}

#[test]
fn the_documented_example_is_read_whole() {
    let (row, dropped) = read(
        r#"{"name":"nginx","category":"linux","size":200977474,"is_public":false,"num_images":2,"num_download":0,
        "created_at":"2017-01-01T00:00:00Z","updated_at":"2017-09-11T03:00:02.542841141Z","logo":"","url":"",
        "path":"192.158.24.86/namespace/repository","domain_name":"root","namespace":"root",
        "tags":["latest","log"],"status":false,"total_range":1}"#,
    );
    let repository = row.repository.unwrap();
    assert_eq!(repository.key(), ("root", "nginx"));
    assert_eq!(repository.category.as_deref(), Some("linux"));
    assert_eq!(repository.visibility, Some(Visibility::Private));
    assert_eq!((repository.size, repository.images, repository.downloads), (Some(200_977_474), Some(2), Some(0)));
    assert_eq!(repository.created, Some(Timestamp(1_483_228_800_000_000_000)));
    assert_eq!(repository.updated, Some(Timestamp(1_505_098_802_542_841_141)));
    assert_eq!((row.total, dropped), (Some(1), DroppedFields::default()));
}

#[test]
fn odd_numbers_cost_their_sample_and_are_counted() {
    let row = |value: &str| {
        let (row, dropped) = read(&format!(r#"{{"name":"a","namespace":"b","size":{value}}}"#));
        (row.repository.unwrap().size, dropped.number)
    };
    for value in [
        "-1",
        "1e400",
        "1.5",
        "\"many\"",
        "\"-12\"",
        "\"\"",
        "[]",
        "{}",
        "true",
        "18446744073709551616",
        "1.8446744073709552e19",
        "\"1,5e3\"",
    ] {
        assert_eq!(row(value), (None, 1), "{value}");
    }
    assert_eq!(row("null"), (None, 0));
    assert_eq!(row("9007199254740993"), (Some((1 << 53) + 1), 0));
    assert_eq!(row("9223372036854775807"), (Some(i64::MAX as u64), 0));
    assert_eq!(row("0"), (Some(0), 0));
    assert_eq!(row("\"12\""), (Some(12), 0), "a number as text");
    for spelled in ["1.5e9", "1.5E+9", "1500000000.0", "\"1.5e+09\"", "15000000000e-1"] {
        assert_eq!(row(spelled), (Some(1_500_000_000), 0), "{spelled}");
    }
}

#[test]
fn fractions_are_read_as_they_are_and_nonsense_is_counted() {
    let read = |text: &str| {
        let (raw, mut dropped): (Box<RawValue>, _) = (serde_json::from_str(text).unwrap(), DroppedFields::default());
        (float(Some(&raw), &mut dropped), dropped.number)
    };
    assert_eq!(read("99.21"), (Some(99.21), 0));
    assert_eq!(read("7"), (Some(7.0), 0));
    assert_eq!(read("1e3"), (Some(1000.0), 0));
    assert_eq!(read("\"99.21\""), (Some(99.21), 0));
    for text in ["-0.5", "1e400", "\"inf\"", "\"nan\"", "\"x\"", "true", "[]"] {
        let counted = read(text);
        assert_eq!(counted, (None, 1), "{text}");
    }
}

#[test]
fn times_of_every_documented_form_are_read() {
    let row = |value: &str| {
        let (row, dropped) = read(&format!(r#"{{"name":"a","namespace":"b","created_at":{value}}}"#));
        (row.repository.unwrap().created.map(|time| time.0), dropped.timestamp)
    };
    for (text, nanoseconds) in [
        (r#""2026-03-26T07:42:40.069829Z""#, 1_774_510_960_069_829_000),
        (r#""2021-06-02T09:59:25.51307Z""#, 1_622_627_965_513_070_000),
        (r#""2025-05-22T20:28:30.467856+08:00""#, 1_747_916_910_467_856_000),
        (r#""1969-12-31T23:59:59.5Z""#, -500_000_000),
    ] {
        assert_eq!(row(text), (Some(nanoseconds), 0), "{text}");
    }
    for absent in ["null", r#""""#, r#""0001-01-01T00:00:00.000Z""#] {
        assert_eq!(row(absent), (None, 0), "{absent}");
    }
    for broken in [r#""2025-09-12:06:44:31""#, r#""forever""#, "12", r#""9999-01-01T00:00:00Z""#, "{}"] {
        assert_eq!(row(broken), (None, 1), "{broken}");
    }
}

#[test]
fn odd_labels_cost_their_value_and_are_counted() {
    let row = |fields: &str| {
        let (row, dropped) = read(&format!(r#"{{"name":"a","namespace":"b",{fields}}}"#));
        let Repository { category, visibility, .. } = row.repository.unwrap();
        (category.as_deref().map(str::to_owned), visibility, dropped.label)
    };
    for (text, expected) in [("true", Visibility::Public), ("\"false\"", Visibility::Private)] {
        assert_eq!(row(&format!("\"is_public\":{text}")), (None, Some(expected), 0), "{text}");
    }
    for odd in ["1", "\"yes\"", "[]", "\"\""] {
        assert_eq!(row(&format!("\"is_public\":{odd}")), (None, None, 1), "{odd}");
    }
    for odd in ["1", "{}", "true", "[\"linux\"]"] {
        assert_eq!(row(&format!("\"category\":{odd}")), (None, None, 1), "{odd}");
    }
    assert_eq!(row("\"category\":null,\"is_public\":null"), (None, None, 0));
}

#[test]
fn a_row_without_a_usable_name_is_left_out_and_counted() {
    for object in [r#"{"namespace":"a"}"#, r#"{"name":"","namespace":"a"}"#, r#"{"name":7,"namespace":"a"}"#, "{}"] {
        let (row, dropped) = read(object);
        assert!(row.repository.is_none());
        assert_eq!(dropped, DroppedFields { name: 1, ..DroppedFields::default() }, "{object}");
    }
}

#[test]
fn evil_names_become_valid_text() {
    let (row, _) = read(r#"{"name":"a\ud800b\n\"\\","namespace":"\u0000\ud83d\ude00"}"#);
    let repository = row.repository.unwrap();
    assert!(repository.name.starts_with("a\u{fffd}ed") && repository.name.ends_with("b\n\"\\"));
    assert_eq!(&*repository.namespace, "\0\u{1f600}");
    let mut dropped = DroppedFields::default();
    let bytes = b"{\"name\":\"x\xffy\",\"namespace\":\"n\"}";
    let row = repository_of(bytes, &mut dropped);
    assert_eq!(&*row.name, "x\u{fffd}ffy");
}

#[test]
fn names_that_differ_in_invalid_bytes_stay_different() {
    let name = |bytes: &[u8]| {
        let object = [b"{\"namespace\":\"n\",\"name\":\"".as_slice(), bytes, b"\"}"].concat();
        repository_of(&object, &mut DroppedFields::default()).name
    };
    let names = [&b"x\xff"[..], b"x\xfe", b"x\xc3", b"x\xc3\xc3", b"x\\ud800", b"x\\udfff", b"x"].map(name);
    let distinct: HashSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
}

#[test]
fn a_key_that_is_there_twice_costs_its_sample_and_no_more() {
    let twice = r#"{"namespace":"n","name":"a","size":1,"size":2,"created_at":"","created_at":"","category":"x",
        "category":"x","num_images":3,"unknown":1,"unknown":2,"total_range":5,"total_range":5}"#;
    let (row, dropped) = read(twice);
    let repository = row.repository.unwrap();
    assert_eq!((repository.size, repository.category, repository.images), (None, None, Some(3)));
    assert_eq!((row.total, dropped.number, dropped.timestamp), (None, 1, 1));
    let (row, dropped) = read(r#"{"namespace":"n","name":"a","name":"b"}"#);
    assert!(row.repository.is_none() && dropped.name == 1, "which of the two it is, is not known");
}

fn repository_of(bytes: &[u8], dropped: &mut DroppedFields) -> Repository {
    repository(bytes, &mut StringInterner::default(), dropped).unwrap().repository.unwrap()
}

#[test]
fn texts_that_repeat_are_kept_once() {
    let mut shared = StringInterner::default();
    let mut read = || {
        let object = br#"{"name":"a","namespace":"n","category":"linux"}"#;
        repository(object, &mut shared, &mut DroppedFields::default()).unwrap().repository.unwrap()
    };
    let (first, second) = (read(), read());
    assert!(Arc::ptr_eq(&first.namespace, &second.namespace));
    assert!(Arc::ptr_eq(first.category.as_ref().unwrap(), second.category.as_ref().unwrap()));
}

proptest! {
    #[test]
    fn any_time_that_can_be_shown_is_read_back(nanoseconds in i64::MIN / 2..i64::MAX / 2, digits in 0usize..=9, hours in -12i8..=14) {
        let scale = 10i64.pow(9 - u32::try_from(digits).unwrap());
        let rounded = nanoseconds.div_euclid(scale) * scale;
        let time = jiff::Timestamp::from_nanosecond(rounded.into()).unwrap();
        let offset = jiff::tz::Offset::constant(hours);
        let printed = time.display_with_offset(offset).to_string();
        prop_assert_eq!(parse_time(&printed), Some(Timestamp(rounded)));
    }

    /// Values of every type under the keys that are looked at, and texts that are no JSON at all.
    #[test]
    fn no_answer_makes_a_reader_panic(
        key in prop::sample::select(&["artifacts", "instances", "repositories", "page_info", "total", "storage_used", "namespace_quota", "quotas", "layers", "config"][..]),
        inner in prop::sample::select(&["id", "name", "instance_id", "namespace_name", "pull_count", "created_at", "next_marker", "repository_id", "digest", "size", "rules", "Tag"][..]),
        value in prop::sample::select(&["null", "-1", "1e400", "\"\\ud800\"", "[]", "{}", "true", "7", "\"sha256:\"", "\"2025-01-01T00:00:00Z\"", "18446744073709551616"][..]),
        garbage in ".{0,60}",
        json in "[\\{\\}\\[\\]\":,a-z0-9]{0,60}",
        bytes in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut dropped = DroppedFields::default();
        let mut read = |text: &str| {
            let _ = (account::organizations(text, &mut dropped), account::overview(text, &mut dropped), account::quotas(text, &mut dropped));
            let _ = (enterprise::instances(text, &mut dropped), enterprise::statistics(text, &mut dropped), enterprise::repositories(text, &mut dropped));
            let _ = (artifacts::page(text, &mut dropped), details(text, &mut dropped), retention::count(text, &mut dropped));
            let _ = (tags::tag(text.as_bytes(), &mut dropped), manifest::contents(text));
        };
        let item = format!(r#"{{"{inner}":{value}}}"#);
        let texts = [format!(r#"{{"{key}":{value}}}"#), format!(r#"{{"{key}":[{item}]}}"#), format!(r#"{{"{key}":{item}}}"#), format!("[{item}]")];
        texts.iter().chain([&item, &garbage, &json, &format!(r#"{{"layers":[{json}]}}"#)]).for_each(|text| read(text));
        let _ = (tags::tag(&bytes, &mut dropped), repository(&bytes, &mut StringInterner::default(), &mut dropped));
    }

    #[test]
    fn any_name_that_json_can_carry_is_read_as_it_is(name in "\\PC{1,200}") {
        let object = serde_json::json!({"name": name, "namespace": "n"}).to_string();
        let row = repository_of(object.as_bytes(), &mut DroppedFields::default());
        let (expected, _) = label_value::label_value(Cow::Borrowed(name.as_str()));
        prop_assert_eq!(&*row.name, &*expected);
    }
}
