//! Many images that share most of their layers, each to a repository of its own: in one run of
//! Windlass, and by a process of crane for each.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;
use windlass_testkit::{Image, ImageBuilder, Layer};

use crate::case::{Breaks, Way};
use crate::client::{Client, Errand};
use crate::program::Program;
use crate::sample::{Counts, Sample};
use crate::server::{Kind, Server};
use crate::stand::{counts_of, link};
use crate::stopwatch::{self, Invocation};

/// What was measured, round by round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Many {
    pub(crate) registry_name: String,
    pub(crate) way: Way,
    pub(crate) images: usize,
    /// The bytes of all blobs, each digest once.
    pub(crate) distinct: u64,
    pub(crate) windlass: Vec<Sample>,
    /// How many of the images the peer pushed; the others would take as long each.
    pub(crate) peer_images: usize,
    pub(crate) peer_name: String,
    pub(crate) peer: Vec<Sample>,
}

const IMAGES: usize = 200;
const PEER_IMAGES: usize = 20;
const SHARED: u64 = 8;
const OWN: u64 = 2;
const LAYER: u64 = 50_000;
const WAY: Way = Way { round_trip_ms: 20, rate_mbit: None, breaks: Breaks::Never };

/// What it is measured with.
pub(crate) struct Tools<'a> {
    pub(crate) registry: &'a Program,
    pub(crate) windlass: &'a Program,
    /// crane, where it is here.
    pub(crate) crane: Option<&'a Program>,
    pub(crate) rounds: u32,
    pub(crate) limit: Duration,
}

/// Measures it at docker-registry.
pub(crate) fn run(
    tools: &Tools<'_>,
    random: &mut fastrand::Rng,
    tell: &mut dyn FnMut(&str),
) -> Result<Many> {
    let mut many = Many {
        registry_name: format!("docker-registry {}", tools.registry.version),
        way: WAY,
        images: IMAGES,
        distinct: 0,
        windlass: Vec::new(),
        peer_images: PEER_IMAGES,
        peer_name: tools.crane.map(|crane| format!("crane {}", crane.version)).unwrap_or_default(),
        peer: Vec::new(),
    };
    for round in 0..tools.rounds {
        let mut peer_is_first = [true, false];
        random.shuffle(&mut peer_is_first);
        for is_peer in peer_is_first {
            if is_peer && tools.crane.is_none() {
                continue;
            }
            let images = images(random.u64(..), if is_peer { PEER_IMAGES } else { IMAGES });
            let who = if is_peer { "crane" } else { "windlass" };
            tell(&format!("many images: round {} of {}, {who}", round + 1, tools.rounds));
            match (is_peer, tools.crane) {
                (false, _) => {
                    many.distinct = distinct(&images);
                    many.windlass.push(push(tools, tools.windlass, Client::Windlass, &images)?);
                }
                (true, Some(crane)) => many.peer.push(push(tools, crane, Client::Crane, &images)?),
                (true, None) => {}
            }
        }
    }
    Ok(many)
}

fn images(seed: u64, count: usize) -> Vec<Image> {
    (0..count as u64)
        .map(|number| {
            let builder = ImageBuilder::new(seed.wrapping_add(number));
            let shared = (0..SHARED).map(|layer| seed ^ (layer << 40));
            let own = (0..OWN).map(|layer| seed ^ ((number + 1) << 8) ^ (layer << 50));
            shared
                .chain(own)
                .fold(builder, |builder, seed| builder.layer(Layer::seeded(seed, LAYER)))
                .build()
        })
        .collect()
}

fn distinct(images: &[Image]) -> u64 {
    let mut blobs: Vec<_> = images.iter().flat_map(Image::blobs).collect();
    blobs.sort_by(|one, other| one.digest.cmp(&other.digest));
    blobs.dedup_by(|one, other| one.digest == other.digest);
    blobs.iter().map(|blob| blob.size).sum()
}

fn repository(number: usize) -> String {
    format!("bench/app{number}")
}

fn push(tools: &Tools<'_>, program: &Program, client: Client, images: &[Image]) -> Result<Sample> {
    let place = TempDir::new().context("a temporary folder")?;
    let home = place.path().join("home");
    fs::create_dir(&home)?;
    let server = Server::start(Kind::DockerRegistry, &tools.registry.path, false)?;
    let link = link(&server, WAY);
    let host = link.address().to_string();
    let mut commands: Vec<Invocation> = Vec::new();
    let mut requests = Vec::new();
    for (number, image) in images.iter().enumerate() {
        let layout = place.path().join(format!("layout{number}"));
        image.write_directory(&layout)?;
        let errand = Errand {
            layout: &layout,
            digest: image.digest().as_str(),
            host: &host,
            repository: &repository(number),
            tags: &["v1".to_owned()],
            home: &home,
            authority: None,
        };
        if client == Client::Windlass {
            let request = place.path().join(format!("{number}.json"));
            let name = format!("{host}/{}", errand.repository);
            let text = json!({
                "version": 1, "layout": layout, "repositories": [name], "tags": errand.tags,
            });
            fs::write(&request, text.to_string())?;
            requests.extend(["--request".to_owned(), request.display().to_string()]);
            // All else of the command is the same for each.
            commands = client.commands(&program.path, &errand);
        } else {
            // By tag at once: the least that it can be asked to do.
            let mut command = client.commands(&program.path, &errand).swap_remove(0);
            command.args = vec![
                "push".to_owned(),
                layout.display().to_string(),
                format!("{host}/{}:v1", errand.repository),
            ];
            commands.push(command);
        }
    }
    if let (Client::Windlass, Some(command)) = (client, commands.first_mut()) {
        command.args = vec!["push".to_owned()];
        command.args.append(&mut requests);
    }
    let time = stopwatch::run(commands, &place.path().join("said"), tools.limit)?;
    if let Some(words) = time.failure {
        bail!("{client}: {words}");
    }
    let counts: Counts = counts_of(&link.report());
    let mut direct = server.client();
    for (number, image) in images.iter().enumerate() {
        let path = format!("/v2/{}/manifests/v1", repository(number));
        let accept = [("Accept", image.root().media_type.as_str())];
        let answer = direct.send("HEAD", &path, &accept, b"")?;
        let digest = answer.header("docker-content-digest");
        ensure!(digest == image.digest().as_str(), "{client}: v1 of {number} names {digest:?}");
    }
    Ok(Sample { time, counts })
}
