//! The cases in which clients are compared: what is pushed, what is there before, over which link,
//! and what Windlass wants to reach.

use serde::{Deserialize, Serialize};
use windlass_testkit::{Image, ImageBuilder, IndexBuilder, Layer};

use crate::client::Client;
use crate::server::Kind;

/// One case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// The image of a seed.
    pub(crate) image: fn(u64) -> Image,
    /// What the registry has before.
    pub(crate) before: Before,
    pub(crate) tags: usize,
    pub(crate) way: Way,
    pub(crate) is_tls: bool,
    pub(crate) registries: &'static [Kind],
    pub(crate) peers: &'static [Client],
    pub(crate) rounds: u32,
    /// How long one client may take, in seconds.
    pub(crate) limit: u64,
    /// Whether the fewest requests are replayed too.
    pub(crate) has_floor: bool,
    pub(crate) reach: &'static [Reach],
}

/// What the registry has before a push.
#[derive(Clone, Copy)]
pub(crate) enum Before {
    Nothing,
    /// The image under all of its tags.
    Same,
    /// The image, under another tag.
    Untagged,
    /// Another image that shares parts with it, under all of the tags.
    Older(fn(u64) -> Image),
}

/// What lies between a client and the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Way {
    pub(crate) round_trip_ms: u64,
    pub(crate) rate_mbit: Option<u64>,
    pub(crate) breaks: Breaks,
}

/// How a way breaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Breaks {
    #[default]
    Never,
    /// The connection in use is reset each time after so many MiB: so many times, or always.
    Cut { every_mib: u64, times: Option<u64> },
    /// The connection in use stands still after so many MiB.
    Stall { after_mib: u64 },
}

/// What Windlass wants to reach.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Reach {
    /// At this registry only, where one is named.
    pub(crate) at: Option<Kind>,
    pub(crate) measure: Measure,
    pub(crate) at_most: f64,
}

/// What Windlass is measured by; each is a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Measure {
    /// Its time to that of the peer that is fastest in this case.
    BestPeer,
    /// Its time to that of rules_oci's flow.
    RulesOci,
    /// Its time to that of the floor.
    Floor,
    /// Its CPU-seconds to those of the peer that is fastest in this case.
    CpuOfBestPeer,
    /// Its time to what the bytes take at the link's rate.
    Wire,
    /// The bytes that it sends to the size of the image.
    Bytes,
}

/// skopeo takes so long for these cases that ten rounds of it would be most of the run.
const QUICK: &[Client] = &[Client::Oras, Client::Regctl, Client::Crane];
const KB: u64 = 1000;
const MIB: u64 = 1 << 20;
const REAL: &[Kind] = &[Kind::DockerRegistry, Kind::Serve];
const LAGGING: Way = Way { round_trip_ms: 20, rate_mbit: None, breaks: Breaks::Never };
const LOOPBACK: Way = Way { round_trip_ms: 0, rate_mbit: None, breaks: Breaks::Never };
const PLATFORMS: [&str; 4] = ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x"];

const fn reach(measure: Measure, at_most: f64) -> Reach {
    Reach { at: None, measure, at_most }
}

const fn reach_at(at: Kind, measure: Measure, at_most: f64) -> Reach {
    Reach { at: Some(at), measure, at_most }
}

/// How many rounds there are where they are short.
pub(crate) const USUAL_ROUNDS: u32 = 10;

/// Most of what a case usually is.
const USUAL: Case = Case {
    name: "",
    title: "",
    image: five_layers,
    before: Before::Nothing,
    tags: 3,
    way: LAGGING,
    is_tls: false,
    registries: REAL,
    peers: &Client::PEERS,
    rounds: USUAL_ROUNDS,
    limit: 300,
    has_floor: true,
    reach: &[],
};

/// All cases, in the order in which they are told.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "first",
        title: "5 layers of 200 kB, 3 tags: first push",
        reach: &[
            reach_at(Kind::DockerRegistry, Measure::BestPeer, 0.75),
            reach_at(Kind::DockerRegistry, Measure::RulesOci, 0.35),
            reach_at(Kind::Serve, Measure::BestPeer, 0.5),
            reach(Measure::Floor, 1.15),
        ],
        ..USUAL
    },
    Case {
        name: "unchanged",
        title: "5 layers of 200 kB, 3 tags: nothing changed",
        before: Before::Same,
        reach: &[
            reach(Measure::BestPeer, 0.4),
            reach(Measure::RulesOci, 0.1),
            reach(Measure::Floor, 1.15),
        ],
        ..USUAL
    },
    Case {
        name: "index-first",
        title: "index of 4 platforms, 3 layers of 200 kB each: first push",
        image: four_platforms,
        peers: QUICK,
        reach: &[reach(Measure::BestPeer, 0.6)],
        ..USUAL
    },
    Case {
        name: "index-unchanged",
        title: "the index: nothing changed",
        image: four_platforms,
        peers: QUICK,
        before: Before::Same,
        reach: &[reach(Measure::BestPeer, 0.3)],
        ..USUAL
    },
    Case {
        name: "index-layer",
        title: "the index: one platform's top layer changed",
        image: four_platforms_one_changed,
        peers: QUICK,
        before: Before::Older(four_platforms),
        reach: &[reach(Measure::BestPeer, 0.5)],
        ..USUAL
    },
    Case {
        name: "many-layers",
        title: "60 layers of 20 kB, 1 tag: first push",
        image: sixty_layers,
        peers: QUICK,
        tags: 1,
        reach: &[reach(Measure::BestPeer, 0.4)],
        ..USUAL
    },
    Case {
        name: "tags-new",
        title: "20 new tags on an image that is there",
        before: Before::Untagged,
        tags: 20,
        peers: &[Client::Oras, Client::Crane],
        reach: &[reach(Measure::Floor, 1.15)],
        ..USUAL
    },
    Case {
        name: "tags-equal",
        title: "20 tags that are all set already",
        before: Before::Same,
        tags: 20,
        peers: &[Client::Oras, Client::Crane],
        reach: &[reach(Measure::BestPeer, 0.1)],
        ..USUAL
    },
    Case {
        name: "large",
        title: "4 layers of 256 MiB on this machine, plain HTTP",
        image: four_large_layers,
        tags: 1,
        way: LOOPBACK,
        peers: &[Client::Oras, Client::Crane],
        rounds: 5,
        has_floor: false,
        reach: &[reach(Measure::BestPeer, 1.0), reach(Measure::CpuOfBestPeer, 1.0)],
        ..USUAL
    },
    Case {
        name: "large-tls",
        title: "4 layers of 256 MiB on this machine, TLS",
        image: four_large_layers,
        tags: 1,
        way: LOOPBACK,
        peers: &[Client::Oras, Client::Crane],
        rounds: 5,
        is_tls: true,
        registries: &[Kind::DockerRegistry],
        has_floor: false,
        reach: &[reach(Measure::BestPeer, 1.0), reach(Measure::CpuOfBestPeer, 1.0)],
        ..USUAL
    },
    Case {
        name: "wire",
        title: "1 layer of 1 GiB at 200 Mbit/s and 60 ms",
        image: one_huge_layer,
        tags: 1,
        way: Way { round_trip_ms: 60, rate_mbit: Some(200), breaks: Breaks::Never },
        registries: &[Kind::DockerRegistry],
        peers: &[Client::Crane],
        rounds: 3,
        has_floor: false,
        reach: &[reach(Measure::Wire, 1.0 / 0.97)],
        ..USUAL
    },
    Case {
        name: "cuts",
        title: "1 layer of 1 GiB, the connection cut three times",
        image: one_huge_layer,
        tags: 1,
        way: Way {
            round_trip_ms: 0,
            rate_mbit: None,
            breaks: Breaks::Cut { every_mib: 256, times: Some(3) },
        },
        registries: &[Kind::Serve],
        peers: QUICK,
        rounds: 3,
        // Who tries the same for ever is not waited for.
        limit: 40,
        has_floor: false,
        reach: &[reach(Measure::Bytes, 1.03)],
        ..USUAL
    },
];

fn five_layers(seed: u64) -> Image {
    ImageBuilder::new(seed).layers(5, 200 * KB).build()
}

fn sixty_layers(seed: u64) -> Image {
    ImageBuilder::new(seed).layers(60, 20 * KB).build()
}

fn four_large_layers(seed: u64) -> Image {
    ImageBuilder::new(seed).layers(4, 256 * MIB).build()
}

fn one_huge_layer(seed: u64) -> Image {
    ImageBuilder::new(seed).layers(1, 1024 * MIB).build()
}

fn four_platforms(seed: u64) -> Image {
    index(seed, 0)
}

fn four_platforms_one_changed(seed: u64) -> Image {
    index(seed, 1)
}

/// An index whose first platform has the top layer of `version`.
fn index(seed: u64, version: u64) -> Image {
    let children = PLATFORMS.iter().zip(0_u64..).map(|(platform, place)| {
        let seed = seed.wrapping_add(place << 32);
        let top = if place == 0 { seed ^ (version << 16) } else { seed };
        let layers = [seed.wrapping_add(1), seed.wrapping_add(2), top.wrapping_add(3)];
        let image = layers.into_iter().fold(ImageBuilder::new(seed), |image, layer| {
            image.layer(Layer::seeded(layer, 200 * KB))
        });
        (*platform, image.build())
    });
    children
        .fold(IndexBuilder::new(), |index, (platform, child)| index.child(Some(platform), &child))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_layer_is_one_layer_its_config_and_two_manifests() {
        let (old, new) = (four_platforms(5), four_platforms_one_changed(5));
        let had = |digest| old.parts().iter().any(|part| part.descriptor.digest == digest);
        let fresh = |descriptors: Vec<windlass_oci::Descriptor>| {
            descriptors.into_iter().filter(|descriptor| !had(descriptor.digest.clone())).count()
        };
        assert_eq!((old.blobs().len(), old.manifests().len()), (16, 5));
        assert_eq!((fresh(new.blobs()), fresh(new.manifests())), (2, 2));
    }

    #[test]
    fn names_are_told_apart() {
        let names: std::collections::BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), CASES.len());
    }
}
