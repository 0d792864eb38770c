//! Error bodies: no panic, and nothing that could forge a log line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_exporter::transport::error_body;

fuzz_target!(|body: &[u8]| {
    let said = error_body::read(body, &Default::default());
    for text in [said.code, said.message, said.request_id].into_iter().flatten() {
        assert!(!text.chars().any(char::is_control) && text.len() < 400);
    }
});
