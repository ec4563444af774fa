//! `windlass serve`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::VerbosityArgs;

/// Run a registry on this machine, which keeps what it gets in a folder
///
/// It takes and gives images by the OCI distribution protocol: windlass, docker, podman, skopeo,
/// crane and oras can push to it and pull from it.
///
/// It has no login and no TLS yet, so it listens on loopback addresses alone. Ctrl-C or SIGTERM
/// stops it; that is no failure, and uploads that it cuts off go on when it runs again.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Where to listen, on this machine; port 0 takes a free port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    pub(crate) listen: LoopbackAddress,

    /// The folder for its content, which is made where it is missing
    ///
    /// One server at a time can use it. Without this it is $XDG_DATA_HOME/windlass/registry, or
    /// ~/.local/share/windlass/registry where that is not set; on macOS
    /// ~/Library/Application Support/windlass/registry, on Windows
    /// %LOCALAPPDATA%\windlass\registry.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) verbosity: VerbosityArgs,
}

/// An address that only this machine can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoopbackAddress(SocketAddr);

/// Why a text is no address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListenError {
    /// It is no address with a port.
    #[error("an address and a port are wanted, as in 127.0.0.1:5000, [::1]:5000 or localhost:5000")]
    NoAddress,
    /// Others than this machine can reach it.
    #[error(
        "there is no authentication yet, so whoever reaches {0} could push and delete; only \
         addresses of this machine can be listened on: 127.0.0.1, [::1], localhost"
    )]
    NotLoopback(SocketAddr),
}

impl LoopbackAddress {
    /// The address.
    pub(crate) fn address(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for LoopbackAddress {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<LoopbackAddress, ListenError> {
        let address = match text.rsplit_once(':') {
            Some(("localhost", port)) => {
                let port = port.parse().map_err(|_| ListenError::NoAddress)?;
                SocketAddr::from((Ipv4Addr::LOCALHOST, port))
            }
            _ => text.parse().map_err(|_| ListenError::NoAddress)?,
        };
        match address.ip().is_loopback() {
            true => Ok(LoopbackAddress(address)),
            false => Err(ListenError::NotLoopback(address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        match (text.parse::<LoopbackAddress>(), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.address().to_string(), expected),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn only_addresses_of_this_machine_are_listened_on() {
        check("127.0.0.1:5000", Ok("127.0.0.1:5000"));
        check("127.8.9.1:0", Ok("127.8.9.1:0"));
        check("[::1]:5000", Ok("[::1]:5000"));
        check("localhost:5001", Ok("127.0.0.1:5001"));
        check("0.0.0.0:5000", Err("no authentication yet"));
        check("[::]:5000", Err("whoever reaches [::]:5000"));
        check("192.168.1.2:5000", Err("no authentication yet"));
        // A mapped address is not bound as a loopback one everywhere.
        check("[::ffff:127.0.0.1]:5000", Err("no authentication yet"));
        check("127.0.0.1", Err("an address and a port"));
        check("localhost", Err("an address and a port"));
        check("localhost:x", Err("an address and a port"));
        check("127.0.0.1:70000", Err("an address and a port"));
        check("example.com:5000", Err("an address and a port"));
        check("", Err("an address and a port"));
    }
}
