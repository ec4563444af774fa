//! `windlass build layer`.

use crate::args::LayerArgs;
use crate::problem::Problem;

pub(crate) fn run(_args: &LayerArgs) -> Result<(), Problem> {
    Err(Problem::other("not written yet"))
}
