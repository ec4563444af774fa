//! Choosing one image of an index by what it is to run on.

use std::fmt;
use std::str::FromStr;

use windlass_oci::Platform;

/// What an image is wanted for: `linux/arm64`, `linux/arm/v7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPlatform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// A text is no platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no platform: a platform looks like linux/amd64 or linux/arm/v7")]
pub struct PlatformError(String);

impl FromStr for WantedPlatform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<WantedPlatform, PlatformError> {
        let words: Vec<_> = text.split('/').map(str::to_owned).collect();
        let is_word = |word: &String| !word.is_empty() && !word.contains(char::is_whitespace);
        let platform = |os: &String, architecture: &String, variant: Option<&String>| {
            let (os, architecture) = (os.clone(), architecture.clone());
            WantedPlatform { os, architecture, variant: variant.cloned() }
        };
        match words.as_slice() {
            _ if !words.iter().all(is_word) => Err(PlatformError(text.to_owned())),
            [os, architecture] => Ok(platform(os, architecture, None)),
            [os, architecture, variant] => Ok(platform(os, architecture, Some(variant))),
            _ => Err(PlatformError(text.to_owned())),
        }
    }
}

impl fmt::Display for WantedPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// The place of the first image in `platforms` that is `wanted`. A variant that is wanted is
/// insisted on; where none is wanted, an image without one comes before one with any.
pub(crate) fn choose(platforms: &[Option<Platform>], wanted: &WantedPlatform) -> Option<usize> {
    let first = |is_it: &dyn Fn(Option<&str>) -> bool| {
        platforms.iter().position(|platform| {
            platform.as_ref().is_some_and(|platform| {
                platform.os == wanted.os
                    && platform.architecture == wanted.architecture
                    && is_it(variant(&platform.architecture, platform.variant.as_deref()))
            })
        })
    };
    match variant(&wanted.architecture, wanted.variant.as_deref()) {
        None => {
            first(&|variant| variant.is_none()).or_else(|| first(&|_| wanted.variant.is_none()))
        }
        wanted => first(&|variant| variant == wanted),
    }
}

/// The variant, or `None` where it is the only one there is of an architecture: many tools write
/// `arm64` for `arm64/v8`.
fn variant<'a>(architecture: &str, variant: Option<&'a str>) -> Option<&'a str> {
    variant.filter(|variant| !variant.is_empty() && (architecture, *variant) != ("arm64", "v8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Option<Platform> {
        let WantedPlatform { os, architecture, variant } = text.parse().ok()?;
        Some(Platform { architecture, os, os_version: None, os_features: Vec::new(), variant })
    }

    #[track_caller]
    fn check(platforms: &[&str], wanted: &str, expected: Option<usize>) {
        let platforms: Vec<_> = platforms.iter().map(|text| platform(text)).collect();
        assert_eq!(choose(&platforms, &wanted.parse().unwrap()), expected);
    }

    #[test]
    fn the_first_that_fits_is_chosen() {
        check(&[], "linux/amd64", None);
        check(&["linux/arm64", "linux/amd64"], "linux/amd64", Some(1));
        check(&["", "windows/amd64", "linux/amd64"], "linux/amd64", Some(2));
        check(&["linux/amd64", "linux/amd64"], "linux/amd64", Some(0));
        check(&["linux/amd64/v3"], "linux/amd64", Some(0));
        check(&["linux/amd64/v3", "linux/amd64"], "linux/amd64", Some(1));
        check(&["linux/arm/v6", "linux/arm/v7"], "linux/arm", Some(0));
        check(&["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7", Some(1));
        check(&["linux/arm/v6"], "linux/arm/v7", None);
        check(&["linux/arm"], "linux/arm/v7", None);
        check(&["linux/arm64"], "linux/arm64/v8", Some(0));
        check(&["linux/arm64/v8"], "linux/arm64", Some(0));
        check(&["linux/arm64/v9", "linux/arm64/v8"], "linux/arm64", Some(1));
        check(&["linux/arm64/v9"], "linux/arm64/v8", None);
        check(&["linux/arm64/v9"], "linux/arm64", Some(0));
    }

    #[test]
    fn platforms_have_two_or_three_words() {
        for good in ["linux/amd64", "linux/arm/v7"] {
            assert_eq!(good.parse::<WantedPlatform>().unwrap().to_string(), good);
        }
        for bad in ["", "linux", "linux/", "/amd64", "linux/arm/", "linux/arm/v7/x", "linux/a b"] {
            assert!(bad.parse::<WantedPlatform>().is_err(), "{bad:?}");
        }
    }
}
