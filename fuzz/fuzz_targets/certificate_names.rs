//! Names in a client certificate: no panic, and no text that the certificate does not contain.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;
use swr_exporter::web::certificate_names::subject_alternative_names;

fuzz_target!(|certificate: &[u8]| {
    for name in subject_alternative_names(certificate).unwrap_or_default() {
        let stands = name.is_empty() || certificate.windows(name.len()).any(|bytes| bytes == name.as_bytes());
        assert!(stands || name.parse::<IpAddr>().is_ok(), "{name:?}");
    }
});
