//! A settings file: no panic, no endless loop, and a complaint names a line that exists.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_exporter::config::yaml;

fuzz_target!(|text: &str| {
    if let Err((line, _)) = yaml::parse(text) {
        // YAML's line breaks are line feed and carriage return, and both together.
        let breaks = text.chars().filter(|character| matches!(character, '\n' | '\r')).count();
        // What is missing at the end is missing after the last line.
        assert!(line <= breaks + 2, "line {line}");
    }
});
