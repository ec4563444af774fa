//! All that was measured, and how it is told.

mod others;
pub(crate) mod svg;
pub(crate) mod text;
pub(crate) mod verdict;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::compare::Comparison;
use crate::growth::Growth;
use crate::login::Login;
use crate::many::Many;
use crate::startup::Startup;

/// All that was measured in one run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// Its version.
    pub(crate) windlass: String,
    pub(crate) seed: u64,
    /// What was not measured, and why.
    pub(crate) missing: Vec<String>,
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) many: Option<Many>,
    pub(crate) startup: Option<Startup>,
    pub(crate) growth: Vec<Growth>,
    pub(crate) login: Option<Login>,
}

/// What it was measured on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
}

impl Report {
    /// What an earlier run has written.
    pub(crate) fn read(file: &Path) -> Result<Report> {
        let text = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no report", file.display()))
    }

    /// Writes it for [`read`](Self::read).
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        fs::write(file, text).with_context(|| format!("writing {}", file.display()))
    }

    /// What was measured; where that went wrong, it is noted, and the rest goes on.
    pub(crate) fn kept<T>(&mut self, name: &str, measured: Result<T>) -> Option<T> {
        measured.map_err(|error| self.miss(format!("{name}: {error:#}"))).ok()
    }

    /// Notes that something was not measured. Once, however often it is said.
    pub(crate) fn miss(&mut self, what: String) {
        if !self.missing.contains(&what) {
            self.missing.push(what);
        }
    }
}

impl Machine {
    /// The one that this runs on.
    pub(crate) fn this() -> Machine {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let processor = processors.lines().find_map(|line| line.strip_prefix("model name"));
        let processor = processor.and_then(|line| line.split_once(':'));
        Machine {
            processor: processor.map(|(_, name)| name.trim().to_owned()).unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}
