//! The order of the house: rooms name only what ARCHITECTURE.md lets them name, files keep to one topic, nothing is left undone.

use super::{is_part_of_a_name, quoted, read, room_of, rows, rust_files, section, shipped_files};
use std::collections::BTreeSet;

/// The most lines that a file may have before somebody asks whether a second topic moved in.
const LONGEST_FILE: usize = 600;

/// The modules in the order of `lib.rs`.
fn rooms() -> Vec<String> {
    let lib = read("src/lib.rs");
    lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).map(str::to_owned).collect()
}

/// The first names of what follows each `prefix` in the code: `a` and `b` in `use prefix{a::x, b}`.
fn named_after(code: &str, prefix: &str) -> BTreeSet<String> {
    let name = |text: &str| -> String { text.trim_start().chars().take_while(|c| is_part_of_a_name(*c)).collect() };
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        // `x_crate::` and `super::super::` are other paths than `crate::` and `super::`.
        if code[..at].ends_with(|c| is_part_of_a_name(c) || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(name(rest));
            continue;
        };
        let (mut depth, mut start) = (1, 0);
        for (index, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                names.insert(name(&group[start..index]));
                start = index + 1;
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

/// What ARCHITECTURE.md says of a room.
struct Room {
    name: String,
    /// `None`: every room.
    may_name: Option<BTreeSet<String>>,
    /// Crates of others.
    never: Vec<String>,
}

fn code_map() -> Vec<Room> {
    rows(section(&read("ARCHITECTURE.md"), "## Code map"))
        .iter()
        .map(|cells| {
            let texts = |cell: &str| quoted(cell).into_iter().map(str::to_owned).collect::<Vec<_>>();
            Room {
                name: texts(&cells[0]).remove(0),
                may_name: (cells[2] != "every room").then(|| texts(&cells[2]).into_iter().collect()),
                never: texts(&cells[3]),
            }
        })
        .collect()
}

#[test]
fn the_code_map_has_the_rooms_in_their_order_and_looks_only_back() {
    let (map, rooms) = (code_map(), rooms());
    assert_eq!(map.iter().map(|room| room.name.clone()).collect::<Vec<_>>(), rooms);
    for (place, room) in map.iter().enumerate() {
        for named in room.may_name.iter().flatten() {
            assert!(rooms[..place].contains(named), "`{}` may not name `{named}`: it is declared later", room.name);
        }
    }
}

#[test]
fn a_room_names_only_what_the_code_map_lets_it_name() {
    let (map, rooms) = (code_map(), rooms());
    let mut wrong = Vec::new();
    for (path, code) in shipped_files() {
        let Some(room) = map.iter().find(|room| room.name == room_of(&path)) else { continue };
        let mut names = named_after(&code, "crate::");
        // From src/web/scrape.rs, the root is two steps up.
        let steps = path.components().count() - 1;
        names.extend(named_after(&code, &"super::".repeat(steps)));
        for named in names.iter().filter(|name| **name != room.name && rooms.contains(name)) {
            let place = |name: &String| rooms.iter().position(|room| room == name);
            let allowed = match &room.may_name {
                Some(may_name) => may_name.contains(named),
                None => place(named) < place(&room.name),
            };
            if !allowed {
                wrong.push(format!("{} names `{named}`", path.display()));
            }
        }
        for foreign in &room.never {
            if !named_after(&code, &format!("{foreign}::")).is_empty() {
                wrong.push(format!("{} names the crate `{foreign}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against ARCHITECTURE.md's code map:\n{}", wrong.join("\n"));
}

#[test]
fn names_are_found_in_every_form_of_path() {
    let code = "use crate::web;\nuse crate::{swr::{self, error::{A, B}}, cache,\n auth::Source};\nx(my_crate::no::y);\n\
                fn f() -> super::super::model::Row {}";
    assert_eq!(Vec::from_iter(named_after(code, "crate::")), ["auth", "cache", "swr", "web"]);
    assert_eq!(Vec::from_iter(named_after(code, "super::super::")), ["model"]);
}

#[test]
fn files_are_of_a_length_to_be_read() {
    for path in rust_files("src") {
        let lines = read(&path).lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines: did a second topic move in?", path.display());
    }
}

#[test]
fn nothing_is_left_undone_and_no_test_is_left_out() {
    // Put together, so that this file does not hold what it looks for.
    let hollow = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];
    for path in ["src", "tests", "benches"].into_iter().flat_map(rust_files) {
        let text = read(&path);
        for word in hollow {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}
