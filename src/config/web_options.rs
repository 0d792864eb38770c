//! Options of the web server.

use super::settings::Settings;
use super::{Problems, duration, number, positive, unless_empty};
use crate::web;

/// Resolves the options of the server. Of the external URL the route prefix takes the path, unless it is given itself.
pub(super) fn read(process: &Settings<'_>, problems: &mut Problems) -> web::Options {
    let default = web::Options::default();
    let external_url = process.read("web.external-url", None, problems, unless_empty);
    let of_url = external_url.as_ref().map(|url: &web::ExternalUrl| url.path.clone()).unwrap_or_default();
    let options = web::Options {
        telemetry_path: process.read("web.telemetry-path", default.telemetry_path, problems, |path| {
            if path.starts_with('/') && path.len() > 1 && web::is_plain_path(path) && !web::is_taken(path) {
                Ok(path.to_owned())
            } else {
                let taken = web::TAKEN.join(", ");
                Err(format!("invalid path `{path}` (example: /metrics; no characters to escape; {taken} are taken)"))
            }
        }),
        route_prefix: process.read("web.route-prefix", of_url, problems, web::prefix),
        external_url,
        max_requests: process.read("web.max-requests", default.max_requests, problems, |text| number(text, 1, 10_000)),
        scrape_timeout: process.read("scrape.timeout", default.scrape_timeout, problems, positive),
        enable_lifecycle: process.is_on("web.enable-lifecycle", default.enable_lifecycle, problems),
        timeout_offset: process.read("scrape.timeout-offset", default.timeout_offset, problems, duration),
        limits: limits(process, problems),
        plain_text_bytes: default.plain_text_bytes,
    };
    if options.timeout_offset >= options.scrape_timeout {
        problems.add("--scrape.timeout-offset: must be shorter than --scrape.timeout");
    }
    options
}

fn limits(process: &Settings<'_>, problems: &mut Problems) -> web::Limits {
    let default = web::Limits::default();
    let mut limit = |name, default| process.read(name, default, problems, |text| number(text, 1, 1_000_000));
    web::Limits {
        connections: limit("web.max-connections", default.connections),
        connections_per_address: limit("web.max-connections-per-address", default.connections_per_address),
        ..default
    }
}
