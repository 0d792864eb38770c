//! Faults in the content of responses: fields, rows, totals.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::faults::{Rows, RowsHook, Total};
use super::response::Response;
use super::response::quoted;

/// A row with its values as JSON text, so that they can exceed any number type.
type RawRow = BTreeMap<String, String>;

/// Sets or removes a key of some rows. Leaves a body that is not an array of objects unchanged.
pub(super) fn field(response: &mut Response, rows: &Rows, key: &str, json: Option<&str>) {
    raw_rows(response, |index, row| {
        let meant = match rows {
            Rows::All => true,
            Rows::At(place) => *place == index,
            Rows::Named(name) => row.get("name") == Some(&quoted(name)),
        };
        if meant {
            match json {
                Some(json) => drop(row.insert(key.to_owned(), json.to_owned())),
                None => drop(row.remove(key)),
            }
        }
    });
}

/// Runs a hook on the rows. Leaves a body that is not an array unchanged.
pub(super) fn rows(response: &mut Response, hook: &RowsHook) {
    if let Ok(mut rows) = serde_json::from_slice::<Vec<Value>>(&response.body) {
        hook(&mut rows);
        response.body = Value::from(rows).to_string().into_bytes();
    }
}

/// Falsifies the total. `ordinal` is the number of the request.
pub(super) fn total(response: &mut Response, lie: &Total, ordinal: u64) {
    let range = response.header("Content-Range").and_then(|range| {
        let (page, total) = range.split_once('/')?;
        Some((page.to_owned(), total.parse::<i64>().ok()?))
    });
    let changed = |truth: i64| match lie {
        Total::Is(number) => Some((number.to_string(), number.to_string())),
        Total::Off(difference) => Some(((truth + difference).to_string(), (truth + difference).to_string())),
        Total::Changing => {
            let number = truth + i64::try_from(ordinal % 7).unwrap_or_default() - 3;
            Some((number.to_string(), number.to_string()))
        }
        Total::Absent => None,
        Total::Text(text) => Some((text.clone(), quoted(text))),
    };
    if let Some((page, truth)) = range {
        match changed(truth) {
            Some((in_header, _)) => response.set("Content-Range", format!("{page}/{in_header}")),
            None => response.remove("Content-Range"),
        }
    }
    raw_rows(response, |_, row| {
        let Some(truth) = row.get("total_range").and_then(|text| text.parse().ok()) else {
            return;
        };
        match changed(truth) {
            Some((_, in_row)) => drop(row.insert("total_range".to_owned(), in_row)),
            None => drop(row.remove("total_range")),
        }
    });
}

fn raw_rows(response: &mut Response, mut change: impl FnMut(usize, &mut RawRow)) {
    let Ok(rows) = serde_json::from_slice::<Vec<BTreeMap<String, Box<RawValue>>>>(&response.body) else {
        return;
    };
    let rows: Vec<String> = rows
        .into_iter()
        .enumerate()
        .map(|(index, row)| {
            let mut row: RawRow = row.into_iter().map(|(key, value)| (key, value.get().to_owned())).collect();
            change(index, &mut row);
            let pairs: Vec<String> = row.iter().map(|(key, value)| format!("{}:{value}", quoted(key))).collect();
            format!("{{{}}}", pairs.join(","))
        })
        .collect();
    response.body = format!("[{}]", rows.join(",")).into_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"[{"name":"a","size":1,"total_range":2},{"name":"b","size":2,"total_range":2}]"#;

    fn page() -> Response {
        Response::json(BODY).with("Content-Range", "0-2/2")
    }

    fn text(response: &Response) -> &str {
        std::str::from_utf8(&response.body).unwrap()
    }

    #[test]
    fn a_field_can_hold_what_no_number_type_can() {
        for json in ["1e400", "1.5", "-1", "null", "\"12\"", "9007199254740993", "18446744073709551616", "NaN"] {
            let mut response = page();
            field(&mut response, &Rows::Named("b".to_owned()), "size", Some(json));
            let expected = BODY.replace("\"size\":2", &format!("\"size\":{json}"));
            assert_eq!(text(&response), expected);
        }
        let mut response = page();
        field(&mut response, &Rows::At(0), "size", None);
        assert_eq!(text(&response), BODY.replace("\"size\":1,", ""));
        field(&mut response, &Rows::All, "tags", Some("null"));
        assert_eq!(text(&response).matches("\"tags\":null").count(), 2);
    }

    #[test]
    fn a_total_can_lie_in_both_places() {
        for (lie, header, row) in [
            (Total::Is(-7), Some("0-2/-7"), Some("-7")),
            (Total::Off(3), Some("0-2/5"), Some("5")),
            (Total::Absent, None, None),
            (Total::Text("many".to_owned()), Some("0-2/many"), Some("\"many\"")),
            (Total::Changing, Some("0-2/3"), Some("3")),
        ] {
            let mut response = page();
            total(&mut response, &lie, 4);
            assert_eq!(response.header("content-range"), header, "{lie:?}");
            let rows = row.map_or(0, |row| text(&response).matches(&format!("\"total_range\":{row}}}")).count());
            assert_eq!(rows, if row.is_some() { 2 } else { 0 }, "{lie:?}");
            assert_eq!(text(&response).contains("total_range"), row.is_some());
        }
    }

    #[test]
    fn what_is_not_a_list_is_left_alone() {
        let mut response = Response::json("{}");
        field(&mut response, &Rows::All, "x", Some("1"));
        total(&mut response, &Total::Absent, 0);
        rows(&mut response, &(std::sync::Arc::new(Vec::clear) as RowsHook));
        assert_eq!(text(&response), "{}");
    }
}
