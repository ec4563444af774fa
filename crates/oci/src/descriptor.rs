//! Descriptors: how images refer to their parts. Image-spec, [descriptor.md].
//!
//! [descriptor.md]: https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Digest, MediaType};

/// A reference to content by type, digest and size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    pub media_type: MediaType,
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// Where else it may be found.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Free-form notes, in the order of their keys.
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// The content itself, in base64; see [`Descriptor::inline`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What kind of artifact a manifest describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What an image runs on; found in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// What an image runs on. Image-spec, [image-index.md](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The processor, in Go's words: `amd64`, `arm64`.
    pub architecture: String,
    /// The operating system: `linux`, `windows`.
    pub os: String,
    /// The version of the operating system that is needed; used for Windows.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features of the operating system that are needed.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The variant of the processor: `v7`, `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Descriptor {
    /// A descriptor of `bytes` by sha256.
    #[must_use]
    pub fn of(media_type: MediaType, bytes: &[u8]) -> Descriptor {
        Descriptor::new(media_type, Digest::sha256(bytes), bytes.len() as u64)
    }

    /// A descriptor with nothing but what every one must have.
    #[must_use]
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            artifact_type: None,
            platform: None,
        }
    }

    /// The content, where the descriptor carries it in `data`: `None` where it does not, and an
    /// error in words where `data` is no base64 or not the content that digest and size promise.
    pub fn inline(&self) -> Option<Result<Bytes, String>> {
        let data = self.data.as_deref()?;
        Some(match base64::engine::general_purpose::STANDARD.decode(data) {
            Err(error) => Err(format!("its data is no base64: {error}")),
            Ok(bytes) if bytes.len() as u64 != self.size => {
                Err(format!("its data has {} bytes, its size says {}", bytes.len(), self.size))
            }
            Ok(bytes) if !self.digest.matches(&bytes) => {
                Err(format!("its data has another digest than {}", self.digest))
            }
            Ok(bytes) => Ok(bytes.into()),
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// Reads `null` as nothing in it: that is how Go writes a list that was never filled, and so do
/// the tools written in it.
pub(crate) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_specification_shows_and_ignores_what_it_does_not_know() {
        let text = r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":7682,
            "digest":"sha256:5b0bcabd1ed22e9fb1310cf6c2dec7cdef19f0ad69efa1f392e94a4333501270",
            "platform":{"architecture":"arm","os":"linux","variant":"v7","os.version":"10"},
            "annotations":{"b":"2","a":"1"},"future":{"x":[1]}}"#;
        let descriptor: Descriptor = serde_json::from_str(text).unwrap();
        assert_eq!(descriptor.size, 7682);
        assert_eq!(descriptor.platform.unwrap().to_string(), "linux/arm/v7");
        assert_eq!(descriptor.annotations.keys().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn null_is_read_as_nothing() {
        let digest = Digest::sha256(b"");
        let text = format!(
            r#"{{"mediaType":"a/b","digest":"{digest}","size":0,"urls":null,"annotations":null,
            "platform":{{"os":"linux","architecture":"amd64","os.features":null}}}}"#
        );
        let mut expected = Descriptor::of(MediaType::new("a/b"), b"");
        expected.platform = Some(Platform {
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            os_version: None,
            os_features: Vec::new(),
            variant: None,
        });
        assert_eq!(serde_json::from_str::<Descriptor>(&text).unwrap(), expected);
    }

    #[test]
    fn inline_data_is_checked() {
        let check = |data: Option<&str>, expected: Option<Result<&str, &str>>| {
            let mut descriptor = Descriptor::of(MediaType::OCI_EMPTY, b"{}");
            descriptor.data = data.map(str::to_owned);
            let got = descriptor.inline();
            match (&got, expected) {
                (None, None) => {}
                (Some(Ok(got)), Some(Ok(expected))) => assert_eq!(got, expected),
                (Some(Err(got)), Some(Err(expected))) => {
                    assert!(got.contains(expected), "{got}");
                }
                _ => panic!("{data:?}: {got:?}"),
            }
        };
        check(None, None);
        check(Some("e30="), Some(Ok("{}")));
        check(Some("e30"), Some(Err("base64")));
        check(Some("e301"), Some(Err("3 bytes")));
        check(Some("W10="), Some(Err("another digest")));
    }

    #[test]
    fn negative_sizes_and_foreign_algorithms_are_errors() {
        let digest = Digest::sha256(b"");
        let text = format!(r#"{{"mediaType":"a/b","digest":"{digest}","size":-1}}"#);
        assert!(serde_json::from_str::<Descriptor>(&text).is_err());
        let text = r#"{"mediaType":"a/b","digest":"md5:00","size":1}"#;
        let error = serde_json::from_str::<Descriptor>(text).unwrap_err();
        assert!(error.to_string().contains("\"md5\""), "{error}");
    }
}
