//! The style's police: what `docs/` and the module headers promise about shape, held by a test.

use std::fs;
use std::path::{Path, PathBuf};

/// A Rust file longer than this must be split.
const RUST_LINES_MAX: usize = 500;
/// Words that say somebody meant to come back.
const LEFT_OVER: [&str; 3] = ["TODO", "FIXME", "XXX:"];

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn no_rust_file_grows_past_its_limit() {
    let too_long: Vec<String> = files("src", "rs")
        .into_iter()
        .chain(files("tests", "rs"))
        .filter_map(|path| {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            (lines > RUST_LINES_MAX).then(|| format!("{} has {lines} lines", path.display()))
        })
        .collect();
    assert!(too_long.is_empty(), "split these: {too_long:#?}");
}

#[test]
fn every_module_says_what_it_owns() {
    for path in files("src", "rs") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} has no module header", path.display());
    }
}

#[test]
fn nothing_is_left_for_later_in_the_code() {
    let own = Path::new(file!()).file_name().unwrap();
    for folder in ["src", "tests", "queries", "extractors"] {
        for ending in ["rs", "sql", "toml"] {
            for path in files(folder, ending).into_iter().filter(|path| path.file_name() != Some(own)) {
                let text = fs::read_to_string(&path).unwrap();
                let found = LEFT_OVER.iter().find(|word| text.contains(**word));
                assert!(found.is_none(), "{} has a leftover {found:?}", path.display());
            }
        }
    }
}

#[test]
fn what_takes_minutes_is_run_by_name() {
    let script = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/long")).unwrap();
    let mut count = 0;
    let own = Path::new(file!()).file_name().unwrap();
    for path in files("tests", "rs").into_iter().filter(|path| path.file_name() != Some(own)) {
        let text = fs::read_to_string(&path).unwrap();
        for (_, test) in text.match_indices("minutes: .ci/long").map(|(place, _)| text.split_at(place)) {
            let name = test.split_once("fn ").and_then(|(_, rest)| rest.split_once('(')).unwrap().0;
            assert!(script.contains(&format!("::{name}\n")), "{name} is not in .ci/long");
            count += 1;
        }
    }
    assert_eq!(script.lines().filter(|line| line.contains("::")).count(), count, "names of no test in .ci/long");
}

#[test]
fn every_check_and_every_schedule_has_its_own_cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for schema in ["recon", "audit"] {
        for path in files(&format!("queries/{schema}"), "sql") {
            let text = fs::read_to_string(&path).unwrap();
            if schema == "audit" || text.contains("-- check:") {
                let name = format!("{schema}/{}.slt", path.file_stem().unwrap().to_string_lossy());
                assert!(root.join("tests/sql").join(&name).exists(), "{} has no tests/sql/{name}", path.display());
            }
            if let Some(check) = text.lines().find_map(|line| line.strip_prefix("-- check:")) {
                let page = format!("docs/checks/{}.md", check.trim());
                assert!(root.join(&page).exists(), "{} has no {page}", path.display());
            }
        }
    }
}

#[test]
fn every_shipped_manifest_parses() {
    let manifests: Vec<PathBuf> =
        files("extractors", "toml").into_iter().filter(|path| path.ends_with("manifest.toml")).collect();
    for path in manifests {
        let text = fs::read_to_string(&path).unwrap();
        toml::from_str::<toml::Table>(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// What comes after `distinct from` and is neither closed nor parted from it: the operand, for the parser.
fn swallowed(text: &str) -> Option<String> {
    let mut depth = 0_usize;
    for word in text.replace('(', " ( ").replace(')', " ) ").replace([',', ';'], " , ").split_whitespace() {
        match (word.to_lowercase().as_str(), depth) {
            ("(", _) => depth += 1,
            (")", depth_now) => depth = depth_now.checked_sub(1)?,
            ("and" | "or", 0) => return Some(text.split_whitespace().take(8).collect::<Vec<_>>().join(" ")),
            ("," | "as" | "then" | "else" | "end" | "from" | "where" | "group" | "order" | "union" | "select", 0) => {
                return None;
            }
            _ => {}
        }
    }
    None
}

/// Our own parser is told better (`engine::precedence`), but an auditor may run a file elsewhere.
#[test]
fn distinct_from_stands_in_parentheses_before_and_and_or() {
    const OPERATOR: &str = "distinct from";
    assert!(swallowed(" 'x' and b").is_some() && swallowed(" f(a, b and c)\n or d").is_some());
    assert!(swallowed(" 'x') and b").is_none() && swallowed(" (b and c), d and e").is_none());
    for folder in ["queries", "extractors", "src", "tests", "benches"] {
        for ending in ["sql", "slt", "rs"] {
            for path in files(folder, ending) {
                // These two quote what they warn of.
                if path.ends_with("src/engine/precedence.rs") || path.ends_with(file!()) {
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                let is_comment = |line: &&str| ["--", "//", "#"].iter().any(|mark| line.trim_start().starts_with(mark));
                let text: String = text.lines().filter(|line| !is_comment(line)).fold(String::new(), |text, line| {
                    text + &line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n"
                });
                let text = text.to_lowercase();
                for (place, _) in text.match_indices(OPERATOR) {
                    let found = swallowed(&text[place + OPERATOR.len()..]);
                    assert!(found.is_none(), "{}: `{OPERATOR} {}` needs parentheses", path.display(), found.unwrap());
                }
            }
        }
    }
}
