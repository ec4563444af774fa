//! How registries are reached and who we are there, for every command that talks to one.

use std::path::PathBuf;

use clap::Args;

/// How registries are reached, and who we are there.
#[derive(Args, Debug, Default)]
pub(crate) struct ConnectionArgs {
    /// The name to log in with, where the run has one registry [env: WINDLASS_USERNAME]
    ///
    /// The name to log in with, before all other credentials; the password comes from
    /// WINDLASS_PASSWORD or --password-stdin. Refused where the run has more than one registry:
    /// credentials go to one host.
    ///
    /// Without it, credentials are looked for as docker and podman leave them: DOCKER_AUTH_CONFIG,
    /// REGISTRY_AUTH_FILE, containers/auth.json, ~/.docker/config.json and the helpers it names.
    ///
    /// [env: WINDLASS_USERNAME]
    #[arg(long, value_name = "NAME", help_heading = "Login")]
    pub(crate) username: Option<String>,

    /// Read the password from standard input, up to its end [env: WINDLASS_PASSWORD]
    #[arg(long, help_heading = "Login")]
    pub(crate) password_stdin: bool,

    /// Trust the certificate authorities in FILE too [env: SSL_CERT_FILE]
    ///
    /// Trust the certificate authorities in FILE (PEM) too; may be given several times. Folders
    /// like /etc/docker/certs.d and /etc/containers/certs.d are looked at as well.
    ///
    /// [env: SSL_CERT_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    pub(crate) cacert: Vec<PathBuf>,

    /// Show the certificate in FILE to registries that ask for one
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "Connection")]
    pub(crate) cert: Option<PathBuf>,

    /// The key of --cert
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "Connection")]
    pub(crate) key: Option<PathBuf>,

    /// Talk to HOST[:PORT] in plain HTTP; may be given several times
    ///
    /// Talk to HOST[:PORT] in plain HTTP; may be given several times. Registries on this machine
    /// (localhost, 127.0.0.0/8, [::1]) are asked in plain HTTP first without being named here.
    #[arg(long, value_name = "HOST", help_heading = "Connection")]
    pub(crate) plain_http: Vec<String>,
}
