//! Request files: images by their root and the files that their content lies in, as build systems
//! know them that never make a layout. Their format is told in `docs/request.md`.

mod document;
mod places;
mod runfiles_manifest;
mod stamp;

use std::fmt::Display;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use windlass_oci::{Descriptor, Repository, Tag};
use windlass_source::{DirectoryStore, FilesStore, Store, Stores};

use crate::problem::Problem;
use crate::settings::Environment;
use crate::text_file::{self, Line};

pub(crate) use document::Document;
use document::{Content, ImageContent};
use places::Places;
pub(crate) use places::{RUNFILES, SUFFIX};
use stamp::Status;
pub(crate) use stamp::Template;

/// What request files ask for.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// The images, in the order of the files.
    pub(crate) images: Vec<Request>,
    /// Flags that go before the typed ones.
    pub(crate) flags: Vec<String>,
}

/// A request file that has an image, and where that goes.
#[derive(Debug)]
pub(crate) struct Request {
    file: RequestFile,
    content: ImageContent,
}

/// The image of a request.
#[derive(Clone, Debug)]
pub(crate) enum Image {
    /// By its files.
    Files {
        /// The manifest or index that is pushed.
        root: Box<Descriptor>,
        /// Its content.
        store: Arc<dyn Store>,
    },
    /// By the directory or archive of its layout.
    Layout(PathBuf),
}

/// An index of a thousand images of a hundred layers each.
const LARGEST: u64 = 32 << 20;

impl Requests {
    /// Reads request files, and those that they name. No other file is looked at.
    pub(crate) fn read(files: &[PathBuf], environment: &Environment) -> Result<Requests, Problem> {
        let mut all: Vec<(String, Requests)> = Vec::new();
        for path in files {
            let file = RequestFile::read(path, environment)?;
            let title = file.title();
            let own_flags = file.document.flags.clone();
            let requests = match &file.document.content {
                Content::Image(content) => {
                    let content = content.clone();
                    Requests { images: vec![Request { file, content }], flags: own_flags }
                }
                Content::Requests(paths) => {
                    let Requests { images, flags } = file.read_named(paths, environment)?;
                    Requests { images, flags: [flags, own_flags].concat() }
                }
            };
            all.push((title, requests));
        }
        merge(all)
    }
}

impl Request {
    /// Who it is, where it says so.
    pub(crate) fn name(&self) -> Option<&str> {
        self.file.document.name.as_deref()
    }

    /// How it is called in messages.
    pub(crate) fn title(&self) -> String {
        self.file.title()
    }

    /// Its name, where that is a target of Bazel's.
    pub(crate) fn label(&self) -> Option<&str> {
        self.file.label()
    }

    /// Its file, as it was named or found.
    pub(crate) fn path(&self) -> &Path {
        &self.file.path
    }

    /// The image. Its own files are not looked at, only where they are.
    pub(crate) fn image(&self) -> Result<Image, Problem> {
        let file = &self.file;
        match &self.content {
            ImageContent::Layout(path) => Ok(Image::Layout(file.find(path)?)),
            ImageContent::Files { root, blobs, layouts } => {
                let place = |path: &PathBuf| file.places.find_or_guess(path);
                let files = blobs.iter().map(|(digest, path)| (digest.clone(), place(path)));
                let mut stores: Vec<Arc<dyn Store>> = vec![Arc::new(FilesStore::from_iter(files))];
                for layout in layouts {
                    stores.push(Arc::new(DirectoryStore::new(file.find(layout)?)));
                }
                Ok(Image::Files { root: root.clone(), store: Arc::new(Stores(stores)) })
            }
        }
    }

    /// The layouts with what refers to the image.
    pub(crate) fn referrers(&self) -> Result<Vec<PathBuf>, Problem> {
        self.file.document.referrers.iter().map(|path| self.file.find(path)).collect()
    }

    /// Where it goes, by its own words. Empty where it does not say.
    pub(crate) fn repositories(&self) -> Result<Vec<Repository>, Problem> {
        let Document { repositories, repository_file, .. } = &self.file.document;
        let Some(path) = repository_file else {
            return self.file.fill(repositories.iter().map(|one| (one.clone(), None)).collect());
        };
        let mut wanted = self.file.read_lines(path, "a repository")?.into_iter();
        match (wanted.next(), wanted.next()) {
            (Some(repository), None) => self.file.fill(vec![repository]),
            (None, _) => {
                let shown = self.file.shown(path)?;
                Err(Problem::usage(format!("{shown} names no repository")))
            }
            (Some(_), Some((_, place))) => {
                let place = place.unwrap_or_default();
                Err(Problem::usage(format!("{place}: a second repository, where one is wanted")))
            }
        }
    }

    /// The tags to set, after those of the command line.
    pub(crate) fn tags(&self) -> Result<Vec<Tag>, Problem> {
        let Document { tags, tag_files, .. } = &self.file.document;
        let mut wanted: Vec<_> = tags.iter().map(|tag| (tag.clone(), None)).collect();
        for path in tag_files {
            wanted.extend(self.file.read_lines(path, "tags")?);
        }
        self.file.fill(wanted)
    }
}

/// A request file that was read.
#[derive(Debug)]
struct RequestFile {
    /// As it was named or found.
    path: PathBuf,
    document: Document,
    places: Places,
}

/// A text, and where it stands if that is a file of its own.
type Wanted<T> = (Template<T>, Option<String>);

impl RequestFile {
    fn read(path: &Path, environment: &Environment) -> Result<RequestFile, Problem> {
        let shown = path.display();
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|open| open.take(LARGEST + 1).read_to_end(&mut bytes))
            .map_err(|error| Problem::usage(format!("cannot read the request {shown}: {error}")))?;
        if bytes.len() as u64 > LARGEST {
            return Err(Problem::usage(format!("{shown} has more than {LARGEST} bytes")));
        }
        let document = Document::parse(&bytes)
            .map_err(|problem| Problem::usage(format!("cannot understand {shown}: {problem}")))?;
        let Document { folder, runfiles, .. } = &document;
        let places = Places::new(path, folder, runfiles.as_deref(), environment);
        Ok(RequestFile { path: path.to_owned(), document, places })
    }

    /// The images of the request files that it names.
    fn read_named(
        &self,
        paths: &[PathBuf],
        environment: &Environment,
    ) -> Result<Requests, Problem> {
        let mut all = Vec::new();
        for path in paths {
            let file = RequestFile::read(&self.find(path)?, environment)?;
            let (title, flags) = (file.title(), file.document.flags.clone());
            let Content::Image(content) = file.document.content.clone() else {
                let by = self.title();
                return Err(Problem::usage(format!(
                    "{title}, one of the requests of {by}, has requests itself; list those instead"
                )));
            };
            all.push((title, Requests { images: vec![Request { file, content }], flags }));
        }
        merge(all)
    }

    /// How it is called in messages.
    fn title(&self) -> String {
        self.document.name.clone().unwrap_or_else(|| self.path.display().to_string())
    }

    fn label(&self) -> Option<&str> {
        let name = self.document.name.as_deref();
        name.filter(|name| name.starts_with("//") || name.starts_with('@'))
    }

    /// Where a file is that must be there.
    fn find(&self, path: &Path) -> Result<PathBuf, Problem> {
        self.places.find(path).map_err(|looked_at| {
            let places = looked_at.iter().map(|place| format!("\n{}", place.display()));
            let places: String = places.collect();
            let (path, title) = (path.display(), self.title());
            Problem::usage(format!("cannot find {path} of {title}; it is none of{places}"))
        })
    }

    /// How a file is called in messages. One that lies in runfiles has a long path there, which
    /// nobody has ever seen.
    fn shown(&self, path: &Path) -> Result<String, Problem> {
        let path = match self.document.runfiles {
            Some(_) => path.to_owned(),
            None => self.find(path)?,
        };
        Ok(path.display().to_string())
    }

    /// What stands in the lines of a file.
    fn read_lines<T>(&self, path: &Path, what: &str) -> Result<Vec<Wanted<T>>, Problem>
    where
        T: FromStr<Err: Display>,
    {
        let lines = text_file::read_lines(&self.find(path)?, what)?;
        let shown = self.shown(path)?;
        let parse = |Line { number, text }: Line| {
            let place = format!("{shown}:{number}");
            match text.parse() {
                Ok(template) => Ok((template, Some(place))),
                Err(error) => Err(Problem::usage(format!("{place}: {error}"))),
            }
        };
        lines.into_iter().map(parse).collect()
    }

    fn fill<T>(&self, wanted: Vec<Wanted<T>>) -> Result<Vec<T>, Problem>
    where
        T: FromStr<Err: Display> + Named,
    {
        let mut status = None;
        let mut filled = Vec::new();
        for (template, place) in wanted {
            let text = match template {
                Template::Ready(ready) => {
                    filled.push(ready);
                    continue;
                }
                Template::Stamped(text) => text,
            };
            let status = match &mut status {
                Some(status) => status,
                none => none.insert(self.status()?),
            };
            filled.push(stamp::fill(&text, status.as_ref()).map_err(|why| {
                let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
                let (noun, title) = (T::NOUN, self.title());
                let message = format!("{place}{noun} {text:?} of {title} {why}");
                Problem { hint: why.hint(self.label()), ..Problem::usage(message) }
            })?);
        }
        Ok(filled)
    }

    /// The build's status, where it was stamped.
    fn status(&self) -> Result<Option<Status>, Problem> {
        let files = &self.document.status_files;
        let mut status = Status::default();
        for file in files {
            status.add(&text_file::read(&self.find(file)?, "the build's status")?);
        }
        Ok((!files.is_empty()).then_some(status))
    }
}

/// What has a noun.
trait Named {
    const NOUN: &str;
}

impl Named for Repository {
    const NOUN: &str = "repository";
}

impl Named for Tag {
    const NOUN: &str = "tag";
}

/// All the images, and the flags that are the same for all of them: one push has one set.
fn merge(all: Vec<(String, Requests)>) -> Result<Requests, Problem> {
    let mut merged = Requests::default();
    let mut first: Option<String> = None;
    for (title, Requests { images, flags }) in all {
        match &first {
            None => (first, merged.flags) = (Some(title), flags),
            Some(_) if flags == merged.flags => {}
            Some(first) => {
                let shown = |flags: &[String]| match flags {
                    [] => "none".to_owned(),
                    flags => flags.join(" "),
                };
                let (its, others) = (shown(&merged.flags), shown(&flags));
                return Err(Problem::usage(format!(
                    "the flags of {first} and {title} are not the same: {its}; {others}"
                ))
                .hint("give them the same flags, or push them one by one"));
            }
        }
        merged.images.extend(images);
    }
    Ok(merged)
}
