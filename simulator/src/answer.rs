//! Answers, and the five shapes of errors that the real service and what stands before it have been seen to send.

/// Code of the only kind of error that comes with an encoded message.
const DENIED: &str = "SVCSTG.SWR.4030170";
/// What the encoded message looks like: a long text that only the vendor can read.
const ENCODED: &str =
    r#""encoded_authorization_message":"RU5DT0RFRC1BVVRIT1JJWkFUSU9OLU1FU1NBR0UtT0YtVEhFLVNJTVVMQVRPUg==""#;

/// An answer before it goes out. Faults may change any part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers in order. `Content-Length` and `Connection` are added when the answer is written.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer with a body of the given type.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }.with("Content-Type", content_type)
    }

    /// 200 with JSON.
    #[must_use]
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, "application/json;charset=utf-8", body)
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    /// A header; the name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Sets a header, replacing those of the same name.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Removes a header.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }
}

/// Shapes of error bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A: SWR today. The flat pair, and the old list beside it.
    Current,
    /// B: SWR before. An object that holds only the list.
    Listed,
    /// C: SWR of older documentation. A bare array.
    Array,
    /// D: the gateway. The flat pair and a request id.
    Gateway,
    /// E: IAM. An object `error` with a number for a code.
    Iam,
    /// F: something in between that speaks HTML.
    Html,
    /// F: something in between that says nothing.
    Empty,
}

/// An error as the service would say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Status code.
    pub status: u16,
    /// Shape of the body.
    pub shape: Shape,
    /// Such as `SVCSTG.SWR.4000056`.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// An error in a shape of choice.
    #[must_use]
    pub fn new(status: u16, shape: Shape, code: &str, message: &str) -> Self {
        Self { status, shape, code: code.to_owned(), message: message.to_owned() }
    }

    /// An error that SWR itself reports, in its current shape.
    #[must_use]
    pub fn swr(status: u16, number: u32, message: &str) -> Self {
        Self::new(status, Shape::Current, &format!("SVCSTG.SWR.{number}"), message)
    }

    /// An error that the gateway reports.
    #[must_use]
    pub fn gateway(status: u16, number: &str, message: &str) -> Self {
        Self::new(status, Shape::Gateway, &format!("APIGW.{number}"), message)
    }

    pub(super) fn answer(&self, request_id: &str) -> Answer {
        let code = quoted(&self.code);
        let message = quoted(&self.message);
        let listed = format!(r#"{{"errorCode":{code},"errorMessage":{message},"detail":""}}"#);
        let body = match self.shape {
            Shape::Current if self.code == DENIED => format!(
                r#"{{"errors":[{}],"error_code":{code},"error_msg":{message},"details":[{{"error_code":{code},"error_msg":{message}}}],{ENCODED}}}"#,
                listed.replace(r#""detail":"""#, &format!(r#""detail":"",{ENCODED}"#)),
            ),
            Shape::Current => format!(
                r#"{{"errors":[{listed}],"error_code":{code},"error_msg":{message},"details":[{{"error_code":{code},"error_msg":{message}}}]}}"#
            ),
            Shape::Listed => format!(r#"{{"errors":[{listed}]}}"#),
            Shape::Array => format!("[{listed}]"),
            Shape::Gateway => {
                format!(r#"{{"error_msg":{message},"error_code":{code},"request_id":"{request_id}"}}"#)
            }
            Shape::Iam => {
                let title = quoted(reason(self.status));
                format!(r#"{{"error":{{"code":{},"message":{message},"title":{title}}}}}"#, self.status)
            }
            Shape::Html => {
                let text = format!("{} {}", self.status, reason(self.status));
                let html = format!(
                    "<html>\r\n<head><title>{text}</title></head>\r\n<body><h1>{text}</h1></body>\r\n</html>\r\n"
                );
                return Answer::new(self.status, "text/html", html);
            }
            Shape::Empty => {
                return Answer { status: self.status, headers: Vec::new(), body: Vec::new() };
            }
        };
        Answer::new(self.status, "application/json", body)
    }
}

/// A JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The usual words for a status.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Payload Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        507 => "Insufficient Storage",
        _ => "Unnamed",
    }
}
