//! `/sd`: the accounts as targets for Prometheus' `http_sd_configs` (Prometheus documentation, HTTP service discovery).

use super::address::requested_host;
use super::body::Body;
use super::response::{content, plain};
use super::{ExternalUrl, Options, ServedAccount, Site};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};

/// The targets. Each is this server, by its external URL or else by the host name of the request, with the account as a
/// parameter.
pub(super) fn targets(site: &Site, request: &Parts, options: &Options) -> Response<Body> {
    let (host, mut base) = (requested_target(request), Map::new());
    let (host, prefix) = match (&options.external_url, host) {
        (Some(ExternalUrl { scheme, authority, path }), _) => {
            base.insert("__scheme__".to_owned(), scheme.as_str().into());
            (authority.to_string(), path)
        }
        (None, Some(host)) => (host, &options.route_prefix),
        (None, None) => return plain(StatusCode::BAD_REQUEST, "the Host header is not the name of a server\n"),
    };
    base.insert("__metrics_path__".to_owned(), format!("{prefix}/probe").into());
    let groups: Vec<Value> = site.accounts.iter().map(|account| target_group(account, &host, base.clone())).collect();
    content("application/json", Value::from(groups).to_string())
}

/// The requested host as a target.
fn requested_target(request: &Parts) -> Option<String> {
    let text = requested_host(request)?;
    let authority: Authority = text.parse().ok()?;
    // User information must not end up in the target.
    (!text.contains('@') && !authority.host().is_empty()).then(|| text.to_owned())
}

/// `labels` are those that all targets have.
fn target_group(account: &ServedAccount, host: &str, mut labels: Map<String, Value>) -> Value {
    labels.insert("__param_account".to_owned(), account.name.as_str().into());
    labels.insert("__meta_swr_account".to_owned(), account.name.as_str().into());
    for (name, value) in &account.meta_labels {
        labels.insert((*name).to_owned(), value.as_str().into());
    }
    json!({ "targets": [host], "labels": labels })
}
