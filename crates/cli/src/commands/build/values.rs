//! Attributes of a target that are written in the BUILD file or stand in a file of their own.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use super::spec::read;
use crate::problem::Problem;

/// The values of an attribute, or the file they stand in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Values<T> {
    /// As the BUILD file has them, in its order.
    Values(Vec<T>),
    /// A text file in UTF-8.
    File(PathBuf),
}

/// Keys with their values, or a file of lines `KEY=VALUE`.
pub(crate) type Pairs = Values<(String, String)>;

impl Values<String> {
    /// Arguments of a program. In a file every line is one, whatever it begins with; an empty last
    /// line is none.
    pub(crate) fn arguments(self) -> Result<Vec<String>, Problem> {
        match self {
            Values::Values(values) => Ok(values),
            Values::File(path) => {
                let text = text(&path)?;
                Ok(arguments(&text).into_iter().map(str::to_owned).collect())
            }
        }
    }

    /// What each of them means; nothing where the attribute is not set. In a file they are divided by commas or lines. `attribute` names
    /// them in errors.
    pub(crate) fn parse_all<T: FromStr<Err: Display>>(
        values: Option<Values<String>>,
        attribute: &str,
    ) -> Result<Vec<T>, Problem> {
        match values {
            None => Ok(Vec::new()),
            Some(Values::Values(values)) => {
                let parse = |value: &String| value.parse().map_err(|error| bad(attribute, error));
                values.iter().map(parse).collect()
            }
            Some(Values::File(path)) => {
                let text = text(&path)?;
                let words = lines(&text).flat_map(|(number, line)| {
                    let words = line.split(',').map(str::trim).filter(|word| !word.is_empty());
                    words.map(move |word| (number, word))
                });
                let parse = |(number, word): (usize, &str)| {
                    word.parse().map_err(|error| bad_line(&path, number, error))
                };
                words.map(parse).collect()
            }
        }
    }
}

impl Pairs {
    /// What `make` makes of each of them; nothing where the attribute is not set. `attribute` names them in errors.
    pub(crate) fn make_all<T, E: Display>(
        pairs: Option<Pairs>,
        attribute: &str,
        make: impl Fn(&str, &str) -> Result<T, E>,
    ) -> Result<Vec<T>, Problem> {
        match pairs {
            None => Ok(Vec::new()),
            Some(Values::Values(pairs)) => {
                let make = |(key, value): &(String, String)| {
                    make(key, value).map_err(|error| bad(attribute, error))
                };
                pairs.iter().map(make).collect()
            }
            Some(Values::File(path)) => {
                let text = text(&path)?;
                let make = |(number, line): (usize, &str)| {
                    let (key, value) = line.split_once('=').ok_or_else(|| {
                        bad_line(&path, number, format!("{line:?} is no KEY=VALUE: it has no ="))
                    })?;
                    make(key, value).map_err(|error| bad_line(&path, number, error))
                };
                lines(&text).map(make).collect()
            }
        }
    }
}

/// The text of a file.
pub(crate) fn text(path: &Path) -> Result<String, Problem> {
    let bytes = read(path, "the file")?;
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(Problem::usage(format!("{} is no text file in UTF-8", path.display()))),
    }
}

/// The lines of a file with their numbers, without blank ones and those that begin with `#`.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let is_said = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    lines.map(|(place, line)| (place + 1, line)).filter(move |(_, line)| is_said(line))
}

/// All lines of a file, one an argument.
fn arguments(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.split('\n').collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    // An editor's line ends and no part of an argument, unless some line has another end.
    if lines.iter().all(|line| line.ends_with('\r')) {
        lines.iter_mut().for_each(|line| *line = line.strip_suffix('\r').unwrap_or(line));
    }
    lines
}

fn bad(attribute: &str, error: impl Display) -> Problem {
    Problem::usage(format!("{attribute}: {error}"))
}

fn bad_line(path: &Path, number: usize, error: impl Display) -> Problem {
    Problem::usage(format!("{}:{number}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use windlass_image::{ExposedPort, Note};

    use super::*;

    #[test]
    fn every_line_is_an_argument() {
        let check = |text: &str, expected: &[&str]| assert_eq!(arguments(text), expected);
        check("", &[]);
        check("\n", &[""]);
        check("/app", &["/app"]);
        check("/app\n--name=x y\n", &["/app", "--name=x y"]);
        check("/app\n\n# no comment\n %5Cn\n\n", &["/app", "", "# no comment", " %5Cn", ""]);
        check("/app\r\n-v\r\n", &["/app", "-v"]);
        check("/app\r\n-v\n", &["/app\r", "-v"]);
    }

    #[test]
    fn lines_that_say_nothing_are_skipped() {
        let check = |text: &str, expected: &[(usize, &str)]| {
            assert_eq!(lines(text).collect::<Vec<_>>(), expected);
        };
        check("", &[]);
        check("\u{feff}A=1\r\n\r\n# B=2\n  # C\n \t\nD= 4 \n", &[(1, "A=1"), (6, "D= 4 ")]);
    }

    /// The file's content as values; errors without the folder's name.
    fn from_file<T, R>(
        text: &str,
        values: impl Fn(Values<T>) -> Result<R, Problem>,
    ) -> Result<R, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file.txt");
        std::fs::write(&file, text).unwrap();
        let place = format!("{}/", folder.path().display());
        values(Values::File(file)).map_err(|problem| problem.message.replace(&place, ""))
    }

    #[test]
    fn pairs_are_divided_at_the_first_equals_sign() {
        let keep = |key: &str, value: &str| Ok::<_, Infallible>(format!("{key}->{value}"));
        let check = |text: &str, expected: Result<&[&str], &str>| {
            let got = from_file(text, |pairs| Pairs::make_all(Some(pairs), "env", keep));
            let expected = expected.map(|pairs| pairs.iter().map(|&p| p.to_owned()).collect());
            assert_eq!(got, expected.map_err(str::to_owned));
        };
        check("A=1\nB==2=\nC=\nA=3\n", Ok(&["A->1", "B->=2=", "C->", "A->3"]));
        check("# all\nA=1\nB\n", Err("file.txt:3: \"B\" is no KEY=VALUE: it has no ="));
        check("A=\0", Err("file.txt is no text file in UTF-8"));
    }

    #[test]
    fn words_are_divided_by_commas_and_lines() {
        let check = |text: &str, expected: Result<&[&str], &str>| {
            let got =
                from_file(text, |v| Values::parse_all::<ExposedPort>(Some(v), "exposed_ports"));
            let got = got.as_ref().map(|ports| ports.iter().map(ExposedPort::as_str).collect());
            assert_eq!(got.map_err(String::as_str), expected.map(<[_]>::to_vec));
        };
        check("80,443/tcp\r\n, 53/udp ,\n# 22\n", Ok(&["80", "443/tcp", "53/udp"]));
        let error = "file.txt:2: \"x\" is no port: a port looks like 80, 80/tcp, 80/udp or \
                     8000-8010/tcp, with numbers from 1 to 65535";
        check("80\n81, x\n", Err(error));
    }

    #[test]
    fn what_the_build_file_says_is_named_by_its_attribute() {
        let values = Values::Values(vec!["80".to_owned(), "x".to_owned()]);
        let message =
            Values::parse_all::<ExposedPort>(Some(values), "exposed_ports").unwrap_err().message;
        assert!(message.starts_with("exposed_ports: \"x\" is no port"), "{message}");
        let pairs = Values::Values(vec![(String::new(), "x".to_owned())]);
        let message = Pairs::make_all(Some(pairs), "labels", Note::new).unwrap_err().message;
        assert_eq!(message, "labels: a key is empty: its value is \"x\"");
    }
}
