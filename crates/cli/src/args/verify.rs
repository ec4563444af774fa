//! `windlass verify`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use windlass_oci::{Reference, ReferenceError, Repository};

use super::{ConnectionArgs, FormArgs, ProgressKind, VerbosityArgs};
use crate::selector;

/// Find out whether all of an image is at a registry
///
/// Everything that the tag or digest reaches is asked for: manifests are fetched and their digests,
/// sizes and types checked, blobs are asked for and their sizes compared. With IMAGE, what is there
/// must be that image. Nothing is written. Layers that are not to be distributed are passed over:
/// they are elsewhere.
///
/// What is missing is sent by `windlass push --verify`, which does not trust a manifest that is
/// there to have its parts.
///
/// Standard output gets HOST/NAME@DIGEST where all is there.
///
/// Exit status: 0 all of it is there; 2 usage; 3 something is missing, is not what it should be, or
/// is another image, or has more than 100,000 manifests, or IMAGE cannot be read; 4 authentication or permission; 6 the registry is
/// unreachable, or was given up on.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// What to look at; a tag and a digest may be left out where there is an IMAGE
    #[arg(value_name = "HOST/NAME[:TAG|@DIGEST]", allow_hyphen_values = true)]
    pub(crate) place: Place,

    /// The image that it should be, an OCI image layout: a directory, or a tar archive of one
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Option<PathBuf>,

    /// Which image of a layout that has several: its digest, the beginning of it, or its name
    #[arg(long, value_name = "DIGEST|NAME", value_parser = selector::parse, requires = "image")]
    pub(crate) manifest: Option<String>,

    /// Read all bytes of all blobs and check their digests
    ///
    /// Everything comes over the network; nothing is kept.
    #[arg(long)]
    pub(crate) deep: bool,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,

    #[command(flatten)]
    pub(crate) form: FormArgs,

    #[command(flatten)]
    pub(crate) verbosity: VerbosityArgs,

    /// How to show how far it is: a bar on a terminal, lines elsewhere
    #[arg(long, value_name = "KIND", default_value = "auto", help_heading = "Output")]
    pub(crate) progress: ProgressKind,
}

const EXAMPLES: &str = "\
Examples:
  windlass verify ghcr.io/team/app:v1.2.3
  windlass verify ghcr.io/team/app:v1.2.3 ./image
  windlass verify localhost:5000/app:latest --deep --output json";

/// A repository, and a tag or digest of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) repository: Repository,
    pub(crate) reference: Option<Reference>,
}

impl FromStr for Place {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Place, ReferenceError> {
        let (name, reference) = match (text.split_once('@'), text.rsplit_once(':')) {
            // A login stands before the host, and is told as such.
            (Some((name, digest)), _) if digest.contains(':') && !digest.contains('/') => {
                (name, digest.parse().ok().map(Reference::Digest))
            }
            (None, Some((name, tag))) if !tag.contains('/') && name.contains('/') => {
                (name, tag.parse().ok().map(Reference::Tag))
            }
            _ => return Ok(Place { repository: text.parse()?, reference: None }),
        };
        match reference {
            Some(reference) => Ok(Place { repository: name.parse()?, reference: Some(reference) }),
            // What is no tag and no digest is said by the whole.
            None => Ok(Place { repository: text.parse()?, reference: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_oci::Digest;

    #[test]
    fn a_place_is_a_repository_and_a_tag_or_a_digest() {
        #[track_caller]
        fn check(text: &str, repository: &str, reference: Option<&str>) {
            let place: Place = text.parse().unwrap();
            let found = place.reference.map(|reference| reference.to_string());
            assert_eq!(
                (place.repository.to_string().as_str(), found.as_deref()),
                (repository, reference)
            );
        }
        check("a.io/x", "a.io/x", None);
        check("a.io/x:v1", "a.io/x", Some("v1"));
        check("a.io:5000/x", "a.io:5000/x", None);
        check("a.io:5000/x/y:v1", "a.io:5000/x/y", Some("v1"));
        let digest = Digest::sha256(b"x");
        check(&format!("a.io:5000/x@{digest}"), "a.io:5000/x", Some(digest.as_str()));
        for wrong in ["", "a.io/x:", "a.io/x@sha256:1", "a.io/x:v1@sha256:1", "user:secret@a.io/x"]
        {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
