//! Random histories: images, registries, faults and killed processes, each from a number that can be
//! tried again.

use std::ops::Range;
use std::time::Instant;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest::{option, prop_oneof};

use crate::crowd::{all, tell};
use crate::history::{Fault, Has, History, Kill, Process, Sessions, Shape, Ways};
use crate::kind::Kind;
use crate::world::{Ready, run};

/// How many run each time.
const EACH_TIME: u64 = 2000;
/// How often a history is tried while it is made smaller: sockets and threads have a will of their
/// own, so that a smaller one may fail only now and then.
const TRIES: usize = 3;
/// How many smaller ones are tried.
const SHRINKS: usize = 300;

#[test]
fn random_histories() {
    let begun = Instant::now();
    let numbers: Vec<u64> = numbers().collect();
    let failed = all(&numbers, |&number| tree(number).current().problem().map(|_| number));
    let failed: Vec<u64> = failed.into_iter().flatten().collect();
    tell(&format!("{} at random", numbers.len()), begun);
    let Some(&number) = failed.first() else { return };
    let (history, problem) = smallest(number);
    panic!(
        "histories {failed:?} went wrong. The first, as small as it could be made:\n{problem}\n\
         {history:#?}\nAgain: WINDLASS_HISTORIES={number} cargo test -p windlass-push --test \
         histories random_histories"
    );
}

/// Which: by `WINDLASS_HISTORIES` one (`7`), some (`5000..5100`) or very many (`all`).
fn numbers() -> Range<u64> {
    let Ok(wanted) = std::env::var("WINDLASS_HISTORIES") else { return 0..EACH_TIME };
    let number = |text: &str| text.parse().expect("WINDLASS_HISTORIES is a number");
    match wanted.split_once("..") {
        _ if wanted == "all" => 0..100_000,
        Some((from, to)) => number(from)..number(to),
        None => number(&wanted)..number(&wanted) + 1,
    }
}

/// The history of this number, which knows how to become smaller.
fn tree(number: u64) -> impl proptest::strategy::ValueTree<Value = History> {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    histories().new_tree(&mut runner).expect("nothing is filtered out")
}

fn smallest(number: u64) -> (History, String) {
    let mut tree = tree(number);
    let mut found = (tree.current(), "it went wrong once and never again".to_owned());
    let fails = |history: &History| (0..TRIES).find_map(|_| history.problem());
    let mut is_wrong = true;
    for _ in 0..SHRINKS {
        let moved = if is_wrong { tree.simplify() } else { tree.complicate() };
        if !moved {
            break;
        }
        let problem = fails(&tree.current());
        is_wrong = problem.is_some();
        if let Some(problem) = problem {
            found = (tree.current(), problem);
        }
    }
    if let Some(problem) = fails(&found.0) {
        found.1 = problem;
    }
    found
}

fn histories() -> impl Strategy<Value = History> {
    let chunk = option::of(prop_oneof![Just(1u64), 2..5_000u64, 5_000..40_000u64]);
    let processes = vec(process(), 1..=3);
    (shape(), 0..=3usize, chunk, ways(), processes).prop_map(
        |(image, tags, chunk, registry, processes)| {
            // A body a byte is many requests.
            let largest = image.own.iter().chain(&image.shared).max().copied().unwrap_or(0);
            let chunk = chunk.map(|chunk| chunk.max(largest / 20));
            History { image, tags, chunk, registry, processes }
        },
    )
}

fn shape() -> impl Strategy<Value = Shape> {
    let layers = || vec(prop_oneof![Just(1u64), 2..300u64, 300..60_000u64], 0..=2);
    (0..8u64, 0..=3usize, layers(), layers()).prop_map(|(seed, platforms, shared, own)| Shape {
        seed,
        platforms,
        shared,
        own,
    })
}

fn ways() -> impl Strategy<Value = Ways> {
    let sessions = select(vec![Sessions::Keep, Sessions::TurnStale, Sessions::Delete]);
    let has = select(vec![Has::Nothing, Has::SomeBlobs, Has::Another, Has::Image]);
    (sessions, has, any::<bool>(), 0..8u8).prop_map(|(sessions, has, closes, patch)| Ways {
        sessions,
        refuses_patch: patch == 7,
        closes_after_answer: closes,
        has,
    })
}

fn process() -> impl Strategy<Value = Process> {
    let fault = (0..40usize, select(Kind::ALL)).prop_map(|(at, kind)| Fault { at, kind });
    let kill = prop_oneof![
        (0..40usize).prop_map(Kill::AtRequest),
        (0..100_000u64).prop_map(Kill::AfterBytes)
    ];
    (vec(fault, 0..=4), option::of(kill)).prop_map(|(faults, killed)| Process { faults, killed })
}

impl History {
    fn problem(&self) -> Option<String> {
        run(self, &Ready::new(&self.image)).err()
    }
}
