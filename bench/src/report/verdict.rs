//! Whether what was to be reached was.

use crate::case::{Measure, Reach};
use crate::client::Client;
use crate::compare::{Comparison, Contestant};
use crate::sample::{Sample, Spread};

/// What was measured of something that was to be reached.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// Windlass's number as a part of what it is measured by; `None` where that cannot be told.
    pub(crate) ratio: Option<Spread>,
    /// What it is measured by: `oras 1.3.3`, `the floor`.
    pub(crate) against: String,
    pub(crate) at_most: f64,
}

impl Verdict {
    /// Of one thing to be reached in a comparison.
    pub(crate) fn of(comparison: &Comparison, reach: Reach) -> Verdict {
        let wall = |sample: &Sample| sample.time.wall;
        let cpu = |sample: &Sample| sample.time.cpu;
        let best = comparison.best_peer();
        let name = |peer: Option<&Contestant>| match peer {
            Some(peer) => peer.name(),
            None => "no peer".to_owned(),
        };
        let against_peer = |peer: Option<&Contestant>, what: fn(&Sample) -> f64| {
            let windlass = comparison.windlass()?;
            Spread::of_ratios(&windlass.numbers(what), &peer?.numbers(what))
        };
        let against_number = |what: fn(&Sample) -> f64, number: Option<f64>| {
            let numbers = comparison.windlass()?.numbers(what);
            let others = vec![number; numbers.len()];
            Spread::of_ratios(&numbers, &others)
        };
        let (ratio, against) = match reach.measure {
            Measure::BestPeer => (against_peer(best, wall), name(best)),
            Measure::CpuOfBestPeer => {
                (against_peer(best, cpu), format!("the CPU time of {}", name(best)))
            }
            Measure::RulesOci => {
                let flow = comparison.contestant(Client::Crane);
                (against_peer(flow, wall), format!("rules_oci's flow, {}", name(flow)))
            }
            Measure::Floor => (comparison.against_floor(), "the floor".to_owned()),
            Measure::Wire => (against_number(wall, comparison.wire()), "the wire".to_owned()),
            Measure::Bytes => {
                let sent = |sample: &Sample| sample.counts.bytes_up.unwrap_or_default() as f64;
                (against_number(sent, Some(comparison.size as f64)), "the image's bytes".to_owned())
            }
        };
        Verdict { ratio, against, at_most: reach.at_most }
    }

    /// Whether it was reached; `None` where that cannot be told.
    pub(crate) fn is_reached(&self) -> Option<bool> {
        self.ratio.map(|ratio| ratio.median <= self.at_most)
    }
}

impl Comparison {
    /// Windlass itself.
    pub(crate) fn windlass(&self) -> Option<&Contestant> {
        self.contestant(Client::Windlass)
    }

    /// One of the clients.
    pub(crate) fn contestant(&self, client: Client) -> Option<&Contestant> {
        self.clients.iter().find(|contestant| contestant.client == client)
    }

    /// The peer that was fastest, of those that never failed.
    pub(crate) fn best_peer(&self) -> Option<&Contestant> {
        let peers = self.clients.iter().filter(|peer| peer.client != Client::Windlass);
        let able = peers.filter(|peer| peer.failures.is_empty() && peer.wall().is_some());
        able.min_by(|one, other| {
            let median = |peer: &Contestant| peer.wall().map_or(f64::INFINITY, |wall| wall.median);
            median(one).total_cmp(&median(other))
        })
    }

    /// Windlass's time as a part of the floor's, round by round.
    pub(crate) fn against_floor(&self) -> Option<Spread> {
        let windlass = self.windlass()?.numbers(|sample| sample.time.wall);
        let floor: Vec<_> = self.floor.iter().copied().map(Some).collect();
        Spread::of_ratios(&windlass, &floor)
    }

    /// What the image's bytes take at the link's rate, in seconds.
    pub(crate) fn wire(&self) -> Option<f64> {
        self.way.rate_mbit.map(|mbit| self.size as f64 * 8.0 / (mbit as f64 * 1e6))
    }
}

impl Contestant {
    /// Its name and version.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.client, self.version)
    }

    /// Its times, in seconds.
    pub(crate) fn wall(&self) -> Option<Spread> {
        Spread::of(self.numbers(|sample| sample.time.wall).into_iter().flatten())
    }

    /// A number of each round; `None` where it failed.
    pub(crate) fn numbers(&self, what: impl Fn(&Sample) -> f64) -> Vec<Option<f64>> {
        self.rounds.iter().map(|round| round.as_ref().map(&what)).collect()
    }
}
