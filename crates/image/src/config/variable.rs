//! Environment variables of an image, and `$NAME` in their values.

/// A variable to be set. `$NAME` and `${NAME}` in its value stand for what is set before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvVariable {
    name: String,
    value: String,
}

/// Why a variable cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// It has no name.
    #[error("a variable of the environment has no name: its value is {0:?}")]
    NoName(String),
    /// A process would take the variable for another one.
    #[error("{0:?} is no name of a variable of the environment: it has an = in it")]
    Equals(String),
    /// It would end there.
    #[error("the variable {0:?} of the environment has a character NUL in it")]
    Nul(String),
}

impl EnvVariable {
    /// The variable `name`.
    pub fn new(name: &str, value: &str) -> Result<EnvVariable, EnvError> {
        if name.is_empty() {
            return Err(EnvError::NoName(value.to_owned()));
        }
        if name.contains('=') {
            return Err(EnvError::Equals(name.to_owned()));
        }
        if name.contains('\0') || value.contains('\0') {
            return Err(EnvError::Nul(name.to_owned()));
        }
        Ok(EnvVariable { name: name.to_owned(), value: value.to_owned() })
    }
}

/// Sets `variable` in an environment of `NAME=VALUE`: in the place of the one of that name, else
/// behind all others.
pub(crate) fn set(environment: &mut Vec<String>, variable: &EnvVariable) {
    let name = variable.name.as_str();
    let value = expand(&variable.value, |name| {
        environment.iter().find_map(|entry| value_in(entry, name)).unwrap_or_default()
    });
    let entry = format!("{name}={value}");
    let place = environment.iter().position(|entry| is_named(entry, name));
    environment.retain(|entry| !is_named(entry, name));
    environment.insert(place.unwrap_or(environment.len()), entry);
}

fn is_named(entry: &str, name: &str) -> bool {
    entry == name || value_in(entry, name).is_some()
}

fn value_in<'a>(entry: &'a str, name: &str) -> Option<&'a str> {
    entry.strip_prefix(name)?.strip_prefix('=')
}

/// `value` with `$NAME` and `${NAME}` replaced. `$$` stays `$$`, and protects what comes after it;
/// so does everything else that names no variable.
fn expand<'a>(value: &str, value_of: impl Fn(&str) -> &'a str) -> String {
    let mut expanded = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(place) = rest.find('$') {
        let (before, from_dollar) = rest.split_at(place);
        expanded.push_str(before);
        let (text, length) = match reference(&from_dollar[1..]) {
            Some((name, length)) => (value_of(name), 1 + length),
            None if from_dollar.starts_with("$$") => ("$$", 2),
            None => ("$", 1),
        };
        expanded.push_str(text);
        rest = &from_dollar[length..];
    }
    expanded + rest
}

/// The name that `text`, which stands behind a `$`, begins with, and how long all of it is.
fn reference(text: &str) -> Option<(&str, usize)> {
    if let Some(inner) = text.strip_prefix('{') {
        let (name, _) = inner.split_once('}')?;
        return (name_length(name) == name.len() && !name.is_empty())
            .then_some((name, name.len() + 2));
    }
    let length = name_length(text);
    (length > 0).then(|| (&text[..length], length))
}

/// How long the name is that `text` begins with: letters, digits and `_`, but no digit first.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base: &[&str], set_to: &[(&str, &str)], expected: &[&str]) {
        let mut environment: Vec<_> = base.iter().map(|&entry| entry.to_owned()).collect();
        for (name, value) in set_to {
            set(&mut environment, &EnvVariable::new(name, value).unwrap());
        }
        assert_eq!(environment, expected);
    }

    #[test]
    fn a_variable_is_set_in_its_place_or_behind_all_others() {
        check(&[], &[("A", "1"), ("B", "")], &["A=1", "B="]);
        check(&["A=1", "B=2"], &[("C", "3"), ("A", "4")], &["A=4", "B=2", "C=3"]);
        check(&["AB=1"], &[("A", "2")], &["AB=1", "A=2"]);
        check(&["A"], &[("A", "2")], &["A=2"]);
        check(&["A=1", "B=2", "A=3"], &[("A", "$A.")], &["A=1.", "B=2"]);
        check(&["A=1=2"], &[("B", "$A")], &["A=1=2", "B=1=2"]);
        check(&[], &[("A", "1"), ("A", "$A:2")], &["A=1:2"]);
    }

    #[test]
    fn what_was_set_before_is_put_in() {
        let base = ["PATH=/bin", "HOME=/root"];
        check(&base, &[("PATH", "/app:$PATH")], &["PATH=/app:/bin", "HOME=/root"]);
        let check = |value: &str, expected: &str| {
            let entry = format!("X={expected}");
            check(
                &["A=1", "_B2=two", "E=$A"],
                &[("X", value)],
                &["A=1", "_B2=two", "E=$A", &entry],
            );
        };
        check("", "");
        check("$A", "1");
        check("${A}", "1");
        check("$A$A${A}x", "111x");
        check("x${A}x", "x1x");
        check("$_B2-", "two-");
        check("$AX", "");
        check("$X.", ".");
        check("${unknown}.", ".");
        check("$E", "$A");
        check("$$", "$$");
        check("$$A", "$$A");
        check("$$$A", "$$1");
        check("$", "$");
        check("a$", "a$");
        check("$1", "$1");
        check("$-", "$-");
        check("${", "${");
        check("${}", "${}");
        check("${A", "${A");
        check("${A:-x}", "${A:-x}");
        check("${1}", "${1}");
        check("ä$Aö", "ä1ö");
    }

    #[test]
    fn names_that_a_process_would_not_find_are_refused() {
        let check = |name: &str, value: &str, words: &str| {
            let error = EnvVariable::new(name, value).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        check("", "x", "has no name: its value is \"x\"");
        check("A=B", "x", "\"A=B\" is no name");
        check("A\0", "x", "NUL");
        check("A", "\0", "the variable \"A\"");
        assert!(EnvVariable::new("with space", "\n").is_ok());
    }
}
