//! The log lines that `docs/logs.md` explains are those that the program writes.

use super::{is_part_of_a_name, read, rows, section, shipped_files};
use std::collections::BTreeSet;

/// The messages that the code logs at a level, with `…` for what differs from line to line, and without the marks that
/// would end a quotation in a document.
fn messages(code: &str, level: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, call) in code.match_indices(&format!("{level}!(")) {
        if code[..at].ends_with(is_part_of_a_name) {
            continue;
        }
        // Values of fields hold no literals: the first one is the message.
        let literal = code[at + call.len()..].split_once('"').unwrap().1;
        let mut message = String::new();
        let mut characters = literal.chars();
        while let Some(character) = characters.next() {
            match character {
                '"' => break,
                // A message that goes on in the next line of the code.
                '\\' => characters = characters.as_str().trim_start().chars(),
                '{' => {
                    characters.by_ref().find(|character| *character == '}');
                    message.push('…');
                }
                '`' => {}
                other => message.push(other),
            }
        }
        while message.contains("……") {
            message = message.replace("……", "…");
        }
        found.insert(message);
    }
    found
}

#[test]
fn the_log_lines_that_are_documented_are_those_that_are_written() {
    let document = read("docs/logs.md");
    for level in ["error", "warn", "info"] {
        let mut written = BTreeSet::new();
        for code in shipped_files().values() {
            written.extend(messages(code, level));
        }
        let rows = rows(section(&document, &format!("## {level}")));
        let listed: BTreeSet<_> = rows.iter().map(|cells| cells[0].trim_matches('`').to_owned()).collect();
        assert_eq!(listed, written, "left: docs/logs.md; right: what src logs at level {level}");
        assert!(rows.iter().all(|cells| !cells[1].is_empty()));
    }
}

#[test]
fn messages_are_found_in_every_form_of_call() {
    let code =
        "warn!(a = %b, \"the `{}` of\\\n   {c:?} is {d}{e}\", x);\ntracing::warn!(\"plain\");\nforewarn!(\"no\")";
    assert_eq!(Vec::from_iter(messages(code, "warn")), ["plain", "the … of… is …"]);
}
