//! What happens to a push, as data: which image, to what registry, what goes wrong when.

use windlass_testkit::{Image, ImageBuilder};

use crate::kind::Kind;

/// A push in one process or several, one after another, each of which may fail or be killed. After
/// them a last one runs undisturbed.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) image: Shape,
    /// The tags, in their order.
    pub(crate) tags: usize,
    /// The most bytes of a body.
    pub(crate) chunk: Option<u64>,
    pub(crate) registry: Ways,
    pub(crate) processes: Vec<Process>,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) seed: u64,
    /// None: a manifest. Otherwise an index of so many.
    pub(crate) platforms: usize,
    /// Sizes of the layers that all platforms share.
    pub(crate) shared: Vec<u64>,
    /// Sizes of the layers that each has for itself.
    pub(crate) own: Vec<u64>,
}

/// How the registry is, and what it has before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ways {
    pub(crate) sessions: Sessions,
    pub(crate) refuses_patch: bool,
    pub(crate) closes_after_answer: bool,
    pub(crate) has: Has,
}

/// What becomes of a session whose body breaks. As the test kit's, with a name for the best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sessions {
    #[default]
    Keep,
    TurnStale,
    Delete,
}

/// What the repository has before the first process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Has {
    #[default]
    Nothing,
    /// Every other blob of the image.
    SomeBlobs,
    /// Another image under the tags.
    Another,
    /// The image, under no tag.
    Image,
}

/// One process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Process {
    /// What goes wrong, in this order where several meet.
    pub(crate) faults: Vec<Fault>,
    pub(crate) killed: Option<Kill>,
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// At which of the process's requests, counted from 0 as they arrive.
    pub(crate) at: usize,
    pub(crate) kind: Kind,
}

/// When a process ends without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kill {
    /// When the head of this request arrives, counted from 0.
    AtRequest(usize),
    /// When so many bytes of blobs have been handed over.
    AfterBytes(u64),
}

/// Names of tags.
pub(crate) const TAGS: [&str; 3] = ["v1", "v1.0", "latest"];

impl History {
    /// An undisturbed push of three blobs, an index over two platforms and two tags; the one layer
    /// goes in three chunks where `chunk` says so.
    pub(crate) fn small(chunk: Option<u64>) -> History {
        History {
            image: Shape { seed: 1, platforms: 2, shared: vec![40_000], own: Vec::new() },
            tags: 2,
            chunk,
            registry: Ways::default(),
            processes: vec![Process::default()],
        }
    }

    /// The same with these faults.
    pub(crate) fn with(&self, faults: &[Fault]) -> History {
        let processes = vec![Process { faults: faults.to_vec(), killed: None }];
        History { processes, ..self.clone() }
    }
}

impl Shape {
    pub(crate) fn build(&self) -> Image {
        let mut builder = ImageBuilder::new(self.seed);
        for &size in &self.own {
            builder = builder.layers(1, size);
        }
        for &size in &self.shared {
            builder = builder.shared_layers(1, size);
        }
        let platforms = ["linux/amd64", "linux/arm64", "linux/s390x"];
        builder.platforms(&platforms[..self.platforms]).build()
    }
}
