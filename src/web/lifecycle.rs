//! Who may trigger `POST /-/reload`.

use hyper::header::{HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::Uri;

/// Whether a request may trigger an action. `enabled`: by the settings; `authenticated`: the request needed a login or a
/// client certificate to get here.
///
/// # Errors
/// The text of the 403.
pub(super) fn authorize(request: &Parts, enabled: bool, authenticated: bool) -> Result<(), &'static str> {
    if !enabled && !authenticated {
        return Err(
            "reloading by request is off: start with --web.enable-lifecycle, require a login, or send SIGHUP\n",
        );
    }
    if is_cross_site(request) {
        return Err("requests of other web sites are refused\n");
    }
    Ok(())
}

/// Whether a browser sent the request on behalf of a page of another origin. Browsers add these headers themselves and do not
/// let pages change them; other clients send neither.
fn is_cross_site(request: &Parts) -> bool {
    let header = |name: &str| request.headers.get(name).map(HeaderValue::as_bytes);
    if header("sec-fetch-site").is_some_and(|site| site != b"same-origin" && site != b"none") {
        return true;
    }
    let Some(origin) = request.headers.get(ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    let origin = origin.as_ref().and_then(Uri::authority).map(hyper::http::uri::Authority::as_str);
    let host = request.uri.authority().map(hyper::http::uri::Authority::as_str).or_else(|| host(&request.headers));
    !origin.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn request(headers: &[(&str, &str)]) -> Parts {
        let request = Request::post("/-/reload").header(HOST, "swr.example:10179");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_reload_needs_the_flag_or_a_login() {
        for (enabled, authenticated, allowed) in
            [(false, false, false), (true, false, true), (false, true, true), (true, true, true)]
        {
            assert_eq!(authorize(&request(&[]), enabled, authenticated).is_ok(), allowed);
        }
    }

    #[test]
    fn a_request_of_another_site_is_refused_even_with_a_login() {
        for (headers, allowed) in [
            (&[("Origin", "http://swr.example:10179")][..], true),
            (&[("Origin", "https://SWR.example:10179"), ("Sec-Fetch-Site", "same-origin")], true),
            (&[("Sec-Fetch-Site", "none")], true),
            (&[("Origin", "http://evil.example")], false),
            (&[("Origin", "http://swr.example")], false),
            (&[("Origin", "http://swr.example:10179.evil.example")], false),
            (&[("Origin", "null")], false),
            (&[("Origin", "")], false),
            (&[("Sec-Fetch-Site", "cross-site")], false),
            (&[("Sec-Fetch-Site", "same-site")], false),
            (&[("Origin", "http://swr.example:10179"), ("Sec-Fetch-Site", "cross-site")], false),
        ] {
            assert_eq!(authorize(&request(headers), true, true).is_ok(), allowed, "{headers:?}");
        }
    }
}
