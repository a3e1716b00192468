//! Configs with values of a wrong kind at any place: all are reported, in plain words.

use std::path::Path;

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{Environment, parse, schema_tests::example, yaml::Tree};

/// Words of Rust and of libraries, which no message has.
const FOREIGN: [&str; 14] = [
    "struct",
    "Raw",
    "u64",
    "i64",
    "f64",
    "string",
    "sequence",
    "unit value",
    "unknown variant",
    "visitor",
    "enum",
    "serde",
    "deserialize",
    "expected",
];

/// The paths of all nodes below a value, those that hold others too.
fn paths(value: &Value) -> Vec<Vec<String>> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    let below = |(key, value): (String, &Value)| {
        let deeper = paths(value).into_iter().map(|path| [vec![key.clone()], path].concat());
        [vec![key.clone()]].into_iter().chain(deeper).collect::<Vec<_>>()
    };
    children.into_iter().flat_map(below).collect()
}

fn put(config: &mut Value, path: &[String], value: Value) {
    *config.pointer_mut(&format!("/{}", path.join("/"))).unwrap() = value;
}

fn problems(text: &str) -> Vec<String> {
    match parse(Path::new("config.yaml"), text, Environment::empty(), "ours") {
        Ok(_) => Vec::new(),
        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
    }
}

/// A key of the config with a `/` in it would need an escape in a pointer.
fn is_simple(path: &[String]) -> bool {
    path.iter().all(|key| !key.contains(['/', '~']))
}

#[test]
fn a_value_of_a_wrong_kind_is_refused_in_plain_words_wherever_it_is() {
    let mut refused = 0;
    for path in paths(&example()).iter().filter(|path| is_simple(path)) {
        for value in [
            json!(null),
            json!(true),
            json!(7),
            json!(-1),
            json!(1.5),
            json!("some text"),
            json!([]),
            json!([1]),
            json!({}),
            json!({ "odd": 1 }),
        ] {
            let mut config = example();
            put(&mut config, path, value.clone());
            for problem in problems(&serde_json::to_string_pretty(&config).unwrap()) {
                let place = problem.starts_with("config.yaml:");
                assert!(place && !problem.contains("``"), "{path:?} {value}: {problem}");
                for word in FOREIGN {
                    assert!(!problem.contains(word), "{path:?} {value}: {problem}");
                }
                refused += 1;
            }
        }
    }
    assert!(refused > 300, "{refused}");
}

proptest! {
    #[test]
    fn no_wrong_value_hides_another(picks in vec(any::<prop::sample::Index>(), 1..5)) {
        let mut config = example();
        let all: Vec<_> = paths(&config).into_iter().filter(|path| is_simple(path)).collect();
        let mut picked: Vec<Vec<String>> = Vec::new();
        for pick in picks {
            let path = pick.get(&all);
            if !picked.iter().any(|other| other.starts_with(path) || path.starts_with(other)) {
                picked.push(path.clone());
            }
        }
        for path in &picked {
            // Neither a text, a number, a list nor a known mapping.
            put(&mut config, path, json!({ "odd": { "odder": [] } }));
        }
        let text = serde_json::to_string_pretty(&config).unwrap();
        let problems = problems(&text);
        let tree = Tree::parse(&text, &mut Vec::new()).unwrap();
        for path in &picked {
            let here = |path: &[String]| {
                let location = serde_json::to_value(tree.location(path)).unwrap();
                format!("config.yaml:{}:", location["line"])
            };
            let odd = [path.clone(), vec!["odd".to_owned()]].concat();
            let places = [here(path), here(&odd)];
            let is_found = problems.iter().any(|it| places.iter().any(|place| it.starts_with(place)));
            prop_assert!(is_found, "{path:?} of {picked:?}: {problems:#?}");
        }
    }
}
