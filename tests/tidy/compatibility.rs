//! The table of docs/compatibility.md has the rows that `tests/compatibility` tries, and each finding can be run.

use super::{read, root, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_table_of_compatibility_has_the_rows_that_are_tried() {
    let tried = run(root(), "python3", &["tests/compatibility", "--list"]).unwrap();
    let document = read("docs/compatibility.md");
    let rows: Vec<&str> = document.lines().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(rows[1..], tried.lines().collect::<Vec<_>>()[..], "run tests/compatibility --write");
}

#[test]
fn each_finding_runs_as_it_is_and_names_no_address_but_loopback() {
    let mut found = 0;
    for entry in fs::read_dir(root().join("findings")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(path.metadata().unwrap().permissions().mode() & 0o111 == 0o111, "{}: no run bit", path.display());
        for needed in
            ["#!/usr/bin/env bash\n# ", "\n# Expected: ", "\n# Found: ", "\n# Concerns: ", "$(mktemp -d)", "rm -rf"]
        {
            assert!(text.contains(needed), "{} has no `{}`", path.display(), needed.trim());
        }
        for address in text.split("://").skip(1).filter(|rest| !rest.starts_with(['[', '"', '\''])) {
            assert!(address.starts_with("127.0.0.1"), "{} names ://{:.20}", path.display(), address);
        }
        found += 1;
    }
    assert!(found > 0);
}
