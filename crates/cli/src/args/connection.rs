//! How registries are reached and who we are there, for every command that talks to one.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use windlass_oci::Registry;

use crate::duration;

/// How registries are reached, and who we are there.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ConnectionArgs {
    /// How long to keep trying while nothing moves [env: WINDLASS_RETRY_FOR] [default: 5m]
    ///
    /// Counted from the registry's first answer; before that a name that does not resolve or a bad
    /// certificate ends the run at once, a dead address after 3 seconds. Written as 90s, 5m, 1h30m.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = "Connection")]
    pub(crate) retry_for: Option<Duration>,

    /// Resume a body of which no byte moved for TIME [env: WINDLASS_STALL_TIMEOUT] [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse_positive)]
    #[arg(help_heading = "Connection")]
    pub(crate) stall_timeout: Option<Duration>,

    /// Trust the certificate authorities in FILE too
    ///
    /// In PEM; may be given several times. SSL_CERT_FILE is looked at as well, and what lies for a
    /// host in /etc/docker/certs.d, /etc/containers/certs.d and the user's own certs.d.
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
    /// Registries on this machine (localhost, 127.0.0.0/8, [::1]) are asked in plain HTTP first
    /// without being named here.
    #[arg(long, value_name = "HOST", help_heading = "Connection")]
    pub(crate) plain_http: Vec<Registry>,

    /// Accept any certificate, and plain HTTP where there is no TLS
    ///
    /// Whoever sits between here and the registry can then read the password.
    #[arg(long, help_heading = "Connection")]
    pub(crate) insecure: bool,

    /// The name to log in with, where the run has one registry [env: WINDLASS_USERNAME]
    ///
    /// Its password comes from --password-stdin or WINDLASS_PASSWORD. It goes before all other
    /// credentials, which are found where docker and podman leave them: DOCKER_AUTH_CONFIG,
    /// REGISTRY_AUTH_FILE, containers/auth.json, ~/.docker/config.json, and the helpers that these
    /// name.
    #[arg(long, value_name = "NAME", help_heading = "Login")]
    pub(crate) username: Option<String>,

    /// Read the password from standard input rather than WINDLASS_PASSWORD
    #[arg(long, help_heading = "Login")]
    pub(crate) password_stdin: bool,
}
