//! `windlass demo`.

use clap::Args;

/// Start a registry, push a sample image into it and prove that it is there
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {}
