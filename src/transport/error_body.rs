//! The body of an error response, in any of its shapes.
//!
//! Five JSON shapes are in use: SWR's flat pair with its arrays (A), the arrays alone (B), a bare array (C), the gateway's
//! flat pair (D), IAM's nested object (E). Load balancers answer in HTML or without a body.

use super::SentSecrets;
use serde_json::Value;

/// The longest text that is kept, in bytes; error texts can quote whole requests.
const MAX_TEXT: usize = 300;

/// What the upstream said about an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// The API's code, e.g. `SVCSTG.SWR.4030170` or `APIGW.0301`.
    pub code: Option<String>,
    /// The API's text, on one line, without control characters.
    pub message: Option<String>,
    /// The request's id, by which the vendor's support finds it.
    pub request_id: Option<String>,
}

/// Reads the body of an error response. Any bytes will do. What it repeats of the request's secrets is hidden.
pub fn read(body: &[u8], secrets: &SentSecrets) -> ErrorBody {
    let mut found = ErrorBody::default();
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => visit(&value, 0, &mut found),
        Err(_) => found.message = readable(&String::from_utf8_lossy(body)),
    }
    let shown = |text: Option<String>| text.and_then(|text| one_line(&secrets.hide(&text)));
    ErrorBody { code: shown(found.code), message: shown(found.message), request_id: shown(found.request_id) }
}

const CODES: [&str; 3] = ["error_code", "errorCode", "code"];
const MESSAGES: [&str; 4] = ["error_msg", "errorMessage", "errorMsg", "message"];

/// Takes the fields of this value before those inside it: shape A repeats itself further down.
fn visit(value: &Value, depth: usize, found: &mut ErrorBody) {
    match value {
        Value::Object(object) => {
            let first = |keys: &[&str]| keys.iter().find_map(|key| object.get(*key).and_then(plain));
            if found.code.is_none() {
                found.code = first(&CODES);
            }
            if found.message.is_none() {
                found.message = first(&MESSAGES);
            }
            if found.request_id.is_none() {
                found.request_id = first(&["request_id"]);
            }
            if depth < 3 && (found.code.is_none() || found.message.is_none()) {
                for key in ["error", "errors", "details"] {
                    if let Some(inner) = object.get(key) {
                        visit(inner, depth + 1, found);
                    }
                }
            }
        }
        Value::Array(items) => {
            if let Some(first) = items.first().filter(|_| depth < 3) {
                visit(first, depth + 1, found);
            }
        }
        _ => {}
    }
}

/// A text or a number; a code or message is nothing else.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The text itself, or the title of an HTML page.
fn readable(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if !lower.contains('<') {
        return Some(text.to_owned());
    }
    let title = lower.find("<title>").and_then(|start| {
        let end = lower[start..].find("</title>")? + start;
        text.get(start + "<title>".len()..end)
    });
    Some(format!("an HTML page{}{}", if title.is_some() { ": " } else { "" }, title.unwrap_or_default()))
}

/// The text as one line without control characters, cut to [`MAX_TEXT`], so that it cannot forge log lines.
pub fn one_line(text: &str) -> Option<String> {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > MAX_TEXT {
            line.truncate(line.floor_char_boundary(MAX_TEXT));
            line.push_str("...");
            break;
        }
    }
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(body: &str) -> (Option<String>, Option<String>) {
        let said = read(body.as_bytes(), &SentSecrets::default());
        (said.code, said.message)
    }

    #[test]
    fn gateways_in_json_and_html_are_understood() {
        let d = r#"{"error_msg":"verify aksk signature fail","error_code":"APIGW.0301","request_id":"0ab"}"#;
        assert_eq!(said(d), (Some("APIGW.0301".into()), Some("verify aksk signature fail".into())));
        assert_eq!(read(d.as_bytes(), &SentSecrets::default()).request_id.as_deref(), Some("0ab"));
        assert_eq!(said(r#"{"error":{"code":401}}"#), (Some("401".into()), None));
        let html = "<html><head><title>502 Bad\nGateway</title></head><body>...</body></html>";
        assert_eq!(said(html), (None, Some("an HTML page: 502 Bad Gateway".into())));
        assert_eq!(said(""), (None, None));
        assert_eq!(said("null"), (None, None));
    }

    #[test]
    fn upstream_text_cannot_forge_log_lines() {
        let (_, message) = said("{\"message\":\"a\\nlevel=error \\u001b[31mred\\u0000\"}");
        assert_eq!(message.as_deref(), Some("a level=error [31mred"));
        assert!(one_line(&"long ".repeat(1000)).unwrap().len() < MAX_TEXT + 10);
    }

    proptest! {
        #[test]
        fn any_body_gives_a_short_printable_text(body in proptest::collection::vec(any::<u8>(), 0..600)) {
            let said = read(&body, &SentSecrets::default());
            for text in [said.code, said.message, said.request_id].into_iter().flatten() {
                prop_assert!(text.len() <= MAX_TEXT + 3 && !text.chars().any(char::is_control));
            }
        }

        #[test]
        fn every_shape_gives_back_its_code_and_text(code in "[A-Z.0-9]{1,20}", text in "[a-z]{1,20}", shape in 0u8..5) {
            let pair = serde_json::json!({"errorCode": code, "errorMessage": text, "detail": ""});
            let body = match shape {
                0 => serde_json::json!({"errors": [pair], "error_code": code, "error_msg": text, "details": []}),
                1 => serde_json::json!({"errors": [pair]}),
                2 => serde_json::json!([pair]),
                3 => serde_json::json!({"error_code": code, "error_msg": text, "request_id": "1"}),
                _ => serde_json::json!({"error": {"code": code, "message": text, "title": "t"}}),
            };
            prop_assert_eq!(said(&body.to_string()), (Some(code), Some(text)));
        }
    }
}
