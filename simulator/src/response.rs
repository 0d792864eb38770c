//! Responses, and the error shapes observed from the real service, its gateway and proxies.

/// Code of the only error with an encoded authorization message.
const DENIED: &str = "SVCSTG.SWR.4030170";
/// An example of the encoded message, which only the vendor can decode.
const ENCODED: &str =
    r#""encoded_authorization_message":"RU5DT0RFRC1BVVRIT1JJWkFUSU9OLU1FU1NBR0UtT0YtVEhFLVNJTVVMQVRPUg==""#;

/// A response before it is sent. Faults may change any part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers in order. `Content-Length` and `Connection` are added at sending.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Response {
    /// A response with a body of the given type.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }.with("Content-Type", content_type)
    }

    /// 200 with JSON.
    #[must_use]
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, "application/json;charset=utf-8", body)
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    /// A header; the name is case-insensitive.
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
    /// SWR today: a flat code and message, and the old list beside them.
    Current,
    /// SWR before: an object with only the list.
    Listed,
    /// SWR in older documentation: a bare array.
    Array,
    /// The gateway: a flat code and message, and a request id.
    Gateway,
    /// IAM: an object `error` with a numeric code.
    Iam,
    /// A proxy that returns HTML.
    Html,
    /// A proxy that returns an empty body.
    Empty,
}

/// An API error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// Status code.
    pub status: u16,
    /// Shape of the body.
    pub shape: Shape,
    /// Code, such as `SVCSTG.SWR.4000056`.
    pub code: String,
    /// Message for people.
    pub message: String,
}

impl ApiError {
    /// An error of any shape.
    #[must_use]
    pub fn new(status: u16, shape: Shape, code: &str, message: &str) -> Self {
        Self { status, shape, code: code.to_owned(), message: message.to_owned() }
    }

    /// An error of SWR itself, in its current shape.
    #[must_use]
    pub fn swr(status: u16, number: u32, message: &str) -> Self {
        Self::new(status, Shape::Current, &format!("SVCSTG.SWR.{number}"), message)
    }

    /// 403: the caller lacks the permission.
    pub(super) fn denied() -> Self {
        Self::swr(403, 4_030_170, "no permission to access the resource")
    }

    /// 400: a parameter is not valid.
    pub(super) fn bad_parameter(message: &str) -> Self {
        Self::swr(400, 4_001_025, message)
    }

    /// 404: the organization does not exist.
    pub(super) fn unknown_namespace() -> Self {
        Self::swr(404, 4_041_061, "namespace not exist")
    }

    /// An error of the gateway.
    #[must_use]
    pub fn gateway(status: u16, number: &str, message: &str) -> Self {
        Self::new(status, Shape::Gateway, &format!("APIGW.{number}"), message)
    }

    pub(super) fn response(&self, request_id: &str) -> Response {
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
                return Response::new(self.status, "text/html", html);
            }
            Shape::Empty => {
                return Response { status: self.status, headers: Vec::new(), body: Vec::new() };
            }
        };
        Response::new(self.status, "application/json", body)
    }
}

/// A JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The reason phrase of a status.
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
        503 => "RequestContext Unavailable",
        504 => "Gateway Timeout",
        507 => "Insufficient Storage",
        _ => "Unnamed",
    }
}
