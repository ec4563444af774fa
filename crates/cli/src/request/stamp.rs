//! `{{KEY}}` in tags and repositories, and the build's status that fills it in.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A text that stands for a `T`: as it is, or once values of the build's status are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Template<T> {
    /// It needs nothing.
    Ready(T),
    /// It has a `{{KEY}}` in it.
    Stamped(String),
}

/// The values of a build, by their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status(BTreeMap<String, String>);

/// Why a text cannot be filled in. Says what is with the text, whose name goes before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfilled {
    /// There is no status.
    #[error("wants a value of the build's status, and the build was not stamped")]
    NotStamped,
    /// The status has no such key.
    #[error("wants {key}, which the build's status does not have; it has {}", keys(known))]
    UnknownKey {
        /// The key.
        key: String,
        /// All that it has.
        known: Vec<String>,
    },
    /// Nothing is left of it.
    #[error("is empty: {key} has no value in the build's status")]
    Empty {
        /// The key, or the first of them.
        key: String,
    },
    /// It is filled in, and cannot be meant.
    #[error("is {filled:?} with the build's status: {problem}")]
    Malformed {
        /// What it has become.
        filled: String,
        /// What is wrong with that.
        problem: String,
    },
}

impl<T: FromStr> FromStr for Template<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Template<T>, T::Err> {
        match text.contains("{{") {
            true => Ok(Template::Stamped(text.to_owned())),
            false => text.parse().map(Template::Ready),
        }
    }
}

/// A text with the values of `status` in the places of their keys, as a `T`. There is no status
/// where the build was not stamped.
pub(crate) fn fill<T>(text: &str, status: Option<&Status>) -> Result<T, Unfilled>
where
    T: FromStr<Err: fmt::Display>,
{
    let Status(values) = status.ok_or(Unfilled::NotStamped)?;
    let mut filled = String::new();
    let mut first_key = None;
    let mut rest = text;
    while let Some((before, key, after)) = next_key(rest) {
        let value = values.get(key).ok_or_else(|| Unfilled::UnknownKey {
            key: key.to_owned(),
            known: values.keys().cloned().collect(),
        })?;
        filled.push_str(before);
        filled.push_str(value);
        first_key = first_key.or(Some(key));
        rest = after;
    }
    filled.push_str(rest);
    match first_key {
        Some(key) if filled.is_empty() => Err(Unfilled::Empty { key: key.to_owned() }),
        _ => filled.parse().map_err(|problem: T::Err| Unfilled::Malformed {
            problem: problem.to_string(),
            filled,
        }),
    }
}

impl Unfilled {
    /// What the reader can do who pushes `label`, a target of Bazel's.
    pub(crate) fn hint(&self, label: Option<&str>) -> Option<String> {
        let label = label?;
        match self {
            Unfilled::NotStamped => Some(format!("bazel run --stamp {label}")),
            Unfilled::Empty { key } if key == "BUILD_EMBED_LABEL" => {
                Some(format!("bazel run --stamp --embed_label=v1.2.3 {label}"))
            }
            _ => None,
        }
    }
}

impl Status {
    /// Adds what stands in a file of Bazel's: lines of a key, a space and a value, which may be
    /// empty and have spaces in it.
    pub(crate) fn add(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            self.0.insert(key.to_owned(), value.to_owned());
        }
    }
}

/// What stands before the first `{{KEY}}`, the key, and what stands after it.
fn next_key(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (key, after) = rest.split_once("}}")?;
    Some((before, key, after))
}

fn keys(known: &[String]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_oci::Tag;

    fn status(text: &str) -> Status {
        let mut status = Status::default();
        status.add(text);
        status
    }

    #[test]
    fn a_status_is_lines_of_key_and_value() {
        let check = |text: &str, key: &str, expected: Option<&str>| {
            assert_eq!(status(text).0.get(key).map(String::as_str), expected, "{text:?}");
        };
        check("BUILD_USER me\n", "BUILD_USER", Some("me"));
        check("BUILD_USER me\r\nBUILD_HOST here\r\n", "BUILD_USER", Some("me"));
        check("BUILD_EMBED_LABEL \n", "BUILD_EMBED_LABEL", Some(""));
        check("BUILD_EMBED_LABEL\n", "BUILD_EMBED_LABEL", Some(""));
        check("FORMATTED_DATE 2026 Nov 25\n", "FORMATTED_DATE", Some("2026 Nov 25"));
        check("\nA 1\n\n", "A", Some("1"));
        check("A 1\n", "B", None);
    }

    #[track_caller]
    fn check(text: &str, values: Option<&str>, expected: Result<&str, &str>) {
        let status = values.map(status);
        let filled: Result<Tag, _> = fill(text, status.as_ref());
        match (filled, expected) {
            (Ok(tag), Ok(expected)) => assert_eq!(tag.as_str(), expected),
            (Err(why), Err(words)) => assert!(why.to_string().contains(words), "{why}"),
            (filled, expected) => panic!("{filled:?}, not {expected:?}"),
        }
    }

    #[test]
    fn keys_are_replaced_by_values() {
        let values = Some("USER me\nLABEL \nTIME 17\nDATE 2026 Nov\n");
        check("{{USER}}", values, Ok("me"));
        check("v1-{{USER}}.{{TIME}}-x", values, Ok("v1-me.17-x"));
        check("{{USER}}{{TIME}}", values, Ok("me17"));
        check("v1{{LABEL}}", values, Ok("v1"));
        check("{{USER}}", None, Err("the build was not stamped"));
        check("{{HOME}}", values, Err("wants HOME, which"));
        check("{{HOME}}", values, Err("it has DATE, LABEL, TIME, USER"));
        check("{{HOME}}", Some(""), Err("it has none"));
        check("{{ USER }}", values, Err("wants  USER , which"));
        check("{{}}", values, Err("does not have"));
        check("{{LABEL}}", values, Err("is empty: LABEL has no value"));
        check("{{DATE}}", values, Err("is \"2026 Nov\" with the build's status: tag \"2026 Nov\""));
        check("{{USER", values, Err("is malformed"));
        check("{{USER}}}}", values, Err("is malformed"));
    }

    #[test]
    fn only_a_text_with_a_key_waits_for_the_status() {
        let parse = |text: &str| text.parse::<Template<Tag>>().ok();
        assert_eq!(parse("v1"), Some(Template::Ready("v1".parse().unwrap())));
        assert_eq!(parse("v1-{{A}}"), Some(Template::Stamped("v1-{{A}}".to_owned())));
        assert_eq!(parse("v1-{A}"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn whoever_can_do_something_is_told_what() {
        let hint = |why: Unfilled, label| why.hint(label);
        let stamp = "bazel run --stamp //app:push";
        assert_eq!(hint(Unfilled::NotStamped, Some("//app:push")).as_deref(), Some(stamp));
        assert_eq!(hint(Unfilled::NotStamped, None), None);
        let empty = |key: &str| Unfilled::Empty { key: key.to_owned() };
        let embed = "bazel run --stamp --embed_label=v1.2.3 //app:push";
        assert_eq!(hint(empty("BUILD_EMBED_LABEL"), Some("//app:push")).as_deref(), Some(embed));
        assert_eq!(hint(empty("BUILD_USER"), Some("//app:push")), None);
    }

    #[test]
    fn a_value_is_not_filled_in_again() {
        check("{{A}}", Some("A {{B}}\nB x\n"), Err("is \"{{B}}\" with"));
    }
}
