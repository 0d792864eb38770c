//! Which page a request asks for: the route table, a pure function.

use hyper::Method;

/// A page of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// The telemetry path.
    Metrics,
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

/// Finds the page. A method is only judged on a path that exists.
pub(super) fn route(method: &Method, path: &str, telemetry_path: &str) -> Route {
    let (resource, methods) = match path {
        // First: the operator's choice wins, even when it is `/`.
        _ if path == telemetry_path => (Resource::Metrics, READ),
        "/" => (Resource::Landing, READ),
        "/-/healthy" => (Resource::Healthy, READ),
        "/-/ready" => (Resource::Ready, READ),
        // About the server rather than a path (OPTIONS), or not a path at all (CONNECT).
        "*" | "" => return Route::MethodNotAllowed(READ.allow),
        _ => return Route::NotFound,
    };
    if methods.all.contains(method) { Route::Found(resource) } else { Route::MethodNotAllowed(methods.allow) }
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
            (Method::GET, "/-/healthy", Route::Found(Resource::Healthy)),
            (Method::GET, "/-/ready", Route::Found(Resource::Ready)),
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
    fn the_telemetry_path_wins_over_the_landing_page() {
        assert_eq!(route(&Method::GET, "/", "/"), Route::Found(Resource::Metrics));
        assert_eq!(route(&Method::GET, "/metrics", "/"), Route::NotFound);
    }
}
