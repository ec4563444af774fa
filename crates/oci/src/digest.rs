//! Content digests: parsing, comparing, computing. Image-spec, [descriptor.md#digests].
//!
//! [descriptor.md#digests]: https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256, Sha512};

/// The digest of some content: `sha256:` and 64 lower-case hexadecimal characters, or `sha512:`
/// and 128. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(Arc<str>);

/// A hash algorithm that image-spec registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `sha256`, which every registry must support.
    Sha256,
    /// `sha512`, which a registry may support.
    Sha512,
}

/// Why a text is no digest that can be checked here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no `:` between an algorithm and an encoded part.
    #[error("{0:?} is no digest: a digest looks like sha256:<64 hexadecimal characters>")]
    NotADigest(String),
    /// The algorithm is none of those that can be computed here.
    #[error("digest {digest:?} uses the algorithm {algorithm:?}; known are sha256 and sha512")]
    UnknownAlgorithm {
        /// What stands before the `:`.
        algorithm: String,
        /// The whole text.
        digest: String,
    },
    /// The encoded part has another length or other characters than the algorithm asks for.
    #[error(
        "digest {digest:?} is malformed: {algorithm} takes {expected} lower-case hexadecimal characters"
    )]
    BadEncoding {
        /// The algorithm, whose length was not met.
        algorithm: Algorithm,
        /// How many characters it takes.
        expected: usize,
        /// The whole text.
        digest: String,
    },
}

/// Computes a [`Digest`] over bytes that arrive in pieces.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The sha256 digest of `bytes`.
    #[must_use]
    pub fn sha256(bytes: &[u8]) -> Digest {
        Digest::of(Algorithm::Sha256, bytes)
    }

    /// The whole text, `algorithm:encoded`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The algorithm that made it.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        if self.0.starts_with("sha512") { Algorithm::Sha512 } else { Algorithm::Sha256 }
    }

    /// What stands behind the `:`.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0[self.algorithm().name().len() + 1..]
    }

    /// The first twelve characters of [`hex`](Self::hex), for people's eyes only.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }

    /// Whether `bytes` have this digest.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> bool {
        Digest::of(self.algorithm(), bytes) == *self
    }
}

impl Algorithm {
    /// Its name in a digest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// How many hexadecimal characters a digest of it has.
    #[must_use]
    pub fn hex_length(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha512 => 128,
        }
    }
}

impl Hasher {
    /// A hasher that has seen nothing yet.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Hasher {
        Hasher(match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
        })
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// The digest of all that was taken in.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha256(state) => encode(Algorithm::Sha256, &state.finalize()),
            State::Sha512(state) => encode(Algorithm::Sha512, &state.finalize()),
        }
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Digest, DigestError> {
        let Some((algorithm, encoded)) = text.split_once(':') else {
            return Err(DigestError::NotADigest(text.to_owned()));
        };
        let algorithm = match algorithm {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            "" => return Err(DigestError::NotADigest(text.to_owned())),
            other => {
                return Err(DigestError::UnknownAlgorithm {
                    algorithm: other.to_owned(),
                    digest: text.to_owned(),
                });
            }
        };
        let expected = algorithm.hex_length();
        let well_formed = encoded.len() == expected
            && encoded.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !well_formed {
            let digest = text.to_owned();
            return Err(DigestError::BadEncoding { algorithm, expected, digest });
        }
        Ok(Digest(text.into()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            State::Sha256(_) => f.write_str("Hasher(sha256)"),
            State::Sha512(_) => f.write_str("Hasher(sha512)"),
        }
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn encode(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(algorithm.name().len() + 1 + algorithm.hex_length());
    text.push_str(algorithm.name());
    text.push(':');
    for byte in bytes {
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    Digest(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: Result<Algorithm, &str>) {
        let got = text.parse::<Digest>().map(|digest| digest.algorithm());
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(got), Err(expected)) => {
                assert!(got.to_string().contains(expected), "{got} lacks {expected:?}");
            }
            (got, expected) => panic!("{text}: {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn parses_known_digests_and_names_what_is_wrong_with_others() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        check(&format!("sha256:{empty}"), Ok(Algorithm::Sha256));
        check(&format!("sha512:{empty}{empty}"), Ok(Algorithm::Sha512));
        check(&format!("sha256:{empty}0"), Err("64 lower-case"));
        check(&format!("sha512:{empty}"), Err("128 lower-case"));
        check(&format!("sha256:{}", empty.to_uppercase()), Err("lower-case"));
        check(&format!("blake3:{empty}"), Err("\"blake3\"; known are sha256 and sha512"));
        check(&format!("sha256+b64:{empty}"), Err("sha256+b64"));
        check(empty, Err("is no digest"));
        check(":abc", Err("is no digest"));
        check("", Err("is no digest"));
        check("sha256:é", Err("malformed"));
    }

    #[test]
    fn hashes_as_the_standard_says() {
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::sha256(b"abc").as_str(), abc);
        let sha512 = Digest::of(Algorithm::Sha512, b"abc");
        assert!(sha512.as_str().starts_with("sha512:ddaf35a193617abacc417349ae204131"));
        assert!(sha512.matches(b"abc") && !sha512.matches(b"abd"));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_and_survives_unchanged(text in ".{0,160}") {
            if let Ok(digest) = text.parse::<Digest>() {
                prop_assert_eq!(digest.as_str(), text);
            }
        }

        #[test]
        fn pieces_hash_like_the_whole(bytes: Vec<u8>, cut in 0usize..1000) {
            let cut = cut.min(bytes.len());
            let mut hasher = Hasher::new(Algorithm::Sha512);
            hasher.update(&bytes[..cut]);
            hasher.update(&bytes[cut..]);
            let digest = hasher.finish();
            prop_assert_eq!(&digest, &Digest::of(Algorithm::Sha512, &bytes));
            prop_assert_eq!(digest.as_str().parse::<Digest>().unwrap(), digest);
        }
    }
}
