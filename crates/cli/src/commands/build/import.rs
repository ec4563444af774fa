//! `windlass build import`.

use crate::args::ImportArgs;
use crate::problem::Problem;

pub(crate) async fn run(_args: &ImportArgs) -> Result<(), Problem> {
    Err(Problem::other("not written yet"))
}
