//! `windlass build layout`.

use std::path::Path;

use crate::output::Output;
use crate::problem::Problem;

pub(crate) fn run(_spec: &Path, _output: &Output) -> Result<(), Problem> {
    Err(Problem::other("not written yet"))
}
