//! Holds what was counted against what is written down.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// What was counted, by name.
pub(crate) type Counted = BTreeMap<String, u64>;

/// Fails where a number is not as expected, or was not expected at all. `told` is shown beside.
#[track_caller]
pub(crate) fn compare(counted: &Counted, expected: &[(&str, RangeInclusive<u64>)], told: &str) {
    let wrong = wrong(counted, expected);
    let lines: Vec<_> = wrong.into_iter().map(|(_, line)| line).collect();
    assert!(
        lines.is_empty(),
        "see \"When a count changes\" in CONTRIBUTING.md\n{}\n{told}",
        lines.join("\n")
    );
}

/// The names of those numbers that are wrong, each with a line that says which way it went.
pub(crate) fn wrong(
    counted: &Counted,
    expected: &[(&str, RangeInclusive<u64>)],
) -> Vec<(String, String)> {
    let listed = expected.iter().map(|(what, range)| {
        let count = counted.get(*what).copied().unwrap_or_default();
        (*what, count, range.clone())
    });
    let is_listed = |what: &str| expected.iter().any(|(name, _)| *name == what);
    let others = counted.iter().filter(|(what, _)| !is_listed(what));
    let others = others.map(|(what, count)| (what.as_str(), *count, 0..=0));
    let line = |(what, count, range): (&str, u64, RangeInclusive<u64>)| {
        let (least, most) = (range.start(), range.end());
        let line = match count {
            _ if count > *most => format!("{what}: {count} is MORE than the {most} there were"),
            _ if count < *least => {
                format!("{what}: {count} is fewer than the {least} there were: write it down")
            }
            _ => return None,
        };
        Some((what.to_owned(), line))
    };
    listed.chain(others).filter_map(line).collect()
}
