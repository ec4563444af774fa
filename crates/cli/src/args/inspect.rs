//! `windlass inspect`.

use std::path::PathBuf;

use clap::Args;

use super::{FormArgs, VerbosityArgs};
use crate::selector;

/// Show what an image is made of, what of it is missing here, and what is wrong with it
///
/// Its index, platforms, manifests, configs and layers are shown as a tree, or with `--output json`
/// as lists. Manifests, configs and all small blobs are read and their digests checked; of large
/// layers the size is.
///
/// Exit status: 0 where nothing is wrong, even if parts are missing here (a registry may have
/// them); 3 where the image is corrupt or cannot be read; then all that is wrong is listed.
#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// An OCI image layout: a directory, or a tar archive of one
    #[arg(value_name = "IMAGE")]
    pub(crate) image: PathBuf,

    /// Which image, where the layout has several: its digest, the beginning of it, or its name
    #[arg(long, value_name = "DIGEST|NAME", value_parser = selector::parse)]
    pub(crate) manifest: Option<String>,

    #[command(flatten)]
    pub(crate) form: FormArgs,

    #[command(flatten)]
    pub(crate) verbosity: VerbosityArgs,
}
