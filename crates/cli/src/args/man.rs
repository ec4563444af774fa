//! `windlass man`.

use std::path::PathBuf;

use clap::Args;

/// Print the manual page, or write all of them into a folder
#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// A folder to write windlass.1 and one page a command into; it is made where it is missing
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}
