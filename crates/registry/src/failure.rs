//! Answers that say no, in the form that the specification gives them. Distribution-spec,
//! §"Error Codes".

use std::io;

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

/// An answer that says no.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    code: &'static str,
    /// One error each: what is wrong, in words, and with what.
    errors: Vec<(String, Value)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Failure {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Failure {
        let errors = vec![(message.into(), Value::Null)];
        Failure { status, code, errors, headers: Vec::new() }
    }

    /// The same with what it is about.
    pub(crate) fn about(mut self, detail: &Value) -> Failure {
        for (_, old) in &mut self.errors {
            old.clone_from(detail);
        }
        self
    }

    /// The same with a header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Failure {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::NOT_FOUND, code, message)
    }

    /// A 400 with several errors of one kind.
    pub(crate) fn several(code: &'static str, errors: Vec<(String, Value)>) -> Failure {
        Failure { status: StatusCode::BAD_REQUEST, code, errors, headers: Vec::new() }
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let errors: Vec<Value> = self
            .errors
            .into_iter()
            .map(|(message, detail)| match detail {
                Value::Null => json!({ "code": self.code, "message": message }),
                detail => json!({ "code": self.code, "message": message, "detail": detail }),
            })
            .collect();
        let mut response = Response::new(Body::from(json!({ "errors": errors }).to_string()));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// Something that this side should have been able to do.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        let words = format!("the registry could not do it: {error}");
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", words)
    }
}
