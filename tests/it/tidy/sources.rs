//! The files: how long they are, and what none of them says.

use std::{fs, path::Path};

use super::{Finding, but_for};
use crate::harness::root;

/// Lines of a Rust file.
const LINES_MAX: usize = 400;
/// Lines of a function's `main.rs`.
const MAIN_LINES_MAX: usize = 10;
/// Folders that hold nothing of ours. So do those whose name begins with a dot, but for the checks of `.ci`.
const NOT_OURS: [&str; 2] = ["node_modules", "target"];

const LONG_FILES: [&str; 0] = [];
const UNFINISHED: [&str; 0] = [];

/// What stands for a test that is not run, or for code that is not there. Put together, so that this file has none.
const MARKS: [&str; 5] = [
    concat!("#[ign", "ore"),
    concat!("to", "do!"),
    concat!("unim", "plemented!"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
];

/// A file by its path from the root, with its text where it is Rust.
struct Source {
    path: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root(), "", &mut found);
    assert!(found.iter().any(|source| source.path == "tests/it/tidy/sources.rs"), "the walk finds this file");
    found
}

fn walk(folder: &Path, below: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{below}{name}");
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && !NOT_OURS.contains(&name.as_str()) {
                walk(&entry.path(), &format!("{path}/"), found);
            }
        } else {
            let is_rust = name.ends_with(".rs");
            let text = if is_rust { fs::read_to_string(entry.path()).unwrap() } else { String::new() };
            found.push(Source { path, text });
        }
    }
}

fn too_long(Source { path, text }: &Source) -> Option<Finding> {
    let is_main = path.starts_with("functions/") && path.ends_with("/src/main.rs");
    let max = if is_main { MAIN_LINES_MAX } else { LINES_MAX };
    let count = text.lines().count();
    (count > max).then(|| Finding::new(path, format!("has {count} lines, of at most {max}")))
}

fn unfinished(Source { path, text }: &Source) -> Option<Finding> {
    let mark = MARKS.into_iter().find(|mark| text.contains(mark))?;
    Some(Finding::new(path, format!("says {mark}")))
}

/// Clippy takes the nearest configuration whole, so a second one would lift every ban of the first.
fn second_configuration(Source { path, .. }: &Source) -> Option<Finding> {
    let is_one = path.ends_with("/clippy.toml") || path.ends_with(".clippy.toml");
    is_one.then(|| Finding::new(path, "lifts the bans of the root's clippy.toml"))
}

#[test]
fn no_file_is_too_long() {
    assert_eq!(but_for(sources().iter().filter_map(too_long), &LONG_FILES), []);
}

#[test]
fn nothing_is_unfinished_and_no_test_is_left_out() {
    assert_eq!(but_for(sources().iter().filter_map(unfinished), &UNFINISHED), []);
}

#[test]
fn there_is_one_configuration_of_clippy() {
    assert_eq!(but_for(sources().iter().filter_map(second_configuration), &[]), []);
}

#[test]
fn a_file_that_is_too_long_is_found() {
    let lines = |path: &str, count: usize| Source { path: path.to_owned(), text: "x\n".repeat(count) };
    for (path, max) in
        [("shared/mcp/src/era.rs", 400), ("functions/mcp/src/main.rs", 10), ("infra/cli/src/main.rs", 400)]
    {
        assert_eq!(too_long(&lines(path, max)), None);
        let found = too_long(&lines(path, max + 1)).unwrap();
        assert_eq!(found.why, format!("has {} lines, of at most {max}", max + 1));
    }
}

#[test]
fn what_is_unfinished_is_found() {
    let source = |text: &str| Source { path: "a.rs".to_owned(), text: text.to_owned() };
    assert_eq!(unfinished(&source("#[test]\nfn a() { done!() }")), None);
    for mark in MARKS {
        assert_eq!(unfinished(&source(&format!("fn a() {{}}\n{mark}"))).unwrap().why, format!("says {mark}"));
    }
}

#[test]
fn a_second_configuration_of_clippy_is_found() {
    let source = |path: &str| Source { path: path.to_owned(), text: String::new() };
    assert_eq!(second_configuration(&source("clippy.toml")), None);
    for path in ["tests/clippy.toml", "shared/mcp/.clippy.toml", ".clippy.toml"] {
        assert_eq!(second_configuration(&source(path)).unwrap().what, path);
    }
}
