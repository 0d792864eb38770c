//! What an error answer says, whichever of its shapes it has.
//!
//! Five JSON shapes are in use (swr-api.md, section 5.1): SWR's flat pair with its arrays (A), the arrays alone (B), a
//! bare array (C), the gateway's flat pair (D), IAM's nested object (E); load balancers answer in HTML or not at all.

use serde_json::Value;

/// The longest text that is kept; error texts can quote whole requests.
const LONGEST: usize = 300;

/// What the API said about an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The API's code, e.g. `SVCSTG.SWR.4030170` or `APIGW.0301`.
    pub code: Option<String>,
    /// The API's text, on one line, without control characters.
    pub message: Option<String>,
    /// The request id, where the body has it.
    pub request_id: Option<String>,
}

/// Reads the body of an error answer. Any bytes will do.
pub fn read(body: &[u8]) -> Said {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => {
            let mut said = Said::default();
            visit(&value, 0, &mut said);
            said
        }
        Err(_) => Said { message: readable(&String::from_utf8_lossy(body)), ..Said::default() },
    }
}

const CODES: [&str; 3] = ["error_code", "errorCode", "code"];
const MESSAGES: [&str; 4] = ["error_msg", "errorMessage", "errorMsg", "message"];

/// Takes what this value says itself before what stands inside it: shape A repeats itself further down.
fn visit(value: &Value, depth: usize, said: &mut Said) {
    match value {
        Value::Object(object) => {
            let first = |keys: &[&str]| keys.iter().find_map(|key| object.get(*key).and_then(plain));
            if said.code.is_none() {
                said.code = first(&CODES);
            }
            if said.message.is_none() {
                said.message = first(&MESSAGES).and_then(|text| one_line(&text));
            }
            if said.request_id.is_none() {
                said.request_id = first(&["request_id"]);
            }
            if depth < 3 && (said.code.is_none() || said.message.is_none()) {
                for key in ["error", "errors", "details"] {
                    if let Some(inner) = object.get(key) {
                        visit(inner, depth + 1, said);
                    }
                }
            }
        }
        Value::Array(items) => {
            if let Some(first) = items.first().filter(|_| depth < 3) {
                visit(first, depth + 1, said);
            }
        }
        _ => {}
    }
}

/// A short text or number; anything else is no code and no message.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => one_line(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The words of a text or an HTML page.
fn readable(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if !lower.contains('<') {
        return one_line(text);
    }
    let title = lower.find("<title>").and_then(|start| {
        let end = lower[start..].find("</title>")? + start;
        text.get(start + "<title>".len()..end)
    });
    one_line(&format!("an HTML page{}{}", if title.is_some() { ": " } else { "" }, title.unwrap_or_default()))
}

/// One line without control characters, cut to a bearable length: upstream text goes into our log.
pub fn one_line(text: &str) -> Option<String> {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > LONGEST {
            line.truncate(line.floor_char_boundary(LONGEST));
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
        let said = read(body.as_bytes());
        (said.code, said.message)
    }

    fn both(code: &str, message: &str) -> (Option<String>, Option<String>) {
        (Some(code.into()), Some(message.into()))
    }

    #[test]
    fn all_five_shapes_and_html_are_understood() {
        let denied = both("SVCSTG.SWR.4030170", "no permission");
        let pair = r#"{"errorCode":"SVCSTG.SWR.4030170","errorMessage":"no permission","detail":""}"#;
        let a = format!(
            r#"{{"errors":[{pair}],"error_code":"SVCSTG.SWR.4030170","error_msg":"no permission","details":[]}}"#
        );
        assert_eq!(said(&a), denied, "A");
        assert_eq!(said(&format!(r#"{{"errors":[{pair}]}}"#)), denied, "B");
        assert_eq!(said(&format!("[{pair}]")), denied, "C");
        let d = r#"{"error_msg":"verify aksk signature fail","error_code":"APIGW.0301","request_id":"0ab"}"#;
        assert_eq!(said(d), both("APIGW.0301", "verify aksk signature fail"), "D");
        assert_eq!(read(d.as_bytes()).request_id.as_deref(), Some("0ab"));
        let e = r#"{"error":{"code":401,"message":"The username or password is wrong.","title":"Unauthorized"}}"#;
        assert_eq!(said(e), both("401", "The username or password is wrong."), "E");
        let html = "<html><head><title>502 Bad\nGateway</title></head><body>...</body></html>";
        assert_eq!(said(html), (None, Some("an HTML page: 502 Bad Gateway".into())));
        assert_eq!(said(""), (None, None));
        assert_eq!(said("null"), (None, None));
    }

    #[test]
    fn upstream_text_cannot_forge_log_lines() {
        let (_, message) = said("{\"message\":\"a\\nlevel=error \\u001b[31mred\\u0000\"}");
        assert_eq!(message.as_deref(), Some("a level=error [31mred"));
        assert!(one_line(&"long ".repeat(1000)).unwrap().len() < LONGEST + 10);
    }

    proptest! {
        #[test]
        fn any_body_gives_a_short_printable_text(body in proptest::collection::vec(any::<u8>(), 0..600)) {
            let said = read(&body);
            for text in [said.code, said.message, said.request_id].into_iter().flatten() {
                prop_assert!(text.len() <= LONGEST + 3 && !text.chars().any(char::is_control));
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
