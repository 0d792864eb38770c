//! Which page a request asks for: the route table, a pure function.

use super::TAKEN;
use hyper::Method;

/// A page of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// The telemetry path.
    Metrics,
    /// One account's series.
    Probe,
    /// The accounts as targets.
    Discovery,
    /// The settings in force.
    Settings,
    /// Reads the settings again.
    Reload,
    /// For people.
    Landing,
    /// Whether the process works.
    Healthy,
    /// Whether scrapes are answered.
    Ready,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Answer with this.
    Found(Resource),
    /// 404.
    NotFound,
    /// 405, with the methods that the path has, as the `Allow` header spells them.
    MethodNotAllowed(&'static str),
}

/// The methods that one page has.
struct Methods {
    all: &'static [Method],
    allow: &'static str,
}

/// Pages that are only read.
const READ: Methods = Methods { all: &[Method::GET, Method::HEAD], allow: "GET, HEAD" };

/// What changes something; not GET, so that no link and no crawler does it.
const ACT: Methods = Methods { all: &[Method::POST, Method::PUT], allow: "POST, PUT" };

/// Finds the page. A method is only judged on a path that exists.
pub(super) fn route(method: &Method, path: &str, telemetry_path: &str) -> Route {
    let (resource, methods) = match path {
        _ if path == telemetry_path => (Resource::Metrics, READ),
        "/" => (Resource::Landing, READ),
        "/probe" => (Resource::Probe, READ),
        "/sd" => (Resource::Discovery, READ),
        "/config" => (Resource::Settings, READ),
        "/-/healthy" => (Resource::Healthy, READ),
        "/-/ready" => (Resource::Ready, READ),
        "/-/reload" => (Resource::Reload, ACT),
        // About the server rather than a path (OPTIONS), or not a path at all (CONNECT).
        "*" | "" => return Route::MethodNotAllowed(READ.allow),
        _ => return Route::NotFound,
    };
    if methods.all.contains(method) { Route::Found(resource) } else { Route::MethodNotAllowed(methods.allow) }
}

/// Whether a path cannot be the telemetry path because another page is there.
pub fn is_taken(path: &str) -> bool {
    TAKEN.iter().any(|taken| path == *taken || (taken.ends_with('/') && *taken != "/" && path.starts_with(taken)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_a_page_and_a_page_has_methods() {
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
            (Method::GET, "/-/reload", Route::MethodNotAllowed("POST, PUT")),
            (Method::POST, "/metrics", Route::MethodNotAllowed("GET, HEAD")),
            (Method::OPTIONS, "*", Route::MethodNotAllowed("GET, HEAD")),
            (Method::CONNECT, "", Route::MethodNotAllowed("GET, HEAD")),
            (Method::GET, "/metrics/", Route::NotFound),
            (Method::GET, "/Metrics", Route::NotFound),
            (Method::DELETE, "/nowhere", Route::NotFound),
            (Method::GET, "/../metrics", Route::NotFound),
        ];
        for (method, path, expected) in cases {
            assert_eq!(route(&method, path, "/metrics"), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_telemetry_path_is_a_path_that_is_free() {
        for taken in ["/", "/probe", "/sd", "/config", "/-/healthy", "/-/anything"] {
            assert!(is_taken(taken), "{taken}");
        }
        assert!(!is_taken("/metrics") && !is_taken("/probes"));
        assert_eq!(route(&Method::GET, "/swr", "/swr"), Route::Found(Resource::Metrics));
        assert_eq!(route(&Method::GET, "/metrics", "/swr"), Route::NotFound);
    }
}
