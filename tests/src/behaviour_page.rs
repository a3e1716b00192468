//! The page docs/behaviour.md names the tests of each behaviour.

use std::{fs, path::Path};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// All Rust code below a folder.
fn code(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all += &code(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all += &fs::read_to_string(path).unwrap();
        }
    }
    all
}

/// The parts of a text between pairs of `quote`.
fn quoted(text: &str, quote: char) -> impl Iterator<Item = &str> {
    text.split(quote).skip(1).step_by(2)
}

#[test]
fn each_test_on_the_page_of_behaviour_exists() {
    let code: String =
        ["crates", "tests", "benches"].map(|folder| code(&Path::new(ROOT).join(folder))).concat();
    // A long text is continued on the next line.
    let code: String = code.split("\\\n").map(str::trim_start).collect();
    let page = fs::read_to_string(Path::new(ROOT).join("docs/behaviour.md")).unwrap();
    let mut named = 0;
    let mut missing = Vec::new();
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let scenarios =
            quoted(tests, '"').map(|name| (name, code.contains(&format!("\"{name}\""))));
        let others = quoted(tests, '`').map(|name| {
            let is_file = name.contains('/') && Path::new(ROOT).join(name).exists();
            (name, is_file || code.contains(&format!("fn {name}(")))
        });
        for (name, exists) in scenarios.chain(others) {
            named += 1;
            if !exists {
                missing.push(name.to_owned());
            }
        }
    }
    assert!(named > 150, "only {named} tests are named");
    assert!(missing.is_empty(), "there are no such tests: {missing:#?}");
}
