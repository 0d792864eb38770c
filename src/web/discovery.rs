//! `/sd`: the accounts as targets, for Prometheus' `http_sd_configs` (Prometheus documentation: HTTP service discovery).

use super::body::Body;
use super::respond::plain;
use super::{Account, Site};
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};

/// The list of targets. All of them are this server, by the name under which it was asked.
pub(super) fn answer(site: &Site, request: &Parts) -> Response<Body> {
    let Some(target) = asked_for(request) else {
        return plain(StatusCode::BAD_REQUEST, "the Host header is no name of a server\n");
    };
    let groups: Vec<Value> = site.accounts.iter().map(|account| group(account, &target)).collect();
    let mut response = Response::new(Body::new([Bytes::from(Value::from(groups).to_string())]));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The name and port by which the client reached us. HTTP/2 has them in the address, HTTP/1.1 in a header.
fn asked_for(request: &Parts) -> Option<String> {
    let text = match request.uri.authority() {
        Some(authority) => authority.as_str(),
        None => request.headers.get(HOST)?.to_str().ok()?,
    };
    let authority: Authority = text.parse().ok()?;
    // A user in front of the name would become a part of the target.
    (!text.contains('@') && !authority.host().is_empty()).then(|| text.to_owned())
}

fn group(account: &Account, target: &str) -> Value {
    let mut labels = Map::new();
    labels.insert("__metrics_path__".to_owned(), "/probe".into());
    labels.insert("__param_account".to_owned(), account.name.as_str().into());
    labels.insert("__meta_swr_account".to_owned(), account.name.as_str().into());
    for (name, value) in &account.about {
        labels.insert((*name).to_owned(), value.as_str().into());
    }
    json!({ "targets": [target], "labels": labels })
}
