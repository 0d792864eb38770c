//! `/probe?account=NAME`, or `?target=NAME` as the operator's resource `Probe` sends it: one configured account. A name and
//! never an address, so that nobody can make this process connect anywhere.

use super::{ServedAccount, Site};
use hyper::StatusCode;

/// Bytes of the longest query; a longer one gets 400.
const MAX_QUERY: usize = 512;

/// The account that a query names, or status and text of the refusal.
pub(super) fn account<'a>(site: &'a Site, query: Option<&str>) -> Result<&'a ServedAccount, (StatusCode, String)> {
    let malformed = |text: &str| Err((StatusCode::BAD_REQUEST, format!("{text}; ask for /probe?account=NAME\n")));
    let query = query.unwrap_or_default();
    if query.len() > MAX_QUERY {
        return malformed("the query is too long");
    }
    let mut name = None;
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "account" | "target" => {
                if name.replace(value).is_some() {
                    return malformed("there is more than one account");
                }
            }
            // Means nothing here, but the operator may send it.
            "module" => {}
            _ => return malformed("unknown parameter (known: account, target, module)"),
        }
    }
    let Some(name) = name.filter(|name| !name.is_empty()) else { return malformed("`account` is missing or empty") };
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
        return malformed("an account's name has letters, digits, `_`, `-` and `.`");
    }
    site.accounts.iter().find(|account| account.name == name).ok_or_else(|| {
        let known: Vec<&str> = site.accounts.iter().map(|account| account.name.as_str()).collect();
        (StatusCode::NOT_FOUND, format!("unknown account `{name}` (known: {})\n", known.join(", ")))
    })
}
