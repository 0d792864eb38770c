//! `/sd`: the accounts as targets for Prometheus' `http_sd_configs` (Prometheus documentation, HTTP service discovery).

use super::body::Body;
use super::response::{content, plain};
use super::{Account, Site};
use hyper::header::HOST;
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};

/// The targets. Each is this server, by the host name of the request, with the account as a parameter.
pub(super) fn targets(site: &Site, request: &Parts) -> Response<Body> {
    let Some(host) = requested_host(request) else {
        return plain(StatusCode::BAD_REQUEST, "the Host header is not the name of a server\n");
    };
    let groups: Vec<Value> = site.accounts.iter().map(|account| target_group(account, &host)).collect();
    content("application/json", Value::from(groups).to_string())
}

/// Host and port by which the client reached us: the authority in HTTP/2, the `Host` header in HTTP/1.1.
fn requested_host(request: &Parts) -> Option<String> {
    let text = match request.uri.authority() {
        Some(authority) => authority.as_str(),
        None => request.headers.get(HOST)?.to_str().ok()?,
    };
    let authority: Authority = text.parse().ok()?;
    // User information must not end up in the target.
    (!text.contains('@') && !authority.host().is_empty()).then(|| text.to_owned())
}

fn target_group(account: &Account, host: &str) -> Value {
    let mut labels = Map::new();
    labels.insert("__metrics_path__".to_owned(), "/probe".into());
    labels.insert("__param_account".to_owned(), account.name.as_str().into());
    labels.insert("__meta_swr_account".to_owned(), account.name.as_str().into());
    for (name, value) in &account.meta_labels {
        labels.insert((*name).to_owned(), value.as_str().into());
    }
    json!({ "targets": [host], "labels": labels })
}
