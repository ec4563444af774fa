//! What all steps have in common: specs are read, outputs are written, and every problem begins
//! with the label of the target that it is about.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_oci::Descriptor;

use crate::exit_code::Exit;
use crate::problem::Problem;

/// A thousand layers by name are a hundredth of it.
const LARGEST: u64 = 32 << 20;

/// Reads the JSON file `path`: a spec, or what another step has written. `what` names it in errors:
/// "the spec".
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T, Problem> {
    serde_json::from_slice(&read(path, what)?).map_err(|error| {
        Problem::usage(format!("cannot understand {what} {}: {error}", path.display()))
    })
}

/// Reads the small file `path`. `what` names it in errors.
pub(crate) fn read(path: &Path, what: &str) -> Result<Vec<u8>, Problem> {
    let shown = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|open| open.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| Problem::usage(format!("cannot read {what} {shown}: {error}")))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Problem::usage(format!("{what} {shown} has more than {LARGEST} bytes")));
    }
    Ok(bytes)
}

/// Reads a part of an image. `what` names it in errors.
pub(crate) fn read_part(path: &Path, what: &str) -> Result<Vec<u8>, Problem> {
    read(path, what).map_err(|problem| Problem { exit: Exit::Image, ..problem })
}

/// Writes an output of a step, whole.
pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), Problem> {
    fs::write(path, bytes)
        .map_err(|error| Problem::other(format!("cannot write {}: {error}", path.display())))
}

/// Writes `value` as JSON, in the order of its fields.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Problem> {
    let json = serde_json::to_vec(value)
        .map_err(|error| Problem::other(format!("cannot write JSON: {error}")))?;
    write(path, json)
}

/// Writes what refers to an image: its descriptor, and its digest for people and scripts.
pub(crate) fn write_descriptor(
    file: &Path,
    digest_file: &Path,
    descriptor: &Descriptor,
) -> Result<(), Problem> {
    write_json(file, descriptor)?;
    write(digest_file, format!("{}\n", descriptor.digest))
}

/// What is wrong with an image or a layer.
pub(crate) fn bad_image(message: impl Display) -> Problem {
    Problem { exit: Exit::Image, ..Problem::other(message.to_string()) }
}

/// The same problem, as one of `target`.
pub(crate) fn of_target(target: &str) -> impl Fn(Problem) -> Problem {
    move |problem| Problem { message: format!("{target}: {}", problem.message), ..problem }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("spec.json");
        let missing = read_json::<Value>(&file, "the spec").unwrap_err();
        let start = format!("cannot read the spec {}: ", file.display());
        assert!(missing.message.starts_with(&start), "{}", missing.message);
        write(&file, "{").unwrap();
        let broken = read_json::<Value>(&file, "the spec").unwrap_err();
        let start = format!("cannot understand the spec {}: EOF", file.display());
        assert!(broken.message.starts_with(&start), "{}", broken.message);
        assert_eq!(broken.exit, Exit::Usage);
    }

    #[test]
    fn a_problem_begins_with_the_target_and_stays_the_same_otherwise() {
        let problem = of_target("//app:image")(bad_image("it is corrupt").hint("build it again"));
        assert_eq!(problem.message, "//app:image: it is corrupt");
        assert_eq!(problem.hint.as_deref(), Some("build it again"));
        assert_eq!(problem.exit, Exit::Image);
    }
}
