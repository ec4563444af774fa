//! The times of each client, a panel for each case.

use svg::Document;
use svg::node::element::Rectangle;

use super::scale::ticks;
use super::{MARGIN, line, sheet, words};
use crate::client::Client;
use crate::compare::Comparison;
use crate::report::Report;
use crate::report::text::{number, way};
use crate::sample::Spread;
use crate::server::Kind;

const WIDTH: f64 = 960.0;
const COLUMNS: usize = 2;
const TOP: f64 = 48.0;
const HEAD: f64 = 26.0;
const ROW: f64 = 20.0;
const BAR: f64 = 13.0;
const AXIS: f64 = 40.0;
const NAMES: f64 = 104.0;
/// Room for the number behind the longest bar.
const NUMBER: f64 = 48.0;

struct Bar {
    name: String,
    class: &'static str,
    time: Spread,
}

/// The chart of all cases at one registry over the same link; `None` where there are none.
pub(super) fn chart(report: &Report, registry: Kind) -> Option<Document> {
    let at_registry = report.comparisons.iter().filter(|comparison| {
        comparison.registry == registry && comparison.way.round_trip_ms > 0 && !comparison.is_tls
    });
    // Those of one link, which the title names; the first case's.
    let at_registry: Vec<&Comparison> = at_registry.collect();
    let first = at_registry.first()?;
    let shown: Vec<_> =
        at_registry.iter().filter(|comparison| comparison.way == first.way).copied().collect();

    let panels: Vec<Vec<Bar>> = shown.iter().map(|comparison| bars(comparison)).collect();
    let rows: Vec<f64> = panels
        .chunks(COLUMNS)
        .map(|row| row.iter().map(Vec::len).max().unwrap_or_default() as f64)
        .map(|most| HEAD + most * ROW + AXIS)
        .collect();
    let foot = foot(report, first);
    let height = TOP + rows.iter().sum::<f64>() + 15.0 * foot.len() as f64 + MARGIN;
    let title = format!("Time of a push to {}, {}", first.registry_name, way(first.way));
    let mut sheet = sheet(WIDTH, height, &title, &foot);
    let panel_width = (WIDTH - MARGIN) / COLUMNS as f64;
    for (place, (comparison, bars)) in shown.iter().zip(&panels).enumerate() {
        let x = MARGIN + (place % COLUMNS) as f64 * panel_width;
        let y = TOP + rows[..place / COLUMNS].iter().sum::<f64>();
        sheet = panel(sheet, &comparison.title, bars, (x, y), panel_width - MARGIN);
    }
    Some(sheet)
}

fn foot(report: &Report, comparison: &Comparison) -> Vec<String> {
    let rounds = comparison.windlass().map_or(0, |windlass| windlass.rounds.len());
    let names = report
        .comparisons
        .iter()
        .flat_map(|comparison| &comparison.clients)
        .map(crate::compare::Contestant::name);
    let mut known: Vec<String> = Vec::new();
    names.for_each(|name| {
        if !known.contains(&name) {
            known.push(name);
        }
    });
    vec![
        format!(
            "Median of {rounds} rounds, thin lines from quartile to quartile, seconds. crane as rules_oci drives it: push by digest, then a process a tag."
        ),
        format!("{}. Floor: the fewest requests, replayed over raw sockets.", known.join(", ")),
        "The link has a delay and loses nothing; congestion windows, which a real path opens slowly, are not in it."
            .to_owned(),
    ]
}

fn bars(comparison: &Comparison) -> Vec<Bar> {
    let mut bars: Vec<Bar> = comparison
        .clients
        .iter()
        .filter_map(|contestant| {
            let is_ours = contestant.client == Client::Windlass;
            let class = if is_ours { "ours" } else { "peer" };
            Some(Bar { name: contestant.client.to_string(), class, time: contestant.wall()? })
        })
        .collect();
    bars.sort_by(|one, other| one.time.median.total_cmp(&other.time.median));
    if let Some(time) = Spread::of(comparison.floor.iter().copied()) {
        bars.insert(0, Bar { name: "floor".to_owned(), class: "floor", time });
    }
    bars
}

fn panel(
    mut sheet: Document,
    title: &str,
    bars: &[Bar],
    (x, y): (f64, f64),
    width: f64,
) -> Document {
    let most = bars.iter().map(|bar| bar.time.high).fold(0.0, f64::max);
    let ticks = ticks(most);
    let last = ticks.last().copied().filter(|last| *last > 0.0).unwrap_or(1.0);
    let (left, right) = (x + NAMES, x + width - NUMBER);
    let place = |seconds: f64| left + (right - left) * seconds / last;
    let (top, bottom) = (y + HEAD, y + HEAD + bars.len() as f64 * ROW);
    sheet = sheet.add(words(title, "word", x, y + 12.0, "start").set("font-weight", 600));
    for tick in &ticks {
        let x = place(*tick);
        let unit = if *tick == last { " s" } else { "" };
        let text = words(&format!("{}{unit}", number(*tick)), "small", x, bottom + 13.0, "middle");
        sheet = sheet.add(line("grid", (x, top), (x, bottom))).add(text);
    }
    for (row, bar) in bars.iter().enumerate() {
        let middle = top + (row as f64 + 0.5) * ROW;
        let end = place(bar.time.median);
        sheet = sheet
            .add(words(&bar.name, "word", left - 6.0, middle + 4.0, "end"))
            .add(
                Rectangle::new()
                    .set("class", bar.class)
                    .set("x", left)
                    .set("y", middle - BAR / 2.0)
                    .set("width", end - left)
                    .set("height", BAR),
            )
            .add(line("whisker", (place(bar.time.low), middle), (place(bar.time.high), middle)))
            .add(words(
                &number(bar.time.median),
                "word",
                place(bar.time.high.max(bar.time.median)) + 5.0,
                middle + 4.0,
                "start",
            ));
    }
    sheet
}
