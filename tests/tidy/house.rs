//! The structure of the code: modules import only what the code map of ARCHITECTURE.md allows, files are short, nothing is
//! left undone.

use super::{is_part_of_a_name, quoted, read, rows, rust_files, section, shipped_files};
use std::collections::BTreeSet;

/// The most lines in a file. A longer one probably has a second topic.
const MAX_FILE: usize = 500;

/// The modules in the order of `lib.rs`.
fn modules() -> Vec<String> {
    let lib = read("src/lib.rs");
    lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).map(str::to_owned).collect()
}

/// The first names of the paths that follow each `prefix`: `a` and `b` of `use prefix{a::x, b}`.
fn named_after(code: &str, prefix: &str) -> BTreeSet<String> {
    let name = |text: &str| -> String { text.trim_start().chars().take_while(|c| is_part_of_a_name(*c)).collect() };
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        // `x_crate::` is not `crate::`, nor `super::super::` `super::`.
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

/// A row of the code map.
struct Module {
    name: String,
    /// The modules that it may import; `None` for all.
    may_import: Option<BTreeSet<String>>,
    /// The crates that it must not import.
    never: Vec<String>,
}

fn code_map() -> Vec<Module> {
    rows(section(&read("ARCHITECTURE.md"), "## Code map"))
        .iter()
        .map(|cells| {
            let texts = |cell: &str| quoted(cell).into_iter().map(str::to_owned).collect::<Vec<_>>();
            Module {
                name: texts(&cells[0]).remove(0),
                may_import: (cells[2] != "all").then(|| texts(&cells[2]).into_iter().collect()),
                never: texts(&cells[3]),
            }
        })
        .collect()
}

#[test]
fn the_code_map_has_the_modules_in_order_and_allows_only_earlier_ones() {
    let (map, modules) = (code_map(), modules());
    assert_eq!(map.iter().map(|module| module.name.clone()).collect::<Vec<_>>(), modules);
    for (index, module) in map.iter().enumerate() {
        for named in module.may_import.iter().flatten() {
            assert!(modules[..index].contains(named), "`{}` may not import `{named}`: it comes later", module.name);
        }
    }
}

#[test]
fn a_module_imports_only_what_the_code_map_allows() {
    let (map, modules) = (code_map(), modules());
    let mut wrong = Vec::new();
    for (path, code) in shipped_files() {
        let of = path.with_extension("").components().nth(1).unwrap().as_os_str().to_str().unwrap().to_owned();
        // Not lib.rs and main.rs.
        let Some(index) = modules.iter().position(|module| *module == of) else { continue };
        let mut names = named_after(&code, "crate::");
        // The root is two steps up from src/web/scrape.rs.
        let steps = path.components().count() - 1;
        names.extend(named_after(&code, &"super::".repeat(steps)));
        for named in names.iter().filter(|name| **name != of && modules.contains(name)) {
            let allowed = match &map[index].may_import {
                Some(may_import) => may_import.contains(named),
                None => modules[..index].contains(named),
            };
            if !allowed {
                wrong.push(format!("{} imports `{named}`", path.display()));
            }
        }
        for foreign in &map[index].never {
            if !named_after(&code, &format!("{foreign}::")).is_empty() {
                wrong.push(format!("{} imports the crate `{foreign}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the code map of ARCHITECTURE.md:\n{}", wrong.join("\n"));
}

#[test]
fn imports_are_found_in_every_form_of_path() {
    let code = "use crate::web;\nuse crate::{swr::{self, error::{A, B}}, cache,\n auth::Source};\nx(my_crate::no::y);\n\
                fn f() -> super::super::model::Row {}";
    assert_eq!(Vec::from_iter(named_after(code, "crate::")), ["auth", "cache", "swr", "web"]);
    assert_eq!(Vec::from_iter(named_after(code, "super::super::")), ["model"]);
}

#[test]
fn files_are_short() {
    for path in
        ["src", "tests", "simulator", "dashboards", "benches", "fuzz/fuzz_targets"].into_iter().flat_map(rust_files)
    {
        let lines = read(&path).lines().count();
        assert!(lines <= MAX_FILE, "{} has {lines} lines; move a topic out", path.display());
    }
}

#[test]
fn no_todo_and_no_ignored_test() {
    // Concatenated, so that this file does not contain them.
    let hollow = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];
    for path in ["src", "tests", "benches"].into_iter().flat_map(rust_files) {
        let text = read(&path);
        for word in hollow {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}
