//! Who may trigger `POST /-/reload`.

use super::address::requested_host;
use super::{ExternalUrl, Options};
use hyper::header::{HeaderValue, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::{Authority, Uri};

/// Whether a request may trigger an action, or the text of the 403. `authenticated`: it needed a login or a certificate.
pub(super) fn authorize(request: &Parts, options: &Options, authenticated: bool) -> Result<(), &'static str> {
    if !options.enable_lifecycle && !authenticated {
        return Err(
            "reloading by request is off: start with --web.enable-lifecycle, require a login, or send SIGHUP\n",
        );
    }
    if is_cross_site(request, options.external_url.as_ref()) {
        return Err("requests of other web sites are refused\n");
    }
    Ok(())
}

/// Whether a browser sent the request on behalf of a page of another origin. Browsers add these headers themselves and do not
/// let pages change them; other clients send neither. A proxy may have changed the host, but our own external URL is known.
fn is_cross_site(request: &Parts, external_url: Option<&ExternalUrl>) -> bool {
    let header = |name: &str| request.headers.get(name).map(HeaderValue::as_bytes);
    if header("sec-fetch-site").is_some_and(|site| site != b"same-origin" && site != b"none") {
        return true;
    }
    let Some(origin) = request.headers.get(ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    let origin = origin.as_ref().and_then(Uri::authority).map(Authority::as_str);
    let own = [requested_host(request), external_url.map(|url| url.authority.as_str())];
    !origin.is_some_and(|origin| own.into_iter().flatten().any(|own| origin.eq_ignore_ascii_case(own)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;
    use hyper::header::HOST;

    fn request(headers: &[(&str, &str)]) -> Parts {
        let request = Request::post("/-/reload").header(HOST, "swr.example:10179");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
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
            assert_eq!(authorize(&request(headers), &Options::default(), true).is_ok(), allowed, "{headers:?}");
        }
    }

    #[test]
    fn behind_a_proxy_the_external_url_is_an_origin_of_our_own() {
        let external_url = Some("https://example.com/exporters/swr".parse().unwrap());
        let options = Options { external_url, ..Options::default() };
        let allowed = |origin| authorize(&request(&[("Origin", origin)]), &options, true).is_ok();
        assert!(allowed("https://example.com") && allowed("http://swr.example:10179"));
        assert!(!allowed("https://evil.example") && !allowed("https://example.com:8443"));
    }
}
