//! `windlass demo`.

use std::path::PathBuf;

use clap::Args;

use crate::selector;

/// Start a registry, push a sample image into it and prove that it is there, in one go
///
/// The registry listens on a free port of this machine. The image is pushed, every byte of it is
/// pulled back and checked, it is pushed again to show that nothing is sent, and a push is broken
/// in its middle to show how it goes on. Nothing else is needed, no credential is read, nothing
/// leaves this machine and nothing is left behind.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// An image to do it with: an OCI image layout, a directory or a tar archive of one
    /// [default: one that is made for it]
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Option<PathBuf>,

    /// Which image, where the layout has several: its digest, the beginning of it, or its name
    #[arg(long, value_name = "DIGEST|NAME", requires = "image")]
    #[arg(value_parser = selector::parse)]
    pub(crate) manifest: Option<String>,

    /// Keep the registry running until Ctrl-C, and keep its folder
    #[arg(long)]
    pub(crate) keep: bool,

    /// Say nothing but errors, and with --keep where the registry is
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,
}
