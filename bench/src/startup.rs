//! What it costs to start: of a push that has little to do, that is all there is.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::program::Program;
use crate::stopwatch::{self, Invocation};

/// The times of several short commands, round by round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Startup {
    /// `true`, which does nothing: what it takes to start any process.
    pub(crate) nothing: Vec<f64>,
    /// `windlass --version`.
    pub(crate) version: Vec<f64>,
    /// A push of an image that is not there.
    pub(crate) failing_push: Vec<f64>,
    /// The size of the program, in bytes.
    pub(crate) program_size: u64,
}

const ROUNDS: u32 = 200;
const LIMIT: Duration = Duration::from_secs(10);

/// Measures them, in an order that is thrown anew each round.
pub(crate) fn run(windlass: &Program, random: &mut fastrand::Rng) -> Result<Startup> {
    let place = TempDir::new()?;
    let (said, home) = (place.path().join("said"), place.path().display().to_string());
    let command = |program: &Path, args: &[&str]| Invocation {
        program: program.to_owned(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        env: vec![("HOME".to_owned(), home.clone())],
    };
    let push = ["push", "/none/such", "--repository", "127.0.0.1:1/app", "--tag", "v1"];
    let commands = [
        command(Path::new("/bin/true"), &[]),
        command(&windlass.path, &["--version"]),
        command(&windlass.path, &push),
    ];
    let mut times: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        let mut order = [0, 1, 2];
        random.shuffle(&mut order);
        for place in order {
            let time = stopwatch::run(vec![commands[place].clone()], &said, LIMIT)?;
            times[place].push(time.wall);
        }
    }
    let [nothing, version, failing_push] = times;
    let program_size = std::fs::metadata(&windlass.path)?.len();
    Ok(Startup { nothing, version, failing_push, program_size })
}
