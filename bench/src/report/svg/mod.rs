//! As charts, which follow the reader's choice of dark or light.

mod bars;
mod lines;
mod scale;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use svg::Document;
use svg::node::element::{Line, Rectangle, Style, Text};

use crate::report::Report;
use crate::server::Kind;

/// Draws the charts into `folder`: the times of each client at each registry, and how pushes grow.
pub(crate) fn write(report: &Report, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for kind in [Kind::DockerRegistry, Kind::Serve, Kind::Distribution3, Kind::Zot] {
        if let Some(chart) = bars::chart(report, kind) {
            save(&folder.join(format!("times-{kind}.svg")), &chart)?;
        }
    }
    if let Some(chart) = lines::chart(report) {
        save(&folder.join("growth.svg"), &chart)?;
    }
    Ok(())
}

fn save(file: &Path, chart: &Document) -> Result<()> {
    svg::save(file, chart).with_context(|| format!("writing {}", file.display()))
}

/// Colours by what they mean; text and lines that are read well on either ground.
const STYLE: &str = "
svg { font-family: system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; }
.ground { fill: #ffffff; }
.title { fill: #1f2328; font-size: 15px; font-weight: 600; }
.word { fill: #1f2328; font-size: 12px; }
.small { fill: #59636e; font-size: 11px; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
.ours { fill: #0969da; stroke: #0969da; }
.peer { fill: #9aa4af; stroke: #9aa4af; }
.floor { fill: none; stroke: #59636e; stroke-dasharray: 3 2; }
.whisker { stroke: #1f2328; stroke-width: 1; }
.path { fill: none; stroke: #0969da; stroke-width: 2; }
.bound { fill: none; stroke: #59636e; stroke-width: 1; stroke-dasharray: 3 2; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #0d1117; }
  .title, .word { fill: #f0f6fc; }
  .small { fill: #9198a1; }
  .grid { stroke: #3d444d; }
  .ours { fill: #4493f8; stroke: #4493f8; }
  .peer { fill: #656c76; stroke: #656c76; }
  .floor { stroke: #9198a1; }
  .whisker { stroke: #f0f6fc; }
  .path { stroke: #4493f8; }
  .bound { stroke: #9198a1; }
}
";

/// An empty sheet with a title and a line of small words at its foot.
fn sheet(width: f64, height: f64, title: &str, foot: &[String]) -> Document {
    let lines = foot.len() as f64;
    let mut sheet = Document::new()
        .set("viewBox", (0, 0, width, height))
        .set("width", width)
        .set("height", height)
        .set("role", "img")
        .set("aria-label", title)
        .add(Style::new(STYLE))
        .add(Rectangle::new().set("class", "ground").set("width", width).set("height", height))
        .add(words(title, "title", MARGIN, MARGIN + 10.0, "start"));
    for (place, line) in foot.iter().enumerate() {
        let y = height - MARGIN - (lines - 1.0 - place as f64) * 15.0;
        sheet = sheet.add(words(line, "small", MARGIN, y, "start"));
    }
    sheet
}

const MARGIN: f64 = 16.0;

fn words(text: &str, class: &str, x: f64, y: f64, anchor: &str) -> Text {
    Text::new(text).set("class", class).set("x", x).set("y", y).set("text-anchor", anchor)
}

fn line(class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> Line {
    Line::new().set("class", class).set("x1", x1).set("y1", y1).set("x2", x2).set("y2", y2)
}
