//! What a push is asked to do. Every reason to refuse that needs neither the image nor a registry
//! is found here.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::Arc;

use windlass_image::GraphOptions;
use windlass_oci::{Descriptor, ReferenceError, Registry, Repository, Tag};
use windlass_push::{Expectations, PusherOptions, TagPolicy};
use windlass_source::Store;

use super::Environment;
use super::registries::{Load, pusher_options, variable};
use super::state_dir::journal;
use crate::args::{ExpectedTag, PushArgs, TagPolicyArg};
use crate::jobs;
use crate::output::Output;
use crate::problem::Problem;
use crate::request::{Image, Request};
use crate::tag_list;

/// What a push is asked to do.
pub(crate) struct PushSettings {
    /// The images, each with where it goes.
    pub(crate) images: Vec<ImageSettings>,
    /// Layouts with what refers to any of the images.
    pub(crate) referrers: Vec<PathBuf>,
    /// What of the images is taken along.
    pub(crate) graph: GraphOptions,
    /// Whether tags may be moved.
    pub(crate) tag_policy: TagPolicy,
    /// What tags must name before they are set.
    pub(crate) expected_tags: Expectations,
    /// Put tags back where they were when one fails.
    pub(crate) rollback: bool,
    /// Root and tags in one request, where that works.
    pub(crate) tags_at_once: bool,
    /// Look at everything, before and after.
    pub(crate) verify: bool,
    /// How registries are reached.
    pub(crate) pusher: PusherOptions,
    /// Ask only.
    pub(crate) dry_run: bool,
    /// Where the receipt is to be written.
    pub(crate) receipt: Option<PathBuf>,
    /// Where the references of what was pushed are to be written.
    pub(crate) image_refs: Option<PathBuf>,
}

/// An image, and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct ImageSettings {
    /// Who it is, for messages.
    pub(crate) name: Option<String>,
    /// The image.
    pub(crate) image: ImagePlace,
    /// Layouts with what refers to this one.
    pub(crate) referrers: Vec<PathBuf>,
    /// Where to, in this order; at least one, each once.
    pub(crate) repositories: Vec<Repository>,
    /// The tags to set, in this order, each once.
    pub(crate) tags: Vec<Tag>,
}

/// Where an image is.
#[derive(Clone, Debug)]
pub(crate) enum ImagePlace {
    /// In a layout.
    Layout {
        /// The layout's directory or archive.
        path: PathBuf,
        /// Which of its roots.
        selector: Option<String>,
    },
    /// In files that a request names.
    Files {
        /// The manifest or index that is pushed.
        root: Box<Descriptor>,
        /// Its content.
        store: Arc<dyn Store>,
    },
}

const DEFAULT_JOBS: &str = "WINDLASS_JOBS";

impl PushSettings {
    /// What `args` mean in this environment, with the request files that they name. What is odd but
    /// harmless is told to `output`.
    pub(crate) fn new(
        args: &PushArgs,
        requests: &[Request],
        environment: &Environment,
        output: &Output,
    ) -> Result<PushSettings, Problem> {
        let images = images(args, requests, output)?;
        let expected_tags = expectations(&args.expected_tags, &images)?;
        let hosts: BTreeSet<Registry> = images
            .iter()
            .flat_map(|image| &image.repositories)
            .map(|repository| repository.registry().clone())
            .collect();
        let jobs = match args.jobs {
            Some(jobs) => Some(jobs),
            None => variable(environment, DEFAULT_JOBS, jobs::parse)?,
        };
        let load = Load { jobs: jobs.map(usize::from), chunk_size: args.chunk_size };
        Ok(PushSettings {
            referrers: args.referrers.clone(),
            graph: GraphOptions {
                include_non_distributable: args.allow_nondistributable_artifacts,
            },
            tag_policy: match args.tag_policy {
                TagPolicyArg::Move => TagPolicy::Move,
                TagPolicyArg::Create => TagPolicy::Create,
            },
            expected_tags,
            rollback: args.rollback,
            tags_at_once: args.tags_at_once,
            verify: args.verify,
            pusher: PusherOptions {
                journal: journal(args, environment, output),
                ..pusher_options(&args.connection, load, &hosts, environment, output)?
            },
            dry_run: args.dry_run,
            receipt: args.receipt.clone(),
            image_refs: args.image_refs.clone(),
            images,
        })
    }
}

/// A repository with or without a tag, as other tools take it, in our flags.
fn as_flags(typed: &str) -> String {
    match typed.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => format!("-r {repository} -t {tag}"),
        _ => format!("-r {typed}"),
    }
}

/// What is said to one who typed something where nothing is wanted any more, and how it is written
/// with `command`.
fn unexpected(surplus: &str, because: &str, command: &str) -> Problem {
    // What is typed here may have a login in it, which is not to be shown.
    if let Err(login @ ReferenceError::HasLogin { .. }) = surplus.parse::<Repository>() {
        return login.into();
    }
    let problem = Problem::usage(format!("unexpected argument {surplus:?}{because}"));
    problem.hint(format!("write {command} {}", as_flags(surplus)))
}

fn images(
    args: &PushArgs,
    requests: &[Request],
    output: &Output,
) -> Result<Vec<ImageSettings>, Problem> {
    if let (Some(image), Some(request)) = (&args.image, requests.first()) {
        let because = format!(": the image is that of {}", request.title());
        return Err(unexpected(&image.to_string_lossy(), &because, &command_of(request)));
    }
    if let Some(surplus) = args.surplus.first() {
        return Err(unexpected(surplus, "", "windlass push IMAGE"));
    }
    let mut tags = args.tags.clone();
    for file in &args.tag_files {
        tags.extend(tag_list::read(file)?);
    }
    let settings = |name, image, referrers, repositories, tags| ImageSettings {
        name,
        image,
        referrers,
        repositories: each_once(repositories, "repository", output),
        tags: each_once(tags, "tag", output),
    };
    if let Some(path) = &args.image {
        let typed = path.to_string_lossy();
        let is_target = args.repositories.is_empty()
            && !path.exists()
            && matches!(typed.parse::<Repository>(), Ok(_) | Err(ReferenceError::HasTag { .. }));
        if is_target {
            return Err(Problem::usage(format!("{typed:?} is taken for an image on disk"))
                .hint(format!("write windlass push IMAGE {}", as_flags(&typed))));
        }
        if args.repositories.is_empty() {
            return Err(Problem::usage("there is no repository to push to")
                .hint("name one with --repository HOST/NAME"));
        }
        let image = ImagePlace::Layout { path: path.clone(), selector: args.manifest.clone() };
        return Ok(vec![settings(None, image, Vec::new(), args.repositories.clone(), tags)]);
    }
    let of_request = |request: &Request| {
        let image = match request.image()? {
            Image::Layout(path) => ImagePlace::Layout { path, selector: args.manifest.clone() },
            Image::Files { .. } if args.manifest.is_some() => {
                let title = request.title();
                let problem = format!("--manifest chooses an image of a layout; {title} has none");
                return Err(Problem::usage(problem));
            }
            Image::Files { root, store } => ImagePlace::Files { root, store },
        };
        let repositories = match args.repositories.as_slice() {
            [] => request.repositories()?,
            typed => typed.to_vec(),
        };
        if repositories.is_empty() {
            let (title, command) = (request.title(), command_of(request));
            return Err(Problem::usage(format!("there is no repository to push {title} to"))
                .hint(format!("give it one, or write {command} --repository HOST/NAME")));
        }
        let tags = tags.iter().cloned().chain(request.tags()?).collect();
        let (name, referrers) = (request.name().map(str::to_owned), request.referrers()?);
        Ok(settings(name, image, referrers, repositories, tags))
    };
    requests.iter().map(of_request).collect()
}

/// How the push of a request is begun, before flags.
fn command_of(request: &Request) -> String {
    match request.label() {
        Some(label) => format!("bazel run {label} --"),
        None => format!("windlass push --request {}", request.path().display()),
    }
}

/// What was given twice is done once, and that is told.
fn each_once<T: Clone + Eq + Hash + fmt::Display>(
    given: Vec<T>,
    noun: &str,
    output: &Output,
) -> Vec<T> {
    let mut seen = HashSet::new();
    let mut told = HashSet::new();
    given
        .into_iter()
        .filter(|one| {
            let first = seen.insert(one.clone());
            if !first && told.insert(one.clone()) {
                output.note(&format!("note: {noun} {one} was given more than once"));
            }
            first
        })
        .collect()
}

fn expectations(typed: &[ExpectedTag], images: &[ImageSettings]) -> Result<Expectations, Problem> {
    let mut expected = Expectations::new();
    for ExpectedTag { tag, digest } in typed {
        if !images.iter().any(|image| image.tags.contains(tag)) {
            return Err(Problem::usage(format!("--expect-tag: {tag} is no tag of this push"))
                .hint(format!("set it with --tag {tag}, or leave the expectation out")));
        }
        if expected.insert(tag.clone(), digest.clone()).is_some_and(|other| other != *digest) {
            return Err(Problem::usage(format!("--expect-tag: two expectations of {tag}")));
        }
    }
    Ok(expected)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;
    use windlass_oci::Digest;

    use super::*;
    use crate::args::{Cli, Command, Form};
    use crate::output::Verbosity;
    use crate::request::Requests;

    fn settings<const N: usize>(
        typed: &[&str],
        set: [(&str, &str); N],
    ) -> Result<PushSettings, Problem> {
        let cli = Cli::try_parse_from(["windlass", "push"].iter().chain(typed)).unwrap();
        let Command::Push(args) = cli.command else { panic!("that is no push") };
        let output = Output::new(Form::Text, Verbosity::Quiet, false);
        let environment = Environment::from(set);
        let requests = Requests::read(&args.requests, &environment)?;
        PushSettings::new(&args, &requests.images, &environment, &output)
    }

    #[track_caller]
    fn check<const N: usize>(typed: &[&str], set: [(&str, &str); N], expected: Result<(), &str>) {
        let found = settings(typed, set);
        match (&found, expected) {
            (Ok(_), Ok(())) => {}
            (Err(problem), Err(words)) => {
                assert_eq!(problem.exit, crate::exit_code::Exit::Usage);
                assert!(problem.message.contains(words), "{}", problem.message);
            }
            (Ok(_), Err(words)) => panic!("nothing is wrong with it, not even {words}"),
            (Err(problem), Ok(())) => panic!("{}", problem.message),
        }
    }

    const PUSH: [&str; 3] = ["image", "-r", "a.io/x"];

    fn and<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&PUSH, more].concat()
    }

    #[test]
    fn what_is_missing_or_contradicts_itself_is_refused() {
        check(&PUSH, [], Ok(()));
        check(&["image"], [], Err("no repository"));
        check(&and(&["--tag-file", "/none/such"]), [], Err("cannot read tags from /none/such: "));
        check(&and(&["--cacert", "/none/such"]), [], Err("cannot read /none/such"));
        check(&and(&["--expect-tag", "v1=none"]), [], Err("v1 is no tag of this push"));
        check(&and(&["-t", "v1", "--expect-tag", "v1=none"]), [], Ok(()));
        let digest = format!("v1={}", Digest::sha256(b"x"));
        let twice = ["-t", "v1", "--expect-tag", "v1=none", "--expect-tag", &digest];
        check(&and(&twice), [], Err("two expectations of v1"));
    }

    #[test]
    fn variables_stand_in_for_flags_and_are_checked_like_them() {
        let bad = |name, value, words| check(&PUSH, [(name, value)], Err(words));
        bad("WINDLASS_JOBS", "many", "WINDLASS_JOBS: \"many\" is no number from 1 to 64");
        bad("WINDLASS_JOBS", "0", "WINDLASS_JOBS");
        bad("WINDLASS_RETRY_FOR", "5", "WINDLASS_RETRY_FOR: \"5\" is no duration");
        bad("WINDLASS_STALL_TIMEOUT", "0", "WINDLASS_STALL_TIMEOUT");
        check(&PUSH, [("WINDLASS_JOBS", "")], Ok(()));
        let host = "a.io".parse().unwrap();
        let of = |typed: &[&str]| {
            let set = [("WINDLASS_JOBS", "3"), ("WINDLASS_RETRY_FOR", "9s")];
            let options = (settings(&and(typed), set).unwrap().pusher.host)(&host);
            (options.jobs, options.retry_for.as_secs())
        };
        assert_eq!(of(&[]), (3, 9));
        assert_eq!(of(&["--jobs", "5", "--retry-for", "7s"]), (5, 7));
    }

    #[test]
    fn a_login_is_whole_and_for_one_host() {
        let name = ("WINDLASS_USERNAME", "me");
        let password = ("WINDLASS_PASSWORD", "hunter2");
        check(&PUSH, [name, password], Ok(()));
        check(&and(&["--username", "me"]), [password], Ok(()));
        check(&PUSH, [name], Err("WINDLASS_USERNAME gives a name, but no password"));
        check(&PUSH, [password], Err("WINDLASS_PASSWORD gives a password, but no name"));
        check(&and(&["--username", "me"]), [], Err("--username gives a name"));
        check(&and(&["--password-stdin"]), [], Err("--password-stdin gives a password"));
        check(&and(&["-r", "a.io/y"]), [name, password], Ok(()));
        let two = "WINDLASS_USERNAME with several registries: a.io, b.io";
        check(&and(&["-r", "b.io/x"]), [name, password], Err(two));
        check(&and(&["-r", "b.io/x"]), [], Ok(()));
    }

    #[test]
    fn what_is_given_twice_is_done_once_in_the_order_given() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tags");
        std::fs::write(&file, "v3\r\nv1\r\n\r\n# no more\r\n").unwrap();
        let file = file.to_str().unwrap();
        let typed = ["-t", "v1", "--tag-file", file, "-t", "v2", "-r", "a.io/y", "-r", "a.io/x"];
        let [image] = <[_; 1]>::try_from(settings(&and(&typed), []).unwrap().images).unwrap();
        let tags: Vec<_> = image.tags.iter().map(Tag::as_str).collect();
        assert_eq!(tags, ["v1", "v2", "v3"]);
        let repositories: Vec<_> = image.repositories.iter().map(ToString::to_string).collect();
        assert_eq!(repositories, ["a.io/x", "a.io/y"]);
    }

    #[test]
    fn the_command_line_goes_before_the_requests() {
        let folder = tempfile::tempdir().unwrap();
        let request = |name: &str, content: &[u8]| {
            let root = json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": Digest::sha256(content).as_str(),
                "size": content.len(),
            });
            let document = json!({
                "version": 1, "root": root, "layouts": ["."],
                "repositories": [format!("a.io/{name}")], "tags": [name, "v1"],
            });
            let file = folder.path().join(name);
            std::fs::write(&file, document.to_string()).unwrap();
            file.to_str().unwrap().to_owned()
        };
        let (one, two) = (request("one", b"1"), request("two", b"2"));
        let show = |typed: &[&str]| -> Vec<(Vec<String>, Vec<String>)> {
            let typed = [&["--request", &one, "--request", &two], typed].concat();
            let show = |image: ImageSettings| {
                let repositories = image.repositories.iter().map(ToString::to_string).collect();
                (repositories, image.tags.iter().map(ToString::to_string).collect())
            };
            settings(&typed, []).unwrap().images.into_iter().map(show).collect()
        };
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(
            show(&["-t", "v0"]),
            [
                (texts(&["a.io/one"]), texts(&["v0", "one", "v1"])),
                (texts(&["a.io/two"]), texts(&["v0", "two", "v1"])),
            ]
        );
    }

    #[test]
    fn hosts_are_spoken_to_as_they_are_and_as_was_asked_for() {
        use windlass_registry_client::Transport::{Https, PlainFirst, PlainHttp, TlsFirst};
        let check = |typed: &[&str], host: &str, expected| {
            let options = settings(&and(typed), []).unwrap().pusher;
            assert_eq!((options.host)(&host.parse().unwrap()).transport, expected, "{host}");
        };
        check(&[], "a.io", Https);
        check(&[], "localhost:5000", PlainFirst);
        check(&["--plain-http", "a.io"], "a.io", PlainHttp);
        check(&["--plain-http", "A.io:80"], "a.io", Https);
        check(&["--plain-http", "[::1]:5000"], "[::1]:5000", PlainHttp);
        check(&["--insecure"], "a.io", TlsFirst);
        check(&["--insecure"], "127.0.0.1:5000", PlainFirst);
        check(&["--insecure", "--plain-http", "a.io"], "a.io", PlainHttp);
    }
}
