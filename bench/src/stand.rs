//! Where one push is measured: an image, a registry of its own as it is before the push, and the way
//! there.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use windlass_oci::MediaType;
use windlass_testkit::{Image, Link, LinkAction, LinkFault, LinkOptions, LinkPoint, Report};

use crate::case::{Breaks, Way};
use crate::client::{Client, Errand};
use crate::floor::{Script, There};
use crate::program::Program;
use crate::sample::{Counts, Sample};
use crate::server::{Kind, Server};
use crate::stopwatch;

/// How a stand is made.
pub(crate) struct Setup<'a> {
    pub(crate) image: Image,
    pub(crate) had: Had,
    pub(crate) tags: Vec<String>,
    pub(crate) registry: Kind,
    pub(crate) registry_program: &'a Path,
    pub(crate) way: Way,
    pub(crate) is_tls: bool,
}

/// What a registry has before a push.
pub(crate) enum Had {
    Nothing,
    /// This image, under all of the tags.
    Tagged(Image),
    /// This image, under another tag.
    Untagged(Image),
}

/// A stand, until this is dropped.
pub(crate) struct Stand<'a> {
    setup: Setup<'a>,
    place: TempDir,
    server: Server,
    link: Option<Link>,
}

/// What became of a push.
pub(crate) enum Outcome {
    Pushed(Sample),
    Failed { words: String, bytes_up: Option<u64> },
}

const REPOSITORY: &str = "bench/app";
/// So many bytes keep a disk busy for a moment.
const MUCH: u64 = 16 << 20;

impl<'a> Stand<'a> {
    /// Writes the image, starts the registry and brings it what it has before.
    pub(crate) fn new(setup: Setup<'a>) -> Result<Stand<'a>> {
        let place = TempDir::new().context("a temporary folder")?;
        setup.image.write_directory(&place.path().join("layout")).context("writing the image")?;
        fs::create_dir(place.path().join("home"))?;
        if setup.image.blobs().iter().map(|blob| blob.size).sum::<u64>() > MUCH {
            // What is still to be written must not be written while somebody is measured.
            rustix::fs::sync();
        }
        let server = Server::start(setup.registry, setup.registry_program, setup.is_tls)?;
        if let Had::Tagged(image) | Had::Untagged(image) = &setup.had {
            let mut client = server.client();
            client.push(REPOSITORY, image, "before");
            if matches!(setup.had, Had::Tagged(_)) {
                for tag in &setup.tags {
                    client.put_manifest(REPOSITORY, tag, image, image.digest())?;
                }
            }
        }
        let link = (setup.way != Way::default()).then(|| link(&server, setup.way));
        Ok(Stand { setup, place, server, link })
    }

    /// Replays the fewest requests.
    pub(crate) fn floor(&self) -> Result<Duration> {
        let Setup { image, had, tags, .. } = &self.setup;
        let there = match had {
            Had::Nothing => There { image: None, tags: false },
            Had::Tagged(had) => There { image: Some(had), tags: had.digest() == image.digest() },
            Had::Untagged(had) => There { image: Some(had), tags: false },
        };
        let script = Script::of(image, REPOSITORY, tags, there);
        let time = script.replay(self.address()).context("replaying the floor")?;
        self.check().context("after the floor")?;
        Ok(time)
    }

    /// Lets a client push, with more arguments than it needs for that.
    pub(crate) fn push(
        &self,
        client: Client,
        program: &Program,
        more: &[String],
        limit: Duration,
    ) -> Result<Outcome> {
        let authority = self.server.authority();
        let errand = Errand {
            layout: &self.place.path().join("layout"),
            digest: self.setup.image.digest().as_str(),
            host: &self.address().to_string(),
            repository: REPOSITORY,
            tags: &self.setup.tags,
            home: &self.place.path().join("home"),
            authority: authority.as_deref(),
        };
        let before = self.server.logged();
        let mut commands = client.commands(&program.path, &errand);
        commands.iter_mut().for_each(|command| command.args.extend_from_slice(more));
        let time = stopwatch::run(commands, &self.place.path().join("said"), limit)?;
        let counts = self.counts(before);
        if let Some(words) = time.failure {
            return Ok(Outcome::Failed { words, bytes_up: counts.bytes_up });
        }
        match self.check() {
            Ok(()) => Ok(Outcome::Pushed(Sample { time, counts })),
            Err(error) => Ok(Outcome::Failed {
                words: format!("not compared, since it pushed something else: {error:#}"),
                bytes_up: counts.bytes_up,
            }),
        }
    }

    fn address(&self) -> std::net::SocketAddr {
        self.link.as_ref().map_or(self.server.address(), Link::address)
    }

    /// What the link and the registry's log tell.
    fn counts(&self, before: Option<(u64, u64)>) -> Counts {
        let of_link = self.link.as_ref().map(|link| counts_of(&link.report()));
        if let Some(counts) = of_link.filter(|counts| counts.requests.is_some()) {
            return counts;
        }
        if before.is_some() {
            // The registry writes a line a little after it has answered.
            thread::sleep(Duration::from_millis(200));
        }
        let logged = before.zip(self.server.logged());
        Counts {
            requests: logged.map(|(before, after)| after.0 - before.0),
            writes: logged.map(|(before, after)| after.1 - before.1),
            ..of_link.unwrap_or_default()
        }
    }

    /// That the registry has the image, whole, under all of its tags.
    fn check(&self) -> Result<()> {
        let mut client = self.server.client();
        let mut head = |path: String, kind: &MediaType| {
            client.send("HEAD", &path, &[("Accept", kind.as_str())], b"")
        };
        for tag in &self.setup.tags {
            let path = format!("/v2/{REPOSITORY}/manifests/{tag}");
            let answer = head(path, &self.setup.image.root().media_type)?;
            let digest = answer.header("docker-content-digest");
            ensure!(digest == self.setup.image.digest().as_str(), "{tag} names {digest:?}");
        }
        for part in self.setup.image.parts() {
            let kind = if part.descriptor.media_type.is_manifest() { "manifests" } else { "blobs" };
            let path = format!("/v2/{REPOSITORY}/{kind}/{}", part.descriptor.digest);
            let answer = head(path, &part.descriptor.media_type)?;
            let size = answer.header("content-length");
            if answer.status != 200 || size != part.descriptor.size.to_string() {
                bail!(
                    "{} is not there: {} of {size:?} bytes",
                    part.descriptor.digest,
                    answer.status
                );
            }
        }
        Ok(())
    }
}

/// The way to a registry.
pub(crate) fn link(server: &Server, way: Way) -> Link {
    let mib = |mib: u64| mib << 20;
    let cut = |at| LinkFault { at, action: LinkAction::Reset };
    let faults = match way.breaks {
        Breaks::Never => Vec::new(),
        Breaks::Cut { every_mib, times: None } => vec![cut(LinkPoint::Every(mib(every_mib)))],
        Breaks::Cut { every_mib, times: Some(times) } => {
            (1..=times).map(|number| cut(LinkPoint::Bytes(mib(every_mib * number)))).collect()
        }
        Breaks::Stall { after_mib } => {
            vec![LinkFault { at: LinkPoint::Bytes(mib(after_mib)), action: LinkAction::Stall }]
        }
    };
    Link::start(
        server.address(),
        LinkOptions {
            round_trip: Duration::from_millis(way.round_trip_ms),
            rate: way.rate_mbit.map(|mbit| mbit * 1_000_000 / 8),
            faults,
        },
    )
}

/// What a link has seen.
pub(crate) fn counts_of(report: &Report) -> Counts {
    let is_seen = !report.requests.is_empty();
    let reads =
        report.requests.iter().filter(|seen| matches!(seen.method.as_str(), "GET" | "HEAD"));
    let (all, reads) = (report.requests.len() as u64, reads.count() as u64);
    Counts {
        requests: is_seen.then_some(all),
        writes: is_seen.then_some(all - reads),
        connections: Some(report.connections),
        round_trips: is_seen.then_some(u64::from(report.round_trips)),
        bytes_up: Some(report.bytes_up),
        bytes_down: Some(report.bytes_down),
    }
}
