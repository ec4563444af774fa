//! What was typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum as _};

use crate::client::Client;
use crate::server::Kind;

/// Measure Windlass and other pushers side by side
///
/// Each round every client pushes an image of its own, the same in shape, to a registry of its own,
/// over a link of its own, in an order that is thrown anew. Times are told as medians of all rounds
/// with quartiles, and ratios as medians of each round's pair.
#[derive(Debug, Parser)]
#[command(name = "windlass-bench", version)]
pub(crate) struct Args {
    /// Which cases; all of them where none is named. --list tells what there is
    #[arg(value_name = "CASE")]
    pub(crate) cases: Vec<String>,
    /// List the cases and end
    #[arg(long)]
    pub(crate) list: bool,
    /// Whom to compare with; those that are not installed are named and left out
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Client::PEERS)]
    pub(crate) peers: Vec<Client>,
    /// Which registries, instead of those of each case
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) registry: Vec<Kind>,
    /// How many rounds, instead of each case's own number; no ratio is told below 3
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: Option<u32>,
    /// The link's round-trip time in milliseconds, instead of each case's own
    #[arg(long, value_name = "MS")]
    pub(crate) delay: Option<u64>,
    /// The link's rate in Mbit/s, each way, instead of each case's own
    #[arg(long, value_name = "MBIT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rate: Option<u64>,
    /// Break all connections that are in use each time after so many MiB, instead of as the case says
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) cut: Option<u64>,
    /// Let the connection that is in use after so many MiB stand still for ever, once
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) stall: Option<u64>,
    /// How long one client may take for a push, in seconds, instead of each case's own
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    /// The windlass to measure; where there is none, it is built as it is released
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) windlass: Option<PathBuf>,
    /// A folder where peers and registries are looked for before PATH
    #[arg(long, value_name = "FOLDER", default_value = "target/peers")]
    pub(crate) programs: PathBuf,
    /// What all random bytes and orders come from; another one each time where it is not given
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Write all that was measured into FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw the charts into FOLDER
    #[arg(long, value_name = "FOLDER")]
    pub(crate) svg: Option<PathBuf>,
    /// Measure nothing; tell and draw what --json wrote earlier
    #[arg(long, value_name = "FILE", conflicts_with = "cases")]
    pub(crate) from: Option<PathBuf>,
}

impl Args {
    /// How long one client may take in a case that gives it so many seconds.
    pub(crate) fn limit(&self, of_case: u64) -> Duration {
        Duration::from_secs(self.limit.unwrap_or(of_case))
    }
}

/// What this process was started with.
pub(crate) fn parse() -> Args {
    Args::parse()
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.program())
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}
