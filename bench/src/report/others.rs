//! What compares no single pushes, as text.

use std::fmt::Write as _;

use crate::growth::{By, Growth, Point};
use crate::login::{Door, Login};
use crate::many::Many;
use crate::report::text::{cell, number, reached, way};
use crate::sample::{Sample, Spread};
use crate::startup::Startup;

const MIB: f64 = 1_048_576.0;

/// Many images in one run.
pub(crate) fn many(text: &mut String, many: &Many) {
    let (name, images) = (&many.peer_name, many.peer_images);
    let peer = if many.peer.is_empty() {
        String::new()
    } else {
        format!("; {name} pushed {images} of the images, one process each")
    };
    let _ = writeln!(
        text,
        "\n### {} images that share 8 of 10 layers, each to a repository of its own\n\n\
         {}, {}, {} rounds. {:.2} MB in all blobs, each counted once{peer}.\n",
        many.images,
        many.registry_name,
        way(many.way),
        many.windlass.len(),
        many.distinct as f64 / 1e6,
    );
    text.push_str("| an image | time, ms | CPU, ms | requests | writes | sent, kB | peak, MiB |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    let mut row = |name: &str, samples: &[Sample], images: usize| {
        let each = |what: &dyn Fn(&Sample) -> f64| {
            Spread::of(samples.iter().map(|sample| what(sample) / images as f64))
        };
        let count = |what: &dyn Fn(&Sample) -> Option<u64>| {
            each(&|sample| what(sample).unwrap_or_default() as f64)
                .map(|spread| number(spread.median))
                .unwrap_or_default()
        };
        let peak = Spread::of(samples.iter().map(|sample| sample.time.peak as f64 / MIB));
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} |",
            cell(each(&|sample| sample.time.wall * 1e3)),
            cell(each(&|sample| sample.time.cpu * 1e3)),
            count(&|sample| sample.counts.requests),
            count(&|sample| sample.counts.writes),
            count(&|sample| sample.counts.bytes_up.map(|bytes| bytes / 1000)),
            peak.map(|peak| number(peak.median)).unwrap_or_default(),
        );
    };
    row("windlass", &many.windlass, many.images);
    if !many.peer.is_empty() {
        row(name, &many.peer, images);
        let ratio = many.against_peer();
        let verdict = reached(ratio.map(|ratio| ratio.median <= 0.15));
        let ratio = cell(ratio);
        let _ = writeln!(text, "\nwindlass / {name}, an image: {ratio}, wanted ≤ 0.15: {verdict}.");
    }
    if let Some(bytes) = many.bytes() {
        let _ = writeln!(text, "\nBytes sent / distinct bytes: {}.", cell(Some(bytes)));
    }
}

impl Many {
    /// The time of an image as a part of what it takes the peer, round by round.
    pub(crate) fn against_peer(&self) -> Option<Spread> {
        let each = |samples: &[Sample], images: usize| -> Vec<_> {
            samples.iter().map(|sample| Some(sample.time.wall / images as f64)).collect()
        };
        let (ours, theirs) =
            (each(&self.windlass, self.images), each(&self.peer, self.peer_images));
        Spread::of_ratios(&ours, &theirs)
    }

    /// What was sent as a multiple of what there is.
    pub(crate) fn bytes(&self) -> Option<Spread> {
        let sent = self.windlass.iter().filter_map(|sample| sample.counts.bytes_up);
        Spread::of_enough(sent.map(|bytes| bytes as f64 / self.distinct as f64))
    }
}

/// What it takes to start.
pub(crate) fn startup(text: &mut String, startup: &Startup) {
    let _ = writeln!(
        text,
        "\n### To start\n\n{} rounds; the program has {} MB.\n\n| | time, ms | / `true` |\n|---|---|---|",
        startup.nothing.len(),
        number(startup.program_size as f64 / 1e6),
    );
    let nothing: Vec<_> = startup.nothing.iter().copied().map(Some).collect();
    let rows = [
        ("`true`", &startup.nothing),
        ("`windlass --version`", &startup.version),
        ("a push of no image", &startup.failing_push),
    ];
    for (name, times) in rows {
        let ratios: Vec<_> = times.iter().copied().map(Some).collect();
        let _ = writeln!(
            text,
            "| {name} | {} | {} |",
            cell(Spread::of(times.iter().map(|time| time * 1e3))),
            cell(Spread::of_ratios(&ratios, &nothing)),
        );
    }
}

/// What grows with what.
pub(crate) fn growth(text: &mut String, growth: &Growth) {
    let rounds = growth.points.first().map_or(0, |point| point.samples.len());
    let way = if growth.by == By::Mebibytes { "no delay" } else { "5 ms of round-trip time" };
    let _ = writeln!(
        text,
        "\n### By {}\n\nwindlass serve, {way}, {rounds} rounds.\n\n\
         | {} | requests | time, s | CPU, s | peak, MiB | connections |\n|---|---|---|---|---|---|",
        growth.by.name(),
        growth.by.name(),
    );
    for point in &growth.points {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            point.number,
            point.median(|sample| sample.counts.requests.map(|count| count as f64)),
            cell(Spread::of(point.samples.iter().map(|sample| sample.time.wall))),
            point.median(|sample| Some(sample.time.cpu)),
            point.median(|sample| Some(sample.time.peak as f64 / MIB)),
            point.median(|sample| sample.counts.connections.map(|count| count as f64)),
        );
    }
}

impl Point {
    fn median(&self, what: impl Fn(&Sample) -> Option<f64>) -> String {
        let spread = Spread::of(self.samples.iter().filter_map(what));
        spread.map(|spread| number(spread.median)).unwrap_or_default()
    }
}

/// What a login costs.
pub(crate) fn login(text: &mut String, login: &Login) {
    let rounds = login.ways.first().map_or(0, |way| way.round_trips.len());
    let _ = writeln!(
        text,
        "\n### TLS 1.3 and a login\n\nThe testkit's registry, 5 layers of 200 kB, 3 tags, first push; round \
         trips by the slope of the time between 20 and 120 ms of round-trip time, {rounds} rounds.\n\n\
         | | round trips | more than without | wanted | |\n|---|---|---|---|---|",
    );
    for way in &login.ways {
        let more = login.more(way.door);
        // The slope is told to a tenth; half a round trip is none.
        let verdict = way
            .door
            .at_most()
            .map(|at_most| reached(more.map(|more| more.median.round() <= at_most)));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            way.door.name(),
            cell(Spread::of(way.round_trips.iter().copied())),
            if way.door == Door::Open { String::new() } else { cell(more) },
            way.door.at_most().map(|at_most| format!("≤ {}", number(at_most))).unwrap_or_default(),
            verdict.unwrap_or_default(),
        );
    }
}
