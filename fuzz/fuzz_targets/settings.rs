//! A settings file: no panic, no endless loop, and errors name a line that exists.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_exporter::config::yaml;

fuzz_target!(|text: &str| {
    if let Err((line, _)) = yaml::parse(text) {
        // YAML line breaks are LF, CR and CRLF.
        let breaks = text.chars().filter(|character| matches!(character, '\n' | '\r')).count();
        // Missing content at the end is reported after the last line.
        assert!(line <= breaks + 2, "line {line}");
    }
});
