//! `windlass auth`.

use clap::{Args, Subcommand};

use windlass_oci::Repository;

use super::{ConnectionArgs, FormArgs, VerbosityArgs};

/// Find out what a registry allows
#[derive(Args, Debug)]
pub(crate) struct AuthArgs {
    #[command(subcommand)]
    pub(crate) command: AuthCommand,
}

/// What to do about logins.
#[derive(Debug, Subcommand)]
pub(crate) enum AuthCommand {
    Check(Box<AuthCheckArgs>),
}

/// Tell which credential is used for a repository, from where, and what it is good for
///
/// Asks for a list of tags, and opens an upload that is cancelled at once; nothing is left behind.
///
/// Exit status: 0 where both pull and push are allowed, 4 where one is not, 6 where the registry
/// cannot be reached.
#[derive(Args, Debug)]
pub(crate) struct AuthCheckArgs {
    /// The repository; it need not exist yet
    #[arg(value_name = "HOST/NAME")]
    pub(crate) repository: Repository,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,

    #[command(flatten)]
    pub(crate) form: FormArgs,

    #[command(flatten)]
    pub(crate) verbosity: VerbosityArgs,
}
