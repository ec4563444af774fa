//! `windlass build`: what the Bazel rules call. Hidden, and no interface for people: a release of
//! the rules brings its own `windlass`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Steps of building images, for build rules
#[derive(Args, Debug)]
pub(crate) struct BuildArgs {
    #[command(subcommand)]
    pub(crate) step: BuildStep,
}

/// One step, one action of a build.
#[derive(Debug, Subcommand)]
pub(crate) enum BuildStep {
    Layer(LayerArgs),
    Import(ImportArgs),
    Image(SpecArgs),
    Index(SpecArgs),
    Layout(SpecArgs),
    Request(SpecArgs),
}

/// Describe an archive as a layer: media type, digest, size, diff id
#[derive(Args, Debug)]
pub(crate) struct LayerArgs {
    /// The archive: tar, or tar compressed by gzip or zstd
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Where the description goes
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Who wants it, for messages
    #[arg(long, value_name = "LABEL")]
    pub(crate) target: String,
}

/// Take manifest and config of an image out of a layout
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// The layout's directory, or an archive of one
    #[arg(long, value_name = "LAYOUT")]
    pub(crate) layout: PathBuf,
    /// Which image of an index: OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// Where the manifest goes, byte for byte
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: PathBuf,
    /// Where the config goes, byte for byte
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Where the manifest's descriptor goes, with its platform
    #[arg(long, value_name = "FILE")]
    pub(crate) descriptor: PathBuf,
    /// Where the manifest's digest goes
    #[arg(long, value_name = "FILE")]
    pub(crate) digest: PathBuf,
    /// Who wants it, for messages
    #[arg(long, value_name = "LABEL")]
    pub(crate) target: String,
}

/// A step that is told what to do by a file
#[derive(Args, Debug)]
pub(crate) struct SpecArgs {
    /// What to do, as JSON
    #[arg(value_name = "SPEC")]
    pub(crate) spec: PathBuf,
}
