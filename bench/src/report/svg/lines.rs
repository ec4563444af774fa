//! How a push grows: a panel for each thing that grows and each thing that is measured, both axes by
//! their logarithms, where what is linear is a line at one slope.

use svg::Document;
use svg::node::element::{Circle, Polyline};

use super::scale::{decades, part};
use super::{MARGIN, line, sheet, words};
use crate::growth::{By, Growth, Point};
use crate::report::Report;
use crate::report::text::number;
use crate::sample::{Sample, Spread};

const WIDTH: f64 = 960.0;
const COLUMNS: usize = 3;
const TOP: f64 = 48.0;
const PANEL: f64 = 230.0;
const NAMES: f64 = 44.0;

/// What is measured, in which unit, and by how much it may grow for each one more.
struct Quantity {
    name: &'static str,
    of: fn(&Sample) -> Option<f64>,
    bound: Option<f64>,
}

const REQUESTS: Quantity = Quantity {
    name: "requests",
    of: |sample| sample.counts.requests.map(|count| count as f64),
    bound: None,
};
const TIME: Quantity =
    Quantity { name: "time, s", of: |sample| Some(sample.time.wall), bound: None };
const PEAK: Quantity = Quantity {
    name: "peak of memory, MiB",
    of: |sample| Some(sample.time.peak as f64 / 1_048_576.0),
    bound: None,
};

/// The chart; `None` where nothing was measured of that.
pub(super) fn chart(report: &Report) -> Option<Document> {
    let panels: Vec<(&Growth, Quantity)> = report
        .growth
        .iter()
        .flat_map(|growth| {
            let quantities = match growth.by {
                By::Blobs => vec![Quantity { bound: Some(3.0), ..REQUESTS }, TIME, PEAK],
                By::Tags => vec![REQUESTS, TIME],
                By::Jobs => vec![TIME],
                By::Mebibytes => vec![TIME, PEAK],
            };
            quantities.into_iter().map(move |quantity| (growth, quantity))
        })
        .collect();
    let rounds = report.growth.first()?.points.first()?.samples.len();
    let rows = panels.len().div_ceil(COLUMNS) as f64;
    let foot = [format!(
        "windlass {} to its own registry, 5 ms of round-trip time (none for the size of one layer); median of {rounds} rounds. Dashed: three requests a blob. Both axes are logarithmic.",
        report.windlass
    )];
    let mut sheet = sheet(WIDTH, TOP + rows * PANEL + 15.0 + MARGIN, "How a push grows", &foot);
    let width = (WIDTH - MARGIN) / COLUMNS as f64;
    for (place, (growth, quantity)) in panels.iter().enumerate() {
        let x = MARGIN + (place % COLUMNS) as f64 * width;
        let y = TOP + (place / COLUMNS) as f64 * PANEL;
        sheet = panel(sheet, growth, quantity, (x, y), width - MARGIN);
    }
    Some(sheet)
}

fn panel(
    mut sheet: Document,
    growth: &Growth,
    quantity: &Quantity,
    (x, y): (f64, f64),
    width: f64,
) -> Document {
    let points: Vec<(f64, f64)> = growth
        .points
        .iter()
        .filter_map(|point| Some((point.number as f64, median(point, quantity.of)?.max(1e-3))))
        .collect();
    let ends = |numbers: &mut dyn Iterator<Item = f64>| {
        numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), number| {
            (least.min(number), most.max(number))
        })
    };
    let (least_x, most_x) = ends(&mut points.iter().map(|point| point.0));
    let (least_y, most_y) = ends(&mut points.iter().map(|point| point.1));
    if points.is_empty() {
        return sheet;
    }
    let (across, up) = (decades(least_x, most_x), decades(least_y, most_y));
    let (left, right) = (x + NAMES, x + width - 8.0);
    let (top, bottom) = (y + 28.0, y + PANEL - 48.0);
    let edge = |decades: &[f64]| {
        (decades.first().copied().unwrap_or(1.0), decades.last().copied().unwrap_or(10.0))
    };
    let ((first_x, last_x), (first_y, last_y)) = (edge(&across), edge(&up));
    let at = |(a, b): (f64, f64)| {
        let x = left + (right - left) * part(a, first_x, last_x);
        (x, bottom - (bottom - top) * part(b, first_y, last_y))
    };
    sheet = sheet
        .add(words(quantity.name, "word", x, y + 14.0, "start").set("font-weight", 600))
        .add(words(growth.by.name(), "small", f64::midpoint(left, right), bottom + 30.0, "middle"));
    for decade in &across {
        let (x, _) = at((*decade, first_y));
        sheet = sheet.add(line("grid", (x, top), (x, bottom)));
        sheet = sheet.add(words(&number(*decade), "small", x, bottom + 14.0, "middle"));
    }
    for decade in &up {
        let (_, y) = at((first_x, *decade));
        sheet = sheet.add(line("grid", (left, y), (right, y)));
        sheet = sheet.add(words(&number(*decade), "small", left - 5.0, y + 4.0, "end"));
    }
    let drawn = |class: &str, points: &mut dyn Iterator<Item = (f64, f64)>| {
        let points = points.map(|(x, y)| format!("{x:.1},{y:.1}"));
        let points = points.collect::<Vec<_>>().join(" ");
        Polyline::new().set("class", class).set("points", points)
    };
    if let Some(bound) = quantity.bound {
        let of_bound = points.iter().map(|(number, _)| (*number, number * bound));
        sheet = sheet.add(drawn("bound", &mut of_bound.map(at)));
    }
    sheet = sheet.add(drawn("path", &mut points.iter().copied().map(at)));
    for point in points {
        let (x, y) = at(point);
        let name = format!("{} {}: {}", number(point.0), growth.by.name(), number(point.1));
        let dot = Circle::new().set("class", "ours").set("cx", x).set("cy", y).set("r", 3);
        sheet = sheet.add(dot.add(svg::node::element::Title::new(name)));
    }
    sheet
}

fn median(point: &Point, of: fn(&Sample) -> Option<f64>) -> Option<f64> {
    Spread::of(point.samples.iter().filter_map(of)).map(|spread| spread.median)
}
