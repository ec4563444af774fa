//! What a registry says when it says no. Distribution-spec, §"Error Codes".
//!
//! Registries send HTML, nothing, half a JSON document or megabytes of it; the status line alone
//! decides what happens next, and this body is only for people to read. So reading it never fails.

use std::fmt;

use serde_json::Value;

/// The body of an error answer, as far as it could be understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// The errors in it, where it was the JSON that the specification describes.
    pub errors: Vec<ApiError>,
    /// A printable, shortened excerpt, where it was anything else.
    pub text: Option<String>,
}

/// One error of an [`ErrorBody`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The code, upper case as a rule: `MANIFEST_BLOB_UNKNOWN`. Empty where there was none.
    pub code: String,
    /// What the registry says of it, in its own words, made printable.
    pub message: Option<String>,
    /// More of it, in whatever form the registry likes.
    pub detail: Option<Value>,
}

impl ErrorBody {
    /// How many bytes of a body are looked at; a caller need not read more.
    pub const LIMIT: usize = 64 * 1024;

    /// Reads a body.
    #[must_use]
    pub fn parse(body: &[u8]) -> ErrorBody {
        let body = &body[..body.len().min(ErrorBody::LIMIT)];
        let errors = match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(mut object)) => match object.remove("errors") {
                Some(Value::Array(errors)) => errors.into_iter().filter_map(read_one).collect(),
                // Some proxies and token servers answer with one error, or with words alone.
                _ => read_one(Value::Object(object)).into_iter().collect(),
            },
            _ => Vec::new(),
        };
        let text = if errors.is_empty() { excerpt(body) } else { None };
        ErrorBody { errors, text }
    }

    /// Whether any of its errors has this code.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        self.errors.iter().any(|error| error.code == code)
    }

    /// Whether nothing can be shown of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty() && self.text.is_none()
    }
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().take(ERRORS_SHOWN).enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        match (&self.text, self.errors.len()) {
            (Some(text), 0) => f.write_str(text),
            (_, count) if count > ERRORS_SHOWN => {
                write!(f, "; … and {} more", count - ERRORS_SHOWN)
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), &self.message) {
            ("", Some(message)) => f.write_str(message),
            (code, Some(message)) => write!(f, "{code}: {message}"),
            (code, None) => f.write_str(code),
        }?;
        match &self.detail {
            Some(Value::String(detail)) => write!(f, " ({})", printable(detail)),
            Some(Value::Null) | None => Ok(()),
            Some(detail) => write!(f, " ({})", printable(&detail.to_string())),
        }
    }
}

/// How many characters of any one text of a registry are shown.
const SHOWN: usize = 400;

/// How many errors of one body are shown.
const ERRORS_SHOWN: usize = 5;

fn read_one(value: Value) -> Option<ApiError> {
    let Value::Object(mut object) = value else {
        return None;
    };
    let words = |value: Option<Value>| match value {
        Some(Value::String(text)) => Some(printable(&text)).filter(|text| !text.is_empty()),
        Some(number @ Value::Number(_)) => Some(number.to_string()),
        _ => None,
    };
    let code = words(object.remove("code")).or_else(|| words(object.remove("error")));
    let message = words(object.remove("message"))
        .or_else(|| words(object.remove("error_description")))
        .or_else(|| words(object.remove("details")));
    if code.is_none() && message.is_none() {
        return None;
    }
    let detail = object.remove("detail").filter(|detail| !is_hollow(detail));
    Some(ApiError { code: code.unwrap_or_default(), message, detail })
}

fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.is_empty(),
        _ => false,
    }
}

/// The words of a page or text, without its tags.
fn excerpt(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let mut words = String::new();
    let mut in_tag = false;
    for character in text.chars() {
        match character {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                words.push(' ');
            }
            _ if in_tag => {}
            other => words.push(other),
        }
        if words.len() > 4 * SHOWN {
            break;
        }
    }
    Some(printable(&words)).filter(|words| !words.is_empty())
}

/// One line without control characters, so that a registry cannot write to the terminal.
fn printable(text: &str) -> String {
    /// Marks that make a terminal write from right to left, or hide what follows.
    fn turns_text(c: char) -> bool {
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    }

    let mut line = String::new();
    for (index, word) in text
        .split(|c: char| c.is_whitespace() || c.is_control() || turns_text(c))
        .filter(|word| !word.is_empty())
        .enumerate()
    {
        if index > 0 {
            line.push(' ');
        }
        line.push_str(word);
        if let Some((cut, _)) = line.char_indices().nth(SHOWN) {
            line.truncate(cut);
            line.push('…');
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        assert_eq!(ErrorBody::parse(body.as_bytes()).to_string(), expected);
    }

    #[test]
    fn shows_the_registrys_own_words_whatever_form_they_have() {
        check(
            r#"{"errors":[{"code":"DENIED","message":"requested access is denied","detail":null}]}"#,
            "DENIED: requested access is denied",
        );
        check(
            r#"{"errors":[{"code":"A","message":"x","detail":{"name":"n"}},{"code":"B"}]}"#,
            r#"A: x ({"name":"n"}); B"#,
        );
        check(r#"{"errors":null}"#, r#"{"errors":null}"#);
        check(r#"{"errors":[1,"x",{"message":"only words"}]}"#, "only words");
        check(r#"{"details":"incorrect username or password"}"#, "incorrect username or password");
        check(
            r#"{"error":"invalid_grant","error_description":"expired"}"#,
            "invalid_grant: expired",
        );
        check(
            "<html><head><title>502 Bad Gateway</title></head>\r\n<body></body></html>",
            "502 Bad Gateway",
        );
        check("", "");
        check("upstream \u{1b}[31mtimeout\u{7}\n", "upstream [31mtimeout");
        check(r#"{"errors":[{"code":"X","mess"#, r#"{"errors":[{"code":"X","mess"#);
    }

    #[test]
    fn long_words_are_cut() {
        let body = ErrorBody::parse("ä".repeat(5000).as_bytes()).to_string();
        assert_eq!(body.chars().count(), SHOWN + 1);
    }

    #[test]
    fn many_errors_are_counted_and_not_all_shown() {
        let body = |count: usize| {
            let errors = vec![r#"{"code":"X"}"#; count].join(",");
            ErrorBody::parse(format!(r#"{{"errors":[{errors}]}}"#).as_bytes())
        };
        assert_eq!(body(5).to_string(), "X; X; X; X; X");
        assert_eq!(body(7).to_string(), "X; X; X; X; X; … and 2 more");
        assert_eq!(body(7).errors.len(), 7);
    }

    /// JSON as a registry with a bad day might send it, in the places where errors are looked for.
    fn some_error() -> impl Strategy<Value = Value> {
        let text = prop_oneof![".{0,20}", ".{300,900}"].prop_map(Value::from);
        let scalar = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), text];
        let value = scalar.clone().prop_recursive(4, 40, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::hash_map(".{0,9}", inner, 0..8)
                    .prop_map(|object| object.into_iter().collect()),
            ]
        });
        let key = prop::sample::select(vec!["code", "message", "detail", "details", "error"]);
        prop::collection::hash_map(key.prop_map(str::to_owned), prop_oneof![scalar, value], 0..5)
            .prop_map(|object| object.into_iter().collect())
    }

    proptest! {
        #[test]
        fn any_body_gives_one_bounded_printable_line(body: Vec<u8>) {
            let line = ErrorBody::parse(&body).to_string();
            prop_assert!(!line.chars().any(char::is_control));
            prop_assert!(line.chars().count() <= SHOWN + 1);
        }

        #[test]
        fn any_errors_give_one_bounded_printable_line(
            errors in prop::collection::vec(some_error(), 0..20),
        ) {
            let body = serde_json::json!({ "errors": errors }).to_string();
            let line = ErrorBody::parse(body.as_bytes()).to_string();
            prop_assert!(!line.chars().any(char::is_control));
            // Each shows a code, a message and a detail, and a few characters between them.
            prop_assert!(line.chars().count() <= ERRORS_SHOWN * (3 * (SHOWN + 1) + 10) + 30);
        }
    }
}
