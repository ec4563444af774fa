//! Why a push did not come to its end.

use serde::Serialize;
use windlass_oci::{Digest, Repository, Tag};
use windlass_registry_client::{Class, Error};

use crate::execute::is_about_missing_parts;
use crate::verify::Flaw;

/// Why a push stopped. The first failure stops everything after it, everywhere.
#[derive(Debug)]
pub enum Failure {
    /// Something could not be asked of a registry, or be sent there.
    Registry(Error),
    /// A tag was not set: the registry refused it, or could not be reached for it.
    Tag {
        /// The tag.
        tag: Tag,
        /// Its repository.
        repository: Repository,
        /// What came back.
        error: Error,
    },
    /// The plan cannot be carried out; nothing was sent.
    Refused(Vec<Refusal>),
    /// The image's own bytes are not what its digests say, or cannot be read; nothing was sent.
    Image(String),
    /// The registry took everything, and asked afterwards does not have all of it.
    Incomplete {
        /// The repository.
        repository: Repository,
        /// What is not as it should be.
        flaws: Vec<Flaw>,
    },
    /// The registry said that a tag is set, and asked afterwards it does not name the image.
    Astray {
        /// The tag.
        tag: Tag,
        /// Its repository.
        repository: Repository,
    },
    /// An image at a registry has more manifests than are looked at.
    TooMany {
        /// The repository.
        repository: Repository,
        /// How many are.
        limit: u64,
    },
    /// The process was told to stop.
    Interrupted(Interrupt),
}

/// One reason why a plan cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A blob or manifest is neither in the image nor in the repository.
    #[error("{kind} {digest} is neither in the image nor in {repository}")]
    Missing {
        /// `blob` or `manifest`.
        kind: &'static str,
        /// Its digest.
        digest: Digest,
        /// The repository.
        repository: Repository,
    },
    /// A tag exists, names another image, and may not be moved.
    #[error("tag {tag} of {repository} names {found} and may not be moved (--tag-policy create)")]
    TagExists {
        /// The tag.
        tag: Tag,
        /// Its repository.
        repository: Repository,
        /// What it names.
        found: Digest,
    },
    /// A tag does not name what it is expected to.
    #[error("tag {tag} of {repository} names {}, expected was {}", or_none(found.as_ref()), or_none(expected.as_ref()))]
    TagUnexpected {
        /// The tag.
        tag: Tag,
        /// Its repository.
        repository: Repository,
        /// What it names; `None` where it does not exist.
        found: Option<Digest>,
        /// What was expected; `None` where it should not exist.
        expected: Option<Digest>,
    },
    /// The registry does not tell what a tag names, and that must be known.
    #[error(
        "{repository} does not tell what tag {tag} names, so it cannot be known whether it may be moved"
    )]
    TagUnknown {
        /// The tag.
        tag: Tag,
        /// Its repository.
        repository: Repository,
    },
}

/// What told the process to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// What kind of trouble a failure is. Written into receipts by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    /// The image cannot be read, or is not what its digests say.
    Image,
    /// Not known to the registry, or not allowed.
    Authentication,
    /// A tag was refused.
    Tag,
    /// The registry could not be reached, or was given up on.
    Unreachable,
    /// The registry does not take the content.
    Rejected,
    /// The process was told to stop by SIGINT.
    Interrupted,
    /// The process was told to stop by SIGTERM.
    Terminated,
}

impl Refusal {
    /// The tag that it is about, and what that names, as far as it is known.
    pub(crate) fn tag(&self) -> Option<(&Tag, Option<&Digest>)> {
        match self {
            Refusal::Missing { .. } => None,
            Refusal::TagExists { tag, found, .. } => Some((tag, Some(found))),
            Refusal::TagUnexpected { tag, found, .. } => Some((tag, found.as_ref())),
            Refusal::TagUnknown { tag, .. } => Some((tag, None)),
        }
    }
}

impl Failure {
    /// What kind of trouble this is.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Failure::Registry(error) => class_of(error),
            // The image, and not the tag, is what is wrong.
            Failure::Tag { .. } if is_about_missing_parts(self) => FailureClass::Rejected,
            // Whatever else a registry says to a tag's PUT is a refusal of the tag, unless it is
            // about who asks or about now.
            Failure::Tag { error, .. } => match error.status().map(|status| status.as_u16()) {
                Some(401) => FailureClass::Authentication,
                Some(400..=499) if class_of(error) != FailureClass::Unreachable => {
                    FailureClass::Tag
                }
                _ => class_of(error),
            },
            Failure::Refused(refusals) => match refusals.first() {
                Some(Refusal::Missing { .. }) | None => FailureClass::Image,
                Some(_) => FailureClass::Tag,
            },
            Failure::Image(_) | Failure::TooMany { .. } => FailureClass::Image,
            Failure::Incomplete { .. } => FailureClass::Rejected,
            Failure::Astray { .. } => FailureClass::Tag,
            Failure::Interrupted(Interrupt::Interrupt) => FailureClass::Interrupted,
            Failure::Interrupted(Interrupt::Terminate) => FailureClass::Terminated,
        }
    }

    /// What the reader can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Failure::Registry(error) => error.hint(),
            Failure::Tag { error, .. } => match self.class() {
                FailureClass::Tag => Some(
                    "the image is there by its digest; is the tag immutable, or protected by a rule of the registry?"
                        .to_owned(),
                ),
                _ => error.hint(),
            },
            Failure::Refused(refusals) => Some(match refusals.first()? {
                Refusal::Missing { .. } => {
                    "build the image again, or push to a repository that has what is missing here"
                }
                Refusal::TagExists { .. } => "nothing was sent; --tag-policy move moves tags",
                Refusal::TagUnexpected { .. } | Refusal::TagUnknown { .. } => {
                    "nothing was sent; somebody else may have set the tag meanwhile"
                }
            }
            .to_owned()),
            Failure::Image(_) => Some("nothing was sent; build the image again".to_owned()),
            Failure::Incomplete { .. } => Some(
                "no tag was set; the registry loses what it takes, or something removes it"
                    .to_owned(),
            ),
            Failure::TooMany { .. } => None,
            Failure::Astray { .. } => {
                Some("did somebody else set it at the same time?".to_owned())
            }
            Failure::Interrupted(_) => {
                Some("no tag names an incomplete image; run again to finish".to_owned())
            }
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Registry(error) | Failure::Tag { error, .. } => error.fmt(f),
            Failure::Refused(refusals) => {
                for (index, refusal) in refusals.iter().enumerate() {
                    if index > 0 {
                        f.write_str("\n")?;
                    }
                    refusal.fmt(f)?;
                }
                Ok(())
            }
            Failure::Image(problem) => f.write_str(problem),
            Failure::Incomplete { repository, flaws } => {
                write!(f, "{repository} does not have all that it took:")?;
                flaws.iter().try_for_each(|flaw| write!(f, "\n{flaw}"))
            }
            Failure::Astray { tag, repository } => {
                write!(f, "tag {tag} of {repository} does not name the image after it was set")
            }
            Failure::TooMany { repository, limit } => write!(
                f,
                "the image in {repository} has more than {limit} manifests, and was not looked at to its end"
            ),
            Failure::Interrupted(Interrupt::Interrupt) => f.write_str("interrupted"),
            Failure::Interrupted(Interrupt::Terminate) => f.write_str("terminated"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Registry(error)
    }
}

fn class_of(error: &Error) -> FailureClass {
    match error.class() {
        Class::Source => FailureClass::Image,
        Class::Authentication => FailureClass::Authentication,
        Class::Rejected => FailureClass::Rejected,
        Class::Unreachable => FailureClass::Unreachable,
    }
}

fn or_none(digest: Option<&Digest>) -> &str {
    digest.map_or("nothing", Digest::as_str)
}
