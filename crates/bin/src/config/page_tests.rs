//! The examples of `docs/registries.md` are valid.

use std::{fs, path::Path};

use ecr_refresher_core::Reason;
use serde_json::Value;
use strum::VariantArray;

use super::{Environment, parse, schema_tests::assert_valid};

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/registries.md");
    fs::read_to_string(path).unwrap()
}

/// The blocks of code in a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    let after_start = page.split(&start).skip(1);
    after_start.map(|rest| rest.split_once("\n```").expect("a block without an end").0).collect()
}

fn assert_good(text: &str, block: &str) {
    let config = parse(Path::new("config.yaml"), text, Environment::empty(), "ours");
    if let Err(error) = config {
        panic!("{error}\n{block}");
    }
    assert_valid(text);
}

#[test]
fn every_config_on_the_page_of_registries_is_good() {
    let page = page();
    let (mut files, mut values) = (0, 0);
    for block in blocks(&page, "yaml") {
        match block.lines().next() {
            Some("# config.yaml") => {
                files += 1;
                assert_good(block, block);
            }
            Some("# values.yaml") => {
                values += 1;
                let chart: Value = serde_saphyr::from_str(block).unwrap();
                // JSON is YAML too.
                assert_good(&chart["config"].to_string(), block);
            }
            other => panic!("a block of YAML begins with {other:?}, so its kind is unknown"),
        }
    }
    assert!(files > 2 && values > 4, "{files} files, {values} values");
}

#[test]
fn every_policy_on_the_page_of_registries_is_json_of_a_policy() {
    let page = page();
    let policies = blocks(&page, "json");
    assert!(policies.len() > 5);
    for block in policies {
        let policy: Value =
            serde_json::from_str(block).unwrap_or_else(|error| panic!("{error}\n{block}"));
        assert_eq!(policy["Version"], "2012-10-17", "{block}");
        for statement in policy["Statement"].as_array().unwrap() {
            assert_eq!(statement["Effect"], "Allow", "{block}");
            assert!(!statement["Action"].is_null(), "{block}");
        }
    }
}

#[test]
fn the_page_of_registries_has_a_remedy_for_each_reason() {
    let page = page();
    for &reason in Reason::VARIANTS {
        assert!(page.contains(&format!("\n| `{reason}` | ")), "{reason}");
    }
}
