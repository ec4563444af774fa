//! `windlass auth check`.

use crate::args::AuthCheckArgs;
use crate::commands::Context;
use crate::exit_code::Exit;
use crate::problem::Problem;

pub(crate) async fn run(_args: &AuthCheckArgs, _context: &Context) -> Result<Exit, Problem> {
    Err(Problem::other("not there yet"))
}
