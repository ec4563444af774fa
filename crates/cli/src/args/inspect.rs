//! `windlass inspect`.

use std::path::PathBuf;

use clap::Args;

/// Show what an image is made of
#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// An OCI image layout: a directory, or a tar archive of one
    #[arg(value_name = "IMAGE")]
    pub(crate) image: PathBuf,
}
