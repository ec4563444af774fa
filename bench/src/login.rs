//! What a login over TLS costs: how many round trips a push needs. Nobody can look into TLS, so they
//! are told by time: the same push over two delays, and what it takes longer by how much longer they
//! are. The machine's own time falls out of that.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;
use windlass_testkit::{
    Auth, Bearer, Image, ImageBuilder, Link, LinkOptions, TestCa, TestOptions, TestRegistry,
    TlsOptions, TokenOptions, TokenServer,
};

use crate::client::{Client, Errand};
use crate::program::Program;
use crate::sample::Spread;
use crate::stopwatch;

/// How many round trips a first push of 5 layers and 3 tags takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) ways: Vec<Measured>,
}

/// One way to be let in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) door: Door,
    /// Round by round: the slope of the time over the delay.
    pub(crate) round_trips: Vec<f64>,
}

/// How a registry lets somebody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Door {
    /// Plain HTTP, everybody.
    Open,
    /// TLS, everybody.
    Tls,
    /// TLS, and tokens of a server of another origin, which speaks TLS too.
    OtherOrigin,
    /// TLS, and tokens of the registry's own origin.
    SameOrigin,
    /// The same, when an earlier push has left a note of where tokens are to be had.
    Remembered,
}

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_millis(120);
const LIMIT: Duration = Duration::from_secs(60);

impl Door {
    /// All of them.
    pub(crate) const ALL: [Door; 5] =
        [Door::Open, Door::Tls, Door::OtherOrigin, Door::SameOrigin, Door::Remembered];

    /// In words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Door::Open => "plain HTTP, no login",
            Door::Tls => "TLS, no login",
            Door::OtherOrigin => "TLS, tokens of another origin",
            Door::SameOrigin => "TLS, tokens of the same origin",
            Door::Remembered => "TLS, tokens of the same origin, pushed to before",
        }
    }

    /// How many round trips it may need more than an open door.
    pub(crate) fn at_most(self) -> Option<f64> {
        match self {
            Door::Open | Door::Tls => None,
            Door::OtherOrigin => Some(5.0),
            Door::SameOrigin => Some(3.0),
            Door::Remembered => Some(2.0),
        }
    }
}

impl Login {
    /// How many round trips a door costs more than an open one.
    pub(crate) fn more(&self, door: Door) -> Option<Spread> {
        let of = |door: Door| self.ways.iter().find(|way| way.door == door);
        let (open, with) = (of(Door::Open)?, of(door)?);
        let pairs = with.round_trips.iter().zip(&open.round_trips);
        Spread::of_enough(pairs.map(|(with, open)| with - open))
    }
}

/// Measures them all, in an order that is thrown anew each round.
pub(crate) fn run(
    windlass: &Program,
    rounds: u32,
    random: &mut fastrand::Rng,
    tell: &mut dyn FnMut(&str),
) -> Result<Login> {
    let mut ways: Vec<_> =
        Door::ALL.iter().map(|door| Measured { door: *door, round_trips: Vec::new() }).collect();
    for round in 0..rounds {
        random.shuffle(&mut ways);
        for way in &mut ways {
            tell(&format!("login: round {} of {rounds}, {}", round + 1, way.door.name()));
            let mut time = |delay| push(windlass, way.door, delay, random.u64(..));
            let (short, long) = (time(SHORT)?, time(LONG)?);
            way.round_trips.push((long - short) / (LONG - SHORT).as_secs_f64());
        }
    }
    ways.sort_by_key(|way| Door::ALL.iter().position(|door| *door == way.door));
    Ok(Login { ways })
}

/// The time of one push, in seconds.
fn push(windlass: &Program, door: Door, delay: Duration, seed: u64) -> Result<f64> {
    let lagging = |to| Link::start(to, LinkOptions { round_trip: delay, ..LinkOptions::default() });
    let authority = Arc::new(TestCa::new());
    // An address of this machine that does not look like one, for those are asked in plain HTTP first.
    let name = |link: &Link| format!("[::ffff:127.0.0.1]:{}", link.address().port());
    let tls =
        TlsOptions { names: vec!["::ffff:127.0.0.1".to_owned()], ..TlsOptions::new(&authority) };
    let has_tls = door != Door::Open;
    let tokens = TokenServer::start_tls(TokenOptions::default(), &tls);
    let to_tokens = lagging(tokens.address());
    // Led to the registry below, which must know its own address on the link first.
    let link = lagging(tokens.address());
    let origin = name(if door == Door::OtherOrigin { &to_tokens } else { &link });
    let bearer = Bearer { realm: Some(format!("https://{origin}/token")), ..Bearer::new(&tokens) };
    let is_open = matches!(door, Door::Open | Door::Tls);
    let registry = TestRegistry::start(TestOptions {
        auth: if is_open { Auth::Open } else { Auth::Bearer(bearer) },
        tls: has_tls.then(|| tls.clone()),
        ..TestOptions::default()
    });
    link.point_at(registry.address());

    let place = TempDir::new().context("a temporary folder")?;
    let home = place.path().join("home");
    fs::create_dir_all(home.join(".docker"))?;
    let host = if has_tls { name(&link) } else { link.address().to_string() };
    let config = json!({"auths": {host.clone(): {"username": "user", "password": "secret"}}});
    fs::write(home.join(".docker/config.json"), config.to_string())?;
    let once = |seed: u64| -> Result<f64> {
        let image: Image = ImageBuilder::new(seed).layers(5, 200_000).build();
        let layout = place.path().join(format!("layout{seed}"));
        image.write_directory(&layout)?;
        let pem = authority.pem_file();
        let errand = Errand {
            layout: &layout,
            digest: image.digest().as_str(),
            host: &host,
            repository: "bench/app",
            tags: &["v1".to_owned(), "v2".to_owned(), "v3".to_owned()],
            home: &home,
            authority: has_tls.then_some(pem.as_path()),
        };
        let time = stopwatch::run(
            Client::Windlass.commands(&windlass.path, &errand),
            Path::new(&place.path().join("said")),
            LIMIT,
        )?;
        if let Some(words) = time.failure {
            bail!("{}: {words}", door.name());
        }
        ensure!(registry.has_image("bench/app", &image), "{}: it is not there", door.name());
        Ok(time.wall)
    };
    if door == Door::Remembered {
        once(seed.wrapping_add(1))?;
    }
    once(seed)
}
