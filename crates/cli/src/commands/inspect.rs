//! `windlass inspect`.

use crate::args::InspectArgs;
use crate::commands::Context;
use crate::exit_code::Exit;
use crate::problem::Problem;

pub(crate) async fn run(_args: &InspectArgs, _context: &Context) -> Result<Exit, Problem> {
    Err(Problem::other("not there yet"))
}
