//! As text that reads well on a terminal and is Markdown too.

use std::fmt::Write as _;

use crate::case::{Breaks, Way};
use crate::client::Client;
use crate::compare::{Comparison, Contestant};
use crate::report::verdict::Verdict;
use crate::report::{Report, others};
use crate::sample::{Counts, Sample, Spread};

/// All of a report.
pub(crate) fn of(report: &Report) -> String {
    let mut text = String::new();
    let machine = &report.machine;
    let _ = writeln!(
        text,
        "Measured on {} cores of {}, Linux {}, with windlass {}; seed {}.",
        machine.cores, machine.processor, machine.kernel, report.windlass, report.seed
    );
    for missing in &report.missing {
        let _ = writeln!(text, "\nNot measured: {missing}.");
    }
    for comparison in &report.comparisons {
        tell(&mut text, comparison);
    }
    if let Some(many) = &report.many {
        others::many(&mut text, many);
    }
    if let Some(startup) = &report.startup {
        others::startup(&mut text, startup);
    }
    for growth in &report.growth {
        others::growth(&mut text, growth);
    }
    if let Some(login) = &report.login {
        others::login(&mut text, login);
    }
    summary(&mut text, report);
    text
}

fn tell(text: &mut String, comparison: &Comparison) {
    let rounds = comparison.windlass().map_or(0, |windlass| windlass.rounds.len());
    let _ = writeln!(text, "\n### {}\n", comparison.title);
    let scheme = if comparison.is_tls { ", TLS" } else { "" };
    let way = way(comparison.way);
    let _ = writeln!(text, "{}{scheme}, {way}, {rounds} rounds.\n", comparison.registry_name);
    text.push_str(
        "| | time, s | windlass / it | CPU, s | peak, MiB | requests | writes | connections | round trips | sent, MB |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for contestant in &comparison.clients {
        row(text, comparison, contestant);
    }
    if let Some(floor) = Spread::of(comparison.floor.iter().copied()) {
        let ratio = cell(comparison.against_floor());
        let _ = writeln!(text, "| the floor | {} | {ratio} | | | | | | | |", spread(floor));
    }
    for contestant in &comparison.clients {
        if let Some(words) = contestant.failures.first() {
            let (failed, of) = (contestant.failures.len(), contestant.rounds.len());
            let sent = Spread::of(contestant.bytes_when_failed.iter().map(|bytes| *bytes as f64));
            let sent = sent.map(|sent| format!(", with {} MB sent", number(sent.median / 1e6)));
            let name = contestant.name();
            let sent = sent.unwrap_or_default();
            let _ = writeln!(text, "\n{name} failed in {failed} of {of} rounds{sent}: `{words}`");
        }
    }
}

fn row(text: &mut String, comparison: &Comparison, contestant: &Contestant) {
    let ratio = match comparison.windlass() {
        Some(windlass) if contestant.client != Client::Windlass => {
            let wall = |sample: &Sample| sample.time.wall;
            cell(Spread::of_ratios(&windlass.numbers(wall), &contestant.numbers(wall)))
        }
        _ => String::new(),
    };
    let median = |what: &dyn Fn(&Sample) -> Option<f64>| {
        let samples = contestant.rounds.iter().flatten();
        let spread = Spread::of(samples.filter_map(what));
        spread.map(|spread| number(spread.median)).unwrap_or_default()
    };
    let count = |what: fn(&Counts) -> Option<u64>| {
        median(&|sample| what(&sample.counts).map(|count| count as f64))
    };
    let _ = writeln!(
        text,
        "| {} | {} | {ratio} | {} | {} | {} | {} | {} | {} | {} |",
        contestant.name(),
        cell(contestant.wall()),
        median(&|sample| Some(sample.time.cpu)),
        median(&|sample| Some(sample.time.peak as f64 / f64::from(1 << 20))),
        count(|counts| counts.requests),
        count(|counts| counts.writes),
        count(|counts| counts.connections),
        count(|counts| counts.round_trips),
        median(&|sample| sample.counts.bytes_up.map(|bytes| bytes as f64 / 1e6)),
    );
}

/// A line for each thing that was to be reached.
fn summary(text: &mut String, report: &Report) {
    if report.comparisons.is_empty() {
        return;
    }
    text.push_str("\n### What was to be reached\n\n");
    text.push_str(
        "| case | registry | against | wanted | measured | |\n|---|---|---|---|---|---|\n",
    );
    for comparison in &report.comparisons {
        for reach in &comparison.reach {
            let verdict = Verdict::of(comparison, *reach);
            let reached = reached(verdict.is_reached());
            let _ = writeln!(
                text,
                "| {} | {} | {} | ≤ {} | {} | {reached} |",
                comparison.case,
                comparison.registry_name,
                verdict.against,
                number(verdict.at_most),
                cell(verdict.ratio),
            );
        }
    }
}

/// What lies between a client and the registry, in words.
pub(crate) fn way(way: Way) -> String {
    let mut words = match way.round_trip_ms {
        0 => "no delay".to_owned(),
        millis => format!("{millis} ms of round-trip time"),
    };
    if let Some(mbit) = way.rate_mbit {
        let _ = write!(words, ", {mbit} Mbit/s");
    }
    match way.breaks {
        Breaks::Never => {}
        Breaks::Cut { every_mib, times: None } => {
            let _ = write!(words, ", cut every {every_mib} MiB");
        }
        Breaks::Cut { every_mib, times: Some(times) } => {
            let _ = write!(words, ", cut every {every_mib} MiB, {times} times");
        }
        Breaks::Stall { after_mib } => {
            let _ = write!(words, ", standing still after {after_mib} MiB");
        }
    }
    words
}

/// In a word.
pub(crate) fn reached(is_reached: Option<bool>) -> &'static str {
    match is_reached {
        Some(true) => "reached",
        Some(false) => "**not reached**",
        None => "not measured",
    }
}

/// `0.24 (0.23–0.26)`, and nothing where nothing was measured.
pub(crate) fn cell(measured: Option<Spread>) -> String {
    measured.map(spread).unwrap_or_default()
}

/// `0.24 (0.23–0.26)`
fn spread(spread: Spread) -> String {
    format!("{} ({}–{})", number(spread.median), number(spread.low), number(spread.high))
}

/// Three digits that count, or all before the point.
pub(crate) fn number(number: f64) -> String {
    let digits = match number.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{number:.digits$}");
    match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        let texts = [0.0, 0.0312, 0.2345, 0.7, 2.0, 1.234, 26.0, 43.27, 1234.5].map(number);
        assert_eq!(texts, ["0", "0.031", "0.234", "0.7", "2", "1.23", "26", "43.3", "1234"]);
    }
}
