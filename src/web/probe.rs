//! `/probe?account=NAME`: which account is asked for. A name and never an address, so that nobody can make this process
//! connect to anything.

use super::{Account, Site};
use hyper::StatusCode;

/// A longer query is nobody's.
const LONGEST_QUERY: usize = 512;

/// The account that a query names.
///
/// # Errors
/// The status and the words of the refusal: 400 for what is no such query, 404 for an account that is not there.
pub(super) fn account<'a>(site: &'a Site, query: Option<&str>) -> Result<&'a Account, (StatusCode, String)> {
    let wrong = |text: &str| Err((StatusCode::BAD_REQUEST, format!("{text}; ask for /probe?account=NAME\n")));
    let query = query.unwrap_or_default();
    if query.len() > LONGEST_QUERY {
        return wrong("the query is too long");
    }
    let mut name = None;
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if key != "account" {
            return wrong("there is no other parameter than `account`");
        }
        if name.replace(value).is_some() {
            return wrong("`account` is there more than once");
        }
    }
    let Some(name) = name.filter(|name| !name.is_empty()) else { return wrong("`account` is missing or empty") };
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
        return wrong("an account's name has letters, digits, `_`, `-` and `.`");
    }
    site.accounts.iter().find(|account| account.name == name).ok_or_else(|| {
        let known: Vec<&str> = site.accounts.iter().map(|account| account.name.as_str()).collect();
        (StatusCode::NOT_FOUND, format!("there is no account `{name}`; there are {}\n", known.join(", ")))
    })
}
