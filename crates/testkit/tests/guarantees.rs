//! Holds `docs/guarantees.md` to what it says of itself: each sentence names a test, and each test
//! that is named is there, and runs.
#![expect(clippy::unwrap_used, reason = "a test's helpers may stop at the first surprise too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/guarantees.md";
/// Sections that promise nothing. What comes before the first section says how to read the page.
const PROMISES_NOTHING: &[&str] = &["What is not promised", "Beside other tools"];
/// What follows it, up to the end of its paragraph, is a limit.
const LIMIT: &str = "*It cannot*";
/// What a row of a table says where there is nothing to name.
const NO_TEST: &str = "no test";

#[test]
fn every_test_that_the_page_names_is_there_and_runs() {
    let notes = notes(&page());
    assert!(notes.len() > 50, "only {} are named", notes.len());
    let mut problems = Vec::new();
    for (label, tests) in &notes {
        if tests.is_empty() {
            problems.push(format!("[^{label}] names no test"));
        }
        for (name, file) in tests {
            if let Err(problem) = find(name, file) {
                problems.push(format!("[^{label}]: {} {problem} `{name}`", file.display()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_sentence_of_the_page_names_its_test() {
    let page = page();
    let silent: Vec<String> = promises(&page).into_iter().filter(|it| is_silent(it)).collect();
    assert!(silent.is_empty(), "no test is named by:\n{}", silent.join("\n"));
    let used: BTreeSet<String> = page.lines().flat_map(used_notes).collect();
    let made: BTreeSet<String> = notes(&page).into_keys().collect();
    assert_eq!(used, made, "what is used is explained below, and nothing else");
}

#[test]
fn a_sentence_without_a_test_is_seen() {
    #[track_caller]
    fn check(paragraph: &str, expected: bool) {
        assert_eq!(is_silent(paragraph), expected, "{paragraph}");
    }
    check("One.[^a] Two, by 2.8.[^b][^c]", false);
    check("One. Two.[^a]", true);
    check("One.[^a] Two.", true);
    check("One.[^a] *It cannot* be two. Nor three.", false);
    check("One. *It cannot* be two.", true);
    check("*It cannot* be one.", false);
    check("2. **One is one.**[^a] Two.[^b]", false);
    check("2. **One is one.**[^a] Two.", true);
    check("- **Of one.** Two.[^b]", false);
    check("- **Of one.** Two.", true);
    check("Nothing yet", false);
    check("| a | b[^a] |", false);
    check("| a. B | tried by hand, no test |", false);
    check("| a | b |", true);
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page() -> String {
    fs::read_to_string(workspace().join(PAGE)).unwrap()
}

/// The paragraphs, items and rows that promise something, each in one line.
fn promises(page: &str) -> Vec<String> {
    let sections = page.split("\n## ").skip(1);
    let sections = sections.filter(|section| {
        PROMISES_NOTHING.iter().all(|exempt| section.lines().next() != Some(exempt))
    });
    let mut paragraphs = Vec::new();
    for line in sections.flat_map(|section| section.lines().skip(1)) {
        let is_new = line.is_empty()
            || line.starts_with(['-', '|', '#', '<'])
            || line.starts_with(|first: char| first.is_ascii_digit());
        match paragraphs.last_mut() {
            Some(paragraph) if !is_new => *paragraph = format!("{paragraph} {}", line.trim()),
            _ => paragraphs.push(line.to_owned()),
        }
    }
    let is_text = |paragraph: &String| {
        let nothing = ["#", "[^", "<!--", "|---"];
        !paragraph.is_empty() && nothing.iter().all(|start| !paragraph.starts_with(start))
    };
    // The head of a table is the row before the line below it.
    let below = |place: usize| paragraphs.get(place + 1).map_or("", String::as_str);
    let heads: BTreeSet<usize> =
        (0..paragraphs.len()).filter(|place| below(*place).starts_with("|---")).collect();
    let indexed = paragraphs.into_iter().enumerate();
    let promising = indexed.filter(|(place, it)| is_text(it) && !heads.contains(place));
    promising.map(|(_, paragraph)| paragraph).collect()
}

/// Whether a sentence ends here without a note behind its full stop.
fn is_silent(paragraph: &str) -> bool {
    let promise = paragraph.split(LIMIT).next().unwrap_or_default().trim();
    // The number of an item is no sentence, nor is what only leads to the words behind it, in bold.
    let promise = promise.trim_start_matches(|first: char| first.is_ascii_digit());
    let promise = promise.trim_start_matches(". ").replace(".**", "");
    if promise.starts_with('|') {
        return !promise.contains("[^") && !promise.contains(NO_TEST);
    }
    promise.contains(". ") || promise.ends_with('.')
}

fn used_notes(line: &str) -> Vec<String> {
    let labels = line.split("[^").skip(1).filter_map(|rest| rest.split_once(']'));
    labels.filter(|(_, rest)| !rest.starts_with(": ")).map(|(label, _)| label.to_owned()).collect()
}

/// The tests behind each note: names and files.
fn notes(page: &str) -> BTreeMap<String, Vec<(String, PathBuf)>> {
    let lines = page.lines().filter_map(|line| line.strip_prefix("[^")?.split_once("]: "));
    let folder = workspace().join(PAGE).parent().unwrap().to_owned();
    lines
        .map(|(label, links)| {
            let links = links.split("[`").skip(1).filter_map(|link| {
                let (name, rest) = link.split_once("`](")?;
                Some((name.to_owned(), folder.join(rest.split_once(')')?.0)))
            });
            (label.to_owned(), links.collect())
        })
        .collect()
}

/// Looks for a test in a file; what is wrong comes back in words.
fn find(name: &str, file: &Path) -> Result<(), &'static str> {
    let text = fs::read_to_string(file).map_err(|_| "cannot be read, and should have")?;
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_it = |line: &&str| line.contains(&format!("fn {name}("));
    let place = lines.iter().position(is_it).ok_or("has no function")?;
    let above = || lines[..place].iter().rev().take_while(|line| !line.is_empty());
    if !above().any(|line| *line == "#[test]" || line.starts_with("#[tokio::test")) {
        return Err("has this, but it is no test:");
    }
    if above().any(|line| line.starts_with("#[ignore")) {
        return Err("does not run");
    }
    Ok(())
}
