//! `windlass push`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ConnectionArgs;

/// Push an image into one or more repositories
#[derive(Args, Debug)]
pub(crate) struct PushArgs {
    /// An OCI image layout: a directory, or a tar archive of one
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Option<PathBuf>,

    /// Where to push to; may be given several times
    #[arg(short, long = "repository", value_name = "HOST/NAME")]
    pub(crate) repositories: Vec<String>,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// Whether tags may be moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TagPolicyArg {
    /// A tag may be moved from any image to this one
    #[default]
    Move,
    /// A tag may be created; one that names another image is a refusal
    Create,
}
