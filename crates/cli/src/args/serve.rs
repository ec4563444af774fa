//! `windlass serve`.

use std::path::PathBuf;

use clap::Args;

/// Run a registry that keeps its content in a folder
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// The folder, which is made where it is missing
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5000")]
    pub(crate) listen: String,
}
