//! The route table, a pure function.

use super::address::{LocalPath, local_path};
use super::{Options, PROBES, RELOAD, TAKEN};
use hyper::Method;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// The metrics, at the telemetry path.
    Metrics,
    /// The series of one account.
    Probe,
    Discovery,
    Settings,
    /// Reads the settings again (POST).
    Reload,
    Landing,
    Healthy,
    Ready,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Found(Resource),
    /// 302 to the landing page, by a relative reference.
    Redirect(String),
    /// 204, with the value of the `Allow` header.
    Options(&'static str),
    /// 404.
    NotFound,
    /// 405, with the value of the `Allow` header.
    MethodNotAllowed(&'static str),
}

struct Methods {
    all: &'static [Method],
    allow: &'static str,
}

/// Resources that are read.
const READ: Methods = Methods { all: &[Method::GET, Method::HEAD], allow: "GET, HEAD, OPTIONS" };

/// Actions. Not GET, so that no link or crawler triggers them.
const ACT: Methods = Methods { all: &[Method::POST, Method::PUT], allow: "POST, PUT, OPTIONS" };

/// The resources with a fixed path. That of the metrics is an option.
const FIXED: [(&str, Resource, &Methods); 7] = [
    ("/probe", Resource::Probe, &READ),
    ("/sd", Resource::Discovery, &READ),
    ("/", Resource::Landing, &READ),
    ("/config", Resource::Settings, &READ),
    (RELOAD, Resource::Reload, &ACT),
    (PROBES[0], Resource::Healthy, &READ),
    (PROBES[1], Resource::Ready, &READ),
];

/// Every path of a server with these options, and the value of its `Allow` header.
pub fn paths(options: &Options) -> impl Iterator<Item = (&str, &'static str)> {
    let fixed = FIXED.iter().map(|(path, _, methods)| (*path, methods.allow));
    std::iter::once((options.telemetry_path.as_str(), READ.allow)).chain(fixed)
}

pub(super) fn route(method: &Method, path: &str, options: &Options) -> Route {
    let path = match local_path(path, &options.route_prefix) {
        LocalPath::Below(path) => path,
        LocalPath::Redirect(to) => return by_method(method, &READ, Route::Redirect(format!("{to}/"))),
        LocalPath::Outside => return nowhere(method, path),
    };
    if path == options.telemetry_path {
        return by_method(method, &READ, Route::Found(Resource::Metrics));
    }
    match FIXED.iter().find(|(fixed, ..)| *fixed == path) {
        Some((_, resource, methods)) => by_method(method, methods, Route::Found(*resource)),
        None => nowhere(method, path),
    }
}

/// The route, if the method is one of the resource.
fn by_method(method: &Method, methods: &Methods, route: Route) -> Route {
    match method {
        _ if methods.all.contains(method) => route,
        &Method::OPTIONS => Route::Options(methods.allow),
        _ => Route::MethodNotAllowed(methods.allow),
    }
}

/// The route where there is no resource.
fn nowhere(method: &Method, path: &str) -> Route {
    match path {
        // On every path, as load balancers check servers by OPTIONS.
        _ if method == Method::OPTIONS => Route::Options(READ.allow),
        // No path at all (CONNECT).
        "" => Route::MethodNotAllowed(READ.allow),
        _ => Route::NotFound,
    }
}

/// Whether a path cannot be the telemetry path because another resource is there.
pub fn is_taken(path: &str) -> bool {
    TAKEN.iter().any(|taken| path == *taken || (taken.ends_with('/') && *taken != "/" && path.starts_with(taken)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_resources_and_resources_have_methods() {
        let cases = [
            (Method::GET, "/metrics", Route::Found(Resource::Metrics)),
            (Method::HEAD, "/metrics", Route::Found(Resource::Metrics)),
            (Method::GET, "/", Route::Found(Resource::Landing)),
            (Method::GET, "/probe", Route::Found(Resource::Probe)),
            (Method::GET, "/sd", Route::Found(Resource::Discovery)),
            (Method::GET, "/config", Route::Found(Resource::Settings)),
            (Method::GET, "/-/healthy", Route::Found(Resource::Healthy)),
            (Method::GET, "/-/ready", Route::Found(Resource::Ready)),
            (Method::POST, "/-/reload", Route::Found(Resource::Reload)),
            (Method::PUT, "/-/reload", Route::Found(Resource::Reload)),
            (Method::GET, "/-/reload", Route::MethodNotAllowed("POST, PUT, OPTIONS")),
            (Method::POST, "/metrics", Route::MethodNotAllowed("GET, HEAD, OPTIONS")),
            (Method::OPTIONS, "/", Route::Options("GET, HEAD, OPTIONS")),
            (Method::OPTIONS, "/-/reload", Route::Options("POST, PUT, OPTIONS")),
            (Method::OPTIONS, "*", Route::Options("GET, HEAD, OPTIONS")),
            (Method::OPTIONS, "/nowhere", Route::Options("GET, HEAD, OPTIONS")),
            (Method::CONNECT, "", Route::MethodNotAllowed("GET, HEAD, OPTIONS")),
            (Method::GET, "/metrics/", Route::NotFound),
            (Method::GET, "/Metrics", Route::NotFound),
            (Method::DELETE, "/nowhere", Route::NotFound),
            (Method::GET, "/../metrics", Route::NotFound),
        ];
        for (method, path, expected) in cases {
            assert_eq!(route(&method, path, &Options::default()), expected, "{method} {path}");
        }
    }

    #[test]
    fn with_a_prefix_everything_but_the_probes_is_below_it() {
        let options = Options { route_prefix: "/exporters/swr".to_owned(), ..Options::default() };
        let redirect = |to: &str| Route::Redirect(to.to_owned());
        for (method, path, expected) in [
            (Method::GET, "/exporters/swr/", Route::Found(Resource::Landing)),
            (Method::GET, "/exporters/swr/metrics", Route::Found(Resource::Metrics)),
            (Method::GET, "/exporters/swr/sd", Route::Found(Resource::Discovery)),
            (Method::POST, "/exporters/swr/-/reload", Route::Found(Resource::Reload)),
            (Method::GET, "/-/healthy", Route::Found(Resource::Healthy)),
            (Method::GET, "/", redirect("exporters/swr/")),
            (Method::GET, "/exporters/swr", redirect("swr/")),
            (Method::OPTIONS, "/", Route::Options("GET, HEAD, OPTIONS")),
            (Method::POST, "/", Route::MethodNotAllowed("GET, HEAD, OPTIONS")),
            (Method::GET, "/metrics", Route::NotFound),
            (Method::POST, "/-/reload", Route::NotFound),
            (Method::OPTIONS, "/metrics", Route::Options("GET, HEAD, OPTIONS")),
            (Method::OPTIONS, "*", Route::Options("GET, HEAD, OPTIONS")),
        ] {
            assert_eq!(route(&method, path, &options), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_telemetry_path_is_a_path_that_is_free() {
        for taken in ["/", "/probe", "/sd", "/config", "/-/healthy", "/-/anything"] {
            assert!(is_taken(taken), "{taken}");
        }
        assert!(!is_taken("/metrics") && !is_taken("/probes"));
        let options = Options { telemetry_path: "/swr".to_owned(), ..Options::default() };
        assert_eq!(route(&Method::GET, "/swr", &options), Route::Found(Resource::Metrics));
        assert_eq!(route(&Method::GET, "/metrics", &options), Route::NotFound);
    }
}
