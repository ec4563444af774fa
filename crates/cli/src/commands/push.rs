//! `windlass push`.

use crate::args::{CommonArgs, PushArgs};
use crate::commands::Context;
use crate::exit_code::Exit;
use crate::problem::Problem;

pub(crate) async fn run(
    _args: &PushArgs,
    _common: &CommonArgs,
    _context: &Context,
) -> Result<Exit, Problem> {
    Err(Problem::other("not there yet"))
}
