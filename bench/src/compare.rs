//! One case at one registry: all clients, round by round.

use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::case::{Before, Case, Reach, Way};
use crate::client::Client;
use crate::program::Program;
use crate::sample::Sample;
use crate::server::Kind;
use crate::stand::{Had, Outcome, Setup, Stand};

/// All that was measured of one case at one registry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Comparison {
    pub(crate) case: String,
    pub(crate) title: String,
    pub(crate) registry: Kind,
    /// With its version.
    pub(crate) registry_name: String,
    pub(crate) way: Way,
    pub(crate) is_tls: bool,
    /// The bytes of the image's blobs.
    pub(crate) size: u64,
    pub(crate) reach: Vec<Reach>,
    /// Windlass first.
    pub(crate) clients: Vec<Contestant>,
    /// Each round's time of the floor, in seconds.
    pub(crate) floor: Vec<f64>,
}

/// One client in one case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Contestant {
    pub(crate) client: Client,
    pub(crate) version: String,
    /// Round by round; `None` where it failed.
    pub(crate) rounds: Vec<Option<Sample>>,
    /// What went wrong, in its own words.
    pub(crate) failures: Vec<String>,
    /// What it sent before it failed, where it did.
    pub(crate) bytes_when_failed: Vec<u64>,
}

/// What a comparison is made with.
pub(crate) struct Field<'a> {
    pub(crate) registry: Kind,
    pub(crate) registry_program: &'a Program,
    pub(crate) clients: &'a [(Client, Program)],
    pub(crate) way: Way,
    pub(crate) rounds: u32,
    pub(crate) limit: Duration,
}

/// Measures a case.
pub(crate) fn run(
    case: &Case,
    field: &Field<'_>,
    random: &mut fastrand::Rng,
    tell: &mut dyn FnMut(&str),
) -> Result<Comparison> {
    let mut contestants: Vec<_> = field
        .clients
        .iter()
        .map(|(client, program)| Contestant {
            client: *client,
            version: program.version.clone(),
            rounds: Vec::new(),
            failures: Vec::new(),
            bytes_when_failed: Vec::new(),
        })
        .collect();
    let mut floor = Vec::new();
    for round in 0..field.rounds {
        // The last of them is the floor.
        let mut order: Vec<_> = (0..field.clients.len() + usize::from(case.has_floor)).collect();
        random.shuffle(&mut order);
        for place in order {
            let stand = Stand::new(setup(case, field, random.u64(..)))?;
            let Some((client, program)) = field.clients.get(place) else {
                floor.push(stand.floor()?.as_secs_f64());
                continue;
            };
            let (name, at) = (case.name, field.registry);
            tell(&format!("{name} at {at}: round {} of {}, {client}", round + 1, field.rounds));
            let contestant = &mut contestants[place];
            match stand.push(*client, program, &[], field.limit)? {
                Outcome::Pushed(sample) => contestant.rounds.push(Some(sample)),
                Outcome::Failed { words, bytes_up } => {
                    contestant.rounds.push(None);
                    contestant.failures.push(words);
                    contestant.bytes_when_failed.extend(bytes_up);
                }
            }
        }
    }
    let size = (case.image)(1).blobs().iter().map(|blob| blob.size).sum();
    let reach = case.reach.iter().filter(|reach| reach.at.is_none_or(|at| at == field.registry));
    Ok(Comparison {
        case: case.name.to_owned(),
        title: case.title.to_owned(),
        registry: field.registry,
        registry_name: format!("{} {}", field.registry.title(), field.registry_program.version),
        way: field.way,
        is_tls: case.is_tls,
        size,
        reach: reach.copied().collect(),
        clients: contestants,
        floor,
    })
}

fn setup<'a>(case: &Case, field: &Field<'a>, seed: u64) -> Setup<'a> {
    let image = (case.image)(seed);
    let had = match case.before {
        Before::Nothing => Had::Nothing,
        Before::Same => Had::Tagged(image.clone()),
        Before::Untagged => Had::Untagged(image.clone()),
        Before::Older(older) => Had::Tagged(older(seed)),
    };
    Setup {
        image,
        had,
        tags: (1..=case.tags).map(|number| format!("v{number}")).collect(),
        registry: field.registry,
        registry_program: &field.registry_program.path,
        way: field.way,
        is_tls: case.is_tls,
    }
}
