//! How a push grows with what is pushed: requests, time and memory by the number of blobs, by the
//! number of tags, by how many layers go at once, and by the size of a layer.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use windlass_testkit::{Image, ImageBuilder, Layer};

use crate::case::{Breaks, Way};
use crate::client::Client;
use crate::program::Program;
use crate::sample::Sample;
use crate::server::Kind;
use crate::stand::{Had, Outcome, Setup, Stand};

/// One kind of growth.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Growth {
    pub(crate) by: By,
    pub(crate) points: Vec<Point>,
}

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum By {
    /// Layers of 100 bytes, and the config.
    Blobs,
    /// Tags on an image of one layer.
    Tags,
    /// `--jobs`, for 32 layers of 2 MiB.
    Jobs,
    /// MiB of the only layer, without delay.
    Mebibytes,
}

/// One size, and what it took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) number: u64,
    pub(crate) samples: Vec<Sample>,
}

const WAY: Way = Way { round_trip_ms: 5, rate_mbit: None, breaks: Breaks::Never };
const LIMIT: Duration = Duration::from_secs(600);

impl By {
    /// All of them.
    pub(crate) const ALL: [By; 4] = [By::Blobs, By::Tags, By::Jobs, By::Mebibytes];

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            By::Blobs => "blobs",
            By::Tags => "tags",
            By::Jobs => "layers at once (--jobs)",
            By::Mebibytes => "MiB of one layer",
        }
    }

    fn numbers(self) -> &'static [u64] {
        match self {
            By::Blobs => &[10, 100, 1000, 2000, 10_000],
            By::Tags => &[1, 10, 100, 1000],
            By::Jobs => &[1, 2, 4, 8, 16, 32],
            By::Mebibytes => &[1, 16, 128, 1024],
        }
    }

    fn image(self, number: u64, seed: u64) -> Image {
        let builder = ImageBuilder::new(seed);
        match self {
            // The config is a blob too.
            By::Blobs => builder.layers(usize::try_from(number - 1).unwrap_or(1), 100).build(),
            By::Tags => builder.layers(1, 1000).build(),
            By::Jobs => builder.layers(32, 2 << 20).build(),
            By::Mebibytes => builder.layer(Layer::seeded(seed, number << 20)).build(),
        }
    }
}

/// Measures one kind of growth of Windlass, at its own registry.
pub(crate) fn run(
    by: By,
    windlass: &Program,
    rounds: u32,
    random: &mut fastrand::Rng,
    tell: &mut dyn FnMut(&str),
) -> Result<Growth> {
    let mut points = Vec::new();
    for number in by.numbers().iter().copied() {
        let mut samples = Vec::new();
        for round in 0..rounds {
            tell(&format!("growth by {}: {number}, round {} of {rounds}", by.name(), round + 1));
            let tags = if by == By::Tags { number } else { 1 };
            let stand = Stand::new(Setup {
                image: by.image(number, random.u64(..)),
                had: Had::Nothing,
                tags: (1..=tags).map(|tag| format!("v{tag}")).collect(),
                registry: Kind::Serve,
                registry_program: &windlass.path,
                way: if by == By::Mebibytes { Way::default() } else { WAY },
                is_tls: false,
            })?;
            let jobs = ["--jobs".to_owned(), number.to_string()];
            let more: &[String] = if by == By::Jobs { &jobs } else { &[] };
            match stand.push(Client::Windlass, windlass, more, LIMIT)? {
                Outcome::Pushed(sample) => samples.push(sample),
                Outcome::Failed { words, .. } => bail!("{number} {}: {words}", by.name()),
            }
        }
        points.push(Point { number, samples });
    }
    Ok(Growth { by, points })
}
