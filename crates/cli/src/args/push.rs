//! `windlass push`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use windlass_oci::{Digest, Repository, Tag};

use super::{ConnectionArgs, FormArgs, ProgressKind, VerbosityArgs};
use crate::{byte_size, jobs, selector};

/// Push an image into one or more repositories
///
/// Blobs go first, then manifests, then what refers to the image (signatures and the like), then
/// the tags, one by one in the order given: at no moment does a tag name an image that is not completely there. What the registry has already is not sent
/// again, so a push that failed is gone on with by the same command.
///
/// Standard output gets one line a repository, HOST/NAME@DIGEST; all else goes to standard error.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER_HELP, override_usage = USAGE)]
pub(crate) struct PushArgs {
    /// An OCI image layout: a directory, or a tar archive of one
    #[arg(value_name = "IMAGE", required_unless_present = "requests")]
    pub(crate) image: Option<PathBuf>,

    /// Where to push to, without tag and digest; may be given several times
    ///
    /// No tag is set anywhere before every repository has the whole image.
    #[arg(short, long = "repository", value_name = "HOST/NAME", allow_hyphen_values = true)]
    pub(crate) repositories: Vec<Repository>,

    /// A tag to set; may be given several times
    ///
    /// Tags are set in the order given, and the first that fails ends the push. Without any, the
    /// image is there by its digest alone.
    #[arg(short, long = "tag", value_name = "TAG", allow_hyphen_values = true)]
    pub(crate) tags: Vec<Tag>,

    /// A file of tags to set, one a line, after those of --tag
    ///
    /// Blank lines and lines that begin with # are skipped. May be given several times.
    #[arg(long = "tag-file", value_name = "FILE")]
    pub(crate) tag_files: Vec<PathBuf>,

    /// What other tools take here; refused with a word on how it is written
    #[arg(hide = true)]
    pub(crate) surplus: Vec<String>,

    /// Which image of a layout that has several
    ///
    /// Its digest, the beginning of its digest, or its name (the annotation
    /// org.opencontainers.image.ref.name).
    #[arg(long, value_name = "DIGEST|NAME", value_parser = selector::parse)]
    pub(crate) manifest: Option<String>,

    /// An image by a list of its files rather than a layout, as build rules write it
    ///
    /// The file (JSON) tells the image's root, its files by digest, repositories, tags and flags.
    /// Given --repository, its own repositories do not count; tags of the command line go before its
    /// own, and its flags before those of the command line. May be given several times: all images
    /// are pushed in one run. Its format, with examples, is in docs/request.md of Windlass's
    /// repository.
    #[arg(long = "request", value_name = "FILE")]
    pub(crate) requests: Vec<PathBuf>,

    /// A layout with signatures, attestations or the like of the image; may be given several times
    ///
    /// What in LAYOUT has the image or a part of it as its `subject` is pushed after that and before
    /// the first tag is set, so that nobody pulls a tagged image whose signature is not there yet.
    /// What refers to the image in its own layout goes along without this. Where a registry does
    /// not list referrers itself, they are added to the tag that stands in for its list
    /// (sha256-…, OCI distribution-spec 1.1).
    #[arg(long = "referrer", value_name = "LAYOUT")]
    pub(crate) referrers: Vec<PathBuf>,

    /// Ask the registry what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Look at everything: the image's files before they are sent, and the registry afterwards
    ///
    /// All files are hashed before a digest is claimed. The registry is asked for everything, even
    /// where a manifest that is there vouches for its parts, and what is missing is sent. Before
    /// the first tag is set all of it is asked for once more, manifests read and sizes compared; and
    /// in the end, whether the tags name the image.
    #[arg(long)]
    pub(crate) verify: bool,

    /// Push layers too that are not to be distributed
    ///
    /// Layers whose media type says so (Windows' base layers) are left out without this: whoever
    /// pulls gets them from elsewhere.
    #[arg(long)]
    pub(crate) allow_nondistributable_artifacts: bool,

    /// Whether a tag that names another image may be moved
    ///
    /// With `create` such a tag is a refusal, which is found before a layer is sent.
    #[arg(long, value_name = "POLICY", default_value = "move", help_heading = "Tags")]
    pub(crate) tag_policy: TagPolicyArg,

    /// Set TAG only if it names DIGEST now or, with `none`, does not exist
    ///
    /// Anything else is a refusal, which is found before a layer is sent. May be given several
    /// times.
    #[arg(long = "expect-tag", value_name = "TAG=DIGEST|none", help_heading = "Tags")]
    pub(crate) expected_tags: Vec<ExpectedTag>,

    /// When a tag fails, put the tags that this run has moved back where they were
    ///
    /// What they named is fetched before they are moved. Tags that did not exist are deleted by
    /// their name; the image stays. A tag that somebody else has moved on meanwhile is left there.
    /// What cannot be put back is told, in the receipt too; the exit status is that of the failure.
    #[arg(long, help_heading = "Tags")]
    pub(crate) rollback: bool,

    /// Send the image's manifest and its tags in one request, where the registry can do that
    ///
    /// Tags that the answer does not name (OCI-Tag, OCI distribution-spec) are set one by one after
    /// it. Without this, tags are always set one by one in the order given.
    #[arg(long, help_heading = "Tags")]
    pub(crate) tags_at_once: bool,

    /// Write what was done into FILE as JSON, on failure too
    ///
    /// One document a line for each image, as --output json prints it: what was done with the image's
    /// blobs, manifests, tags and what refers to it, or with --dry-run would be, and why it failed.
    /// docs/receipt.md explains each field.
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(crate) receipt: Option<PathBuf>,

    /// Write HOST/NAME@DIGEST of each repository into FILE
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(crate) image_refs: Option<PathBuf>,

    /// How many layers are sent to a registry at once [env: WINDLASS_JOBS] [default: 8]
    #[arg(long, value_name = "NUMBER", help_heading = "Transfer")]
    #[arg(value_parser = jobs::parse)]
    pub(crate) jobs: Option<u8>,

    /// The most bytes of one request's body, 64K or more, such as 64M
    ///
    /// For registries, or proxies before them, that take no larger ones. Without it a layer is one
    /// body, whatever its size.
    #[arg(long, value_name = "BYTES", value_parser = byte_size::parse, help_heading = "Transfer")]
    pub(crate) chunk_size: Option<u64>,

    /// Where to keep what lets the next push go on [env: WINDLASS_STATE_DIR]
    ///
    /// Unfinished uploads, images that are complete, and what registries can do, for a day to a week,
    /// readable by you alone. The default is windlass in $XDG_STATE_HOME or ~/.local/state; on macOS in
    /// ~/Library/Application Support, on Windows in %LOCALAPPDATA%. Without a home folder nothing is
    /// kept.
    #[arg(long, value_name = "FOLDER", help_heading = "Transfer", conflicts_with = "no_resume")]
    pub(crate) state_dir: Option<PathBuf>,

    /// Go on with nothing that an earlier push left, and leave nothing for a later one
    #[arg(long, help_heading = "Transfer")]
    pub(crate) no_resume: bool,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,

    #[command(flatten)]
    pub(crate) form: FormArgs,

    #[command(flatten)]
    pub(crate) verbosity: VerbosityArgs,

    /// How to show what moves: a bar on a terminal, lines elsewhere
    #[arg(long, value_name = "KIND", default_value = "auto", help_heading = "Output")]
    pub(crate) progress: ProgressKind,
}

/// Whether tags may be moved. Its values are explained by the option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TagPolicyArg {
    #[default]
    Move,
    Create,
}

/// What a tag is expected to name: `TAG=DIGEST`, `TAG=none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExpectedTag {
    /// The tag.
    pub(crate) tag: Tag,
    /// What it names; `None` where it should not exist.
    pub(crate) digest: Option<Digest>,
}

impl FromStr for ExpectedTag {
    type Err = String;

    fn from_str(text: &str) -> Result<ExpectedTag, String> {
        let (tag, digest) =
            text.split_once('=').ok_or_else(|| "write TAG=sha256:… or TAG=none".to_owned())?;
        let tag = tag.parse().map_err(|error| format!("{error}"))?;
        let digest = match digest {
            "none" => None,
            digest => Some(digest.parse().map_err(|error| format!("{error}"))?),
        };
        Ok(ExpectedTag { tag, digest })
    }
}

const USAGE: &str = "\
windlass push [OPTIONS] --repository <HOST/NAME> <IMAGE>
       windlass push [OPTIONS] --request <FILE>";

const AFTER_HELP: &str = "\
Exit status:
    0  pushed
    1  something else failed
    2  usage; nothing was sent
    3  the image cannot be read or is corrupt; no tag was set
    4  authentication or permission
    5  a tag was refused
    6  the registry is unreachable, or was given up on: run again to go on
    7  the registry rejected the content
  130  interrupted (SIGINT); 143 terminated (SIGTERM); 129 the terminal is gone (SIGHUP)

Examples:
  windlass push ./image -r ghcr.io/team/app -t v1.2.3 -t latest
  windlass push image.tar -r localhost:5000/app --output json
  windlass push ./image -r ghcr.io/team/app -t v1.2.3 --tag-policy create";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_are_a_tag_and_a_digest_or_none() {
        let digest = Digest::sha256(b"x");
        let check = |text: &str, expected: Option<Option<Digest>>| {
            let parsed = text.parse::<ExpectedTag>().ok();
            assert_eq!(parsed.map(|parsed| parsed.digest), expected, "{text}");
        };
        check("v1=none", Some(None));
        check(&format!("v1={digest}"), Some(Some(digest)));
        check("v1", None);
        check("v1=", None);
        check("=none", None);
        check("v1=sha256:1", None);
        check("v1=None", None);
    }
}
