//! `windlass build request`.

use std::path::Path;

use crate::problem::Problem;

pub(crate) fn run(_spec: &Path) -> Result<(), Problem> {
    Err(Problem::other("not written yet"))
}
