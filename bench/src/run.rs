//! What is measured, in its order, with what is here.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Result, bail};

use crate::args::Args;
use crate::case::{Breaks, CASES, Case, USUAL_ROUNDS, Way};
use crate::client::Client;
use crate::compare::{self, Field};
use crate::growth::{self, By};
use crate::login;
use crate::many::{self, Tools};
use crate::program::{self, Program};
use crate::report::{Machine, Report};
use crate::server::Kind;
use crate::startup;

/// Cases that compare no single pushes, and what they measure.
const OTHERS: [(&str, &str); 4] = [
    (MANY, "200 images that share 8 of 10 layers, each to a repository of its own"),
    (STARTUP, "how long it takes to start"),
    (GROWTH, "requests, time and memory by the number of blobs, tags, and layers at once"),
    (LOGIN, "how many round trips TLS and a login cost"),
];
const MANY: &str = "many-images";
const STARTUP: &str = "startup";
const GROWTH: &str = "growth";
const LOGIN: &str = "login";

/// How long many pushes together may take, in seconds.
const LONG: u64 = 600;
/// Fewer would tell nothing.
const FEW_ROUNDS: u32 = 3;

/// What there is to measure.
pub(crate) fn list() -> String {
    let cases = CASES.iter().map(|case| (case.name, case.title)).chain(OTHERS);
    cases.map(|(name, title)| format!("{name:16} {title}\n")).collect()
}

/// Measures all that `args` ask for. What is missing is named, and the rest goes on.
pub(crate) fn all(args: &Args) -> Result<Report> {
    let names: Vec<_> =
        CASES.iter().map(|case| case.name).chain(OTHERS.map(|(name, _)| name)).collect();
    if let Some(unknown) = args.cases.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("there is no case {unknown:?}; --list tells those that there are");
    }
    let wanted = |name: &str| args.cases.is_empty() || args.cases.iter().any(|case| case == name);

    let windlass = program::windlass(args.windlass.as_deref())?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    say(&format!("windlass {}, seed {seed}", windlass.version));
    let mut report = Report {
        machine: Machine::this(),
        windlass: windlass.version.clone(),
        seed,
        ..Report::default()
    };
    let mut random = fastrand::Rng::with_seed(seed);
    if let Some(file) = &args.json {
        // That it cannot be written is not to be heard half an hour later.
        report.write(file)?;
    }

    let clients = clients(args, &windlass, &mut report);
    for case in CASES.iter().filter(|case| wanted(case.name)) {
        compare(case, args, &clients, &mut random, &mut report);
    }
    let few = args.rounds.unwrap_or(FEW_ROUNDS);
    if wanted(MANY) {
        let crane = clients.iter().find(|(client, _)| *client == Client::Crane);
        match registry(Kind::DockerRegistry, &args.programs, &windlass) {
            None => report.miss(format!("docker-registry is not installed: {MANY}")),
            Some(registry) => {
                let tools = Tools {
                    registry: &registry,
                    windlass: &windlass,
                    crane: crane.map(|(_, program)| program),
                    rounds: few,
                    limit: args.limit(LONG),
                };
                report.many = report.kept(MANY, many::run(&tools, &mut random, &mut say));
            }
        }
    }
    if wanted(STARTUP) {
        report.startup = report.kept(STARTUP, startup::run(&windlass, &mut random));
    }
    if wanted(GROWTH) {
        for by in By::ALL {
            let growth = growth::run(by, &windlass, few, &mut random, &mut say);
            let growth = report.kept(GROWTH, growth);
            report.growth.extend(growth);
        }
    }
    if wanted(LOGIN) {
        let rounds = args.rounds.unwrap_or(USUAL_ROUNDS);
        report.login = report.kept(LOGIN, login::run(&windlass, rounds, &mut random, &mut say));
    }
    Ok(report)
}

fn compare(
    case: &Case,
    args: &Args,
    clients: &[(Client, Program)],
    random: &mut fastrand::Rng,
    report: &mut Report,
) {
    let windlass = clients.iter().find(|(client, _)| *client == Client::Windlass);
    let Some((_, windlass)) = windlass else { return };
    let registries = if args.registry.is_empty() { case.registries } else { &args.registry[..] };
    for kind in registries {
        let Some(registry_program) = registry(*kind, &args.programs, windlass) else {
            report.miss(format!("{} at {kind}, which is not installed", case.name));
            continue;
        };
        let is_in = |client: Client| client == Client::Windlass || case.peers.contains(&client);
        let of_case: Vec<_> =
            clients.iter().filter(|(client, _)| is_in(*client)).cloned().collect();
        let field = Field {
            registry: *kind,
            registry_program: &registry_program,
            clients: &of_case,
            way: way(args, case),
            rounds: args.rounds.unwrap_or(case.rounds),
            limit: args.limit(case.limit),
        };
        let comparison = compare::run(case, &field, random, &mut say);
        let comparison = report.kept(&format!("{} at {kind}", case.name), comparison);
        report.comparisons.extend(comparison);
        // Whoever breaks a long run off has what was measured until then.
        if let Some(file) = &args.json {
            let _ = report.write(file);
        }
    }
}

/// Windlass, and the peers that are here.
fn clients(args: &Args, windlass: &Program, report: &mut Report) -> Vec<(Client, Program)> {
    let mut clients = vec![(Client::Windlass, windlass.clone())];
    for peer in &args.peers {
        match program::find(&args.programs, peer.program(), peer.version_args()) {
            Some(program) => clients.push((*peer, program)),
            None => report.miss(format!("{peer} is not installed, and not compared")),
        }
    }
    clients
}

fn registry(kind: Kind, programs: &Path, windlass: &Program) -> Option<Program> {
    let (name, version_args) = kind.program();
    match kind {
        Kind::Serve => Some(windlass.clone()),
        _ => program::find(programs, name, version_args),
    }
}

/// The case's own way, or as it was asked for.
fn way(args: &Args, case: &Case) -> Way {
    let breaks = match (args.cut, args.stall) {
        (Some(mib), _) => Breaks::Cut { every_mib: mib, times: None },
        (None, Some(mib)) => Breaks::Stall { after_mib: mib },
        (None, None) => case.way.breaks,
    };
    Way {
        round_trip_ms: args.delay.unwrap_or(case.way.round_trip_ms),
        rate_mbit: args.rate.or(case.way.rate_mbit),
        breaks,
    }
}

/// What goes on, for whoever waits.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
