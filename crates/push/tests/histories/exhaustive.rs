//! Every kind of fault at every request of a push, and every pair of them.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Instant;

use windlass_testkit::Call;

use crate::crowd::{all, tell};
use crate::history::{Fault, History};
use crate::kind::Kind;
use crate::world::{Ran, Ready, run};

/// So that the layer goes in three bodies, each of which can be broken and resumed.
const CHUNK: u64 = 16_000;

#[test]
fn every_single_fault() {
    let begun = Instant::now();
    let whole = singles(&History::small(None)).len();
    let in_chunks = singles_in_chunks().len();
    tell(&format!("{} with one fault each", whole + in_chunks), begun);
}

#[test]
fn every_pair_of_faults() {
    let begun = Instant::now();
    let history = History::small(Some(CHUNK));
    let pairs: Vec<[Fault; 2]> = singles_in_chunks()
        .iter()
        .flat_map(|(first, ran)| {
            let (first, next) = (*first, first.at + 1);
            let more = faults(&ran.calls).into_iter().filter(move |fault| fault.at >= next);
            more.map(move |second| [first, second])
        })
        .collect();
    let (count, chosen) = (pairs.len(), chosen(pairs));
    let ready = Ready::new(&history.image);
    let results = all(&chosen, |pair| run(&history.with(pair), &ready));
    let whole = results.iter().filter(|ran| ran.as_ref().is_ok_and(|ran| ran.whole)).count();
    complain(
        chosen
            .iter()
            .zip(results)
            .filter_map(|(pair, ran)| Some((format!("{pair:?}"), ran.err()?))),
    );
    tell(&format!("{} of {count} with two faults each, {whole} met both", chosen.len()), begun);
}

/// Lets every fault happen alone, once for both who want to know.
fn singles_in_chunks() -> &'static [(Fault, Ran)] {
    static RAN: OnceLock<Vec<(Fault, Ran)>> = OnceLock::new();
    RAN.get_or_init(|| singles(&History::small(Some(CHUNK))))
}

/// Lets every fault happen alone.
fn singles(history: &History) -> Vec<(Fault, Ran)> {
    let ready = Ready::new(&history.image);
    let clean = run(history, &ready).unwrap();
    let faults = faults(&clean.calls);
    let results = all(&faults, |fault| run(&history.with(&[*fault]), &ready));
    complain(faults.iter().zip(&results).filter_map(|(fault, ran)| {
        let call = clean.calls[fault.at];
        Some((format!("{fault:?} ({call:?})"), ran.clone().err()?))
    }));
    faults.into_iter().zip(results).map(|(fault, ran)| (fault, ran.unwrap())).collect()
}

/// What can happen to these requests.
fn faults(calls: &[Call]) -> Vec<Fault> {
    let calls = calls.iter().enumerate();
    calls
        .flat_map(|(at, &call)| {
            let kinds = Kind::ALL.iter().filter(move |kind| kind.fits(call));
            kinds.map(move |&kind| Fault { at, kind })
        })
        .collect()
}

/// All where all are wanted, otherwise a twentieth of them, the same each time.
fn chosen(pairs: Vec<[Fault; 2]>) -> Vec<[Fault; 2]> {
    if std::env::var_os("WINDLASS_HISTORIES").is_some_and(|all| all == "all") {
        return pairs;
    }
    let mut random = fastrand::Rng::with_seed(SEED);
    pairs.into_iter().filter(|_| random.u8(..20) == 0).collect()
}

/// Chooses the pairs that run each time.
const SEED: u64 = 20;

#[track_caller]
fn complain(failures: impl Iterator<Item = (String, String)>) {
    let failures: BTreeMap<String, String> = failures.collect();
    if failures.is_empty() {
        return;
    }
    let shown: Vec<String> =
        failures.iter().take(40).map(|(what, problem)| format!("{what}: {problem}")).collect();
    panic!("{} histories went wrong:\n{}", failures.len(), shown.join("\n"));
}
