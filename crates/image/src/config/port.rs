//! Ports and volumes: the keys of two sets in an image's config.

use std::str::FromStr;

/// A port that a container listens on, or a range of them: `80`, `80/tcp`, `8000-8010/udp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedPort(String);

/// A folder of a container that is kept apart from its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume(String);

/// Why a text is no port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no port: a port looks like 80, 80/tcp, 80/udp or 8000-8010/tcp, with numbers from 1 to 65535"
)]
pub struct PortError(String);

/// Why a text is no volume.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no volume: a volume is an absolute path, like /var/lib/data")]
pub struct VolumeError(String);

impl ExposedPort {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Volume {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ExposedPort {
    type Err = PortError;

    fn from_str(text: &str) -> Result<ExposedPort, PortError> {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let in_order = number(first).zip(number(last)).is_some_and(|(first, last)| first <= last);
        // The third is not in the specification, but every runtime that knows ports knows it.
        match in_order && matches!(protocol, "tcp" | "udp" | "sctp") {
            true => Ok(ExposedPort(text.to_owned())),
            false => Err(PortError(text.to_owned())),
        }
    }
}

impl FromStr for Volume {
    type Err = VolumeError;

    fn from_str(text: &str) -> Result<Volume, VolumeError> {
        // Windows has `C:\data` and `\\.\pipe\name`.
        let is_absolute = match text.as_bytes() {
            [b'/' | b'\\', ..] => true,
            [letter, b':', ..] => letter.is_ascii_alphabetic(),
            _ => false,
        };
        match is_absolute && !text.contains('\0') {
            true => Ok(Volume(text.to_owned())),
            false => Err(VolumeError(text.to_owned())),
        }
    }
}

fn number(text: &str) -> Option<u16> {
    let well_formed = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| well_formed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbers_or_ranges_with_a_protocol() {
        let check = |text: &str, expected: bool| {
            assert_eq!(text.parse::<ExposedPort>().is_ok(), expected, "{text:?}");
        };
        for good in ["80", "1", "65535", "80/tcp", "80/udp", "80/sctp", "8000-8010/tcp", "1-1"] {
            check(good, true);
        }
        for bad in [
            "",
            "0",
            "65536",
            "080",
            "+80",
            "http",
            "80/",
            "/tcp",
            "80/TCP",
            "80/http",
            "80/tcp/udp",
            "8010-8000",
            "8000-",
            "-80",
            "80-81-82",
            "80 ",
            " 80",
            "80:80",
            "80,81",
            "*",
        ] {
            check(bad, false);
        }
    }

    #[test]
    fn volumes_are_absolute_paths() {
        let check = |text: &str, expected: bool| {
            assert_eq!(text.parse::<Volume>().is_ok(), expected, "{text:?}");
        };
        check("/data", true);
        check("/", true);
        check("C:\\data", true);
        check("c:/data", true);
        check("\\\\.\\pipe\\docker_engine", true);
        check("", false);
        check("data", false);
        check("./data", false);
        check("1:data", false);
        check("/da\0ta", false);
    }
}
