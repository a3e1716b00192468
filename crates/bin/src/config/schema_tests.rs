//! The JSON Schema accepts all that the program accepts, and refuses wrong shapes and values.

use std::{fs, path::Path};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::{Config, ConfigError, Environment, parse, schema};

fn validator() -> Validator {
    let schema = schema();
    assert!(jsonschema::meta::is_valid(&schema));
    jsonschema::validator_for(&schema).unwrap()
}

/// Reads a config as the program does. JSON is YAML too.
fn read(config: &Value) -> Result<Config, ConfigError> {
    parse(Path::new("config.yaml"), &config.to_string(), Environment::empty(), "ours")
        .map(|(config, _)| config)
}

fn minimum() -> Value {
    json!({
        "registries": [{ "name": "main", "ecr": {} }],
        "secrets": [{ "name": "ecr-pull", "namespaces": ["team-*", "payments"] }],
    })
}

pub(super) fn example() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/config.yaml");
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Fails unless a YAML text is a config by the schema.
pub(super) fn assert_valid(text: &str) {
    let config: Value = serde_saphyr::from_str(text).unwrap();
    let errors: Vec<_> = validator()
        .iter_errors(&config)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}\n{text}", errors.join("\n"));
}

/// All keys that the schema knows, with what it says of them.
pub(super) fn keys(schema: &Value) -> Vec<(String, Value)> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let mut keys: Vec<_> =
        properties.clone().map(|(key, value)| (key.clone(), value.clone())).collect();
    let choices = schema["anyOf"].as_array().into_iter().flatten();
    for below in properties.map(|(_, value)| value).chain(choices).chain(schema.get("items")) {
        keys.extend(self::keys(below));
    }
    keys
}

#[test]
fn the_annotated_example_is_valid_and_each_key_has_a_description() {
    assert_valid(&example().to_string());
    let keys = keys(&schema());
    assert!(keys.len() > 50, "{}", keys.len());
    for (key, value) in keys {
        assert!(value["description"].is_string(), "{key}: {value}");
    }
}

#[test]
fn a_wrong_shape_is_refused() {
    let validator = validator();
    assert!(validator.is_valid(&minimum()));
    for (location, value) in [
        ("", json!({})),
        ("", json!("a text")),
        ("/refesh", json!({})),
        ("/registries", json!([])),
        ("/registries", json!({ "name": "main" })),
        ("/registries/0", json!({ "ecr": {} })),
        ("/registries/0", json!({ "name": "main" })),
        ("/registries/0", json!({ "name": "main", "ecr": null })),
        ("/registries/0/name", json!("")),
        ("/registries/0/ecrPublic", json!({})),
        ("/registries/0/file", json!({ "path": "/a.json" })),
        ("/registries/0/ecr/regoin", json!("eu-west-1")),
        ("/registries/0/ecr/accounts", json!([123_456_789_012_u64])),
        ("/registries/0/ecr/variants", json!(["dualstack"])),
        ("/registries/0/ecr/assumeRole", json!({ "externalId": "abc" })),
        ("/registries/0/ecr/assumeRole", json!([])),
        ("/registries/0/ecr/assumeRole", json!([{ "externalId": "abc" }])),
        ("/secrets", json!([])),
        ("/secrets/0", json!({ "name": "ecr-pull" })),
        ("/secrets/0", json!({ "namespaces": ["*"] })),
        ("/secrets/0/registries", json!([])),
        ("/secrets/0/namespaces", json!("*")),
        ("/secrets/0/namespaces", json!([])),
        ("/secrets/0/namespaces", json!({ "deny": ["a"] })),
        ("/secrets/0/namespaces", json!({ "allow": [] })),
        ("/secrets/0/namespaces", json!({ "allow": ["a"], "deney": ["b"] })),
        ("/secrets/0/onConflict", json!("Skip")),
        ("/secrets/0/onConflict", json!(1)),
        ("/secrets/0/labels", json!({ "tier": 1 })),
        ("/secrets/0/serviceAccounts", json!(["default", "default"])),
        ("/prune", json!({ "enabled": "yes" })),
        ("/refresh", json!([0.5, "5m"])),
        ("/metrics", json!({ "perNamespace": "none" })),
    ] {
        let config = with(&minimum(), location, value.clone());
        assert!(!validator.is_valid(&config), "{location}: {value}");
    }
}

#[test]
fn texts_and_numbers_are_refused_by_the_schema_as_by_the_program() {
    let role = |name: &str| format!("arn:aws:iam::123456789012:{name}");
    let long = |text: &str, times| text.repeat(times);
    let times = json!([
        "5m",
        "0s",
        "+5m",
        "-0s",
        "1m5s",
        "1h 30m",
        "1.5 hours",
        "90 seconds, 5ms",
        "5 µs",
        "0:05:00",
        "PT5M",
        "pt5m"
    ]);
    let no_times = json!(["", "5", "m", "soon", "never", "1d", "2 weeks", "5 m m", "1:30"]);
    for (location, good, bad) in [
        ("/registries/0/ecr/accounts/0", json!([long("0", 12)]), json!(["12", "12345678901a"])),
        ("/registries/0/ecr/region", json!(["eu-west-1"]), json!(["EU", ""])),
        (
            "/registries/0/ecr/assumeRole/roleArn",
            json!([role("role/a"), role("role/a/b:c/d"), role("role/") + &long("a", 64)]),
            json!([
                "a",
                role("user/a"),
                role("role/a/"),
                role("role/a b"),
                role("role/") + &long("a", 65)
            ]),
        ),
        (
            "/registries/0/ecr/assumeRole/externalId",
            json!(["a:/", long("a", 1224)]),
            json!(["a", "a b"]),
        ),
        (
            "/registries/0/ecr/assumeRole/sessionName",
            json!(["a@b", long("a", 64)]),
            json!(["a", "a:b", long("a", 65)]),
        ),
        (
            "/registries/0/ecr/assumeRole",
            json!([[{ "roleArn": role("role/a") }, { "roleArn": role("role/b"), "region": "us-east-1" }]]),
            json!([[], ["a"], [{ "roleArn": "a" }], [{ "roleArn": role("role/a"), "region": "EU" }]]),
        ),
        ("/registries/0/ecr/credentialsDirectory", json!(["/", "/a/b"]), json!(["a/b", ""])),
        (
            "/registries/0/ecr/endpointUrl",
            json!(["http://127.0.0.1:5000", "HTTPS://a.example/b@c"]),
            json!(["nowhere", "ftp://a.example", "https://", "https://u:p@a.example"]),
        ),
        (
            "/secrets/0/name",
            json!(["a.b-1.c", long("a", 63)]),
            json!(["A", "a_b", "a..b", "-a", long("a", 64), long("a.", 127) + "a"]),
        ),
        ("/secrets/0/serviceAccounts/0", json!(["default", "a.b"]), json!(["Default", ""])),
        ("/refresh/atFraction", json!([0.05, 0.95]), json!([0.04, 1])),
        ("/prune/after", times, no_times),
        ("/writer/concurrency", json!([1, 256]), json!([0, 257, -1, 1.5])),
        (
            "/listen",
            json!(["[::]:80", "127.0.0.1:0", "[fe80::1%3]:8080"]),
            json!(["here", ":80", "localhost:80", "0.0.0.0"]),
        ),
    ] {
        let validator = validator();
        for (values, expected) in [(good, true), (bad, false)] {
            for value in values.as_array().unwrap() {
                let config = with(&example(), location, value.clone());
                assert_eq!(validator.is_valid(&config), expected, "schema: {location}: {value}");
                assert_eq!(read(&config).is_ok(), expected, "program: {location}: {value}");
            }
        }
    }
}

#[test]
fn the_schema_accepts_all_that_the_program_accepts() {
    let validator = validator();
    let mut accepted = 0;
    for config in mutations(&example()).iter().filter(|config| read(config).is_ok()) {
        accepted += 1;
        assert!(validator.is_valid(config), "{config:#}");
    }
    assert!(accepted > 100, "{accepted}");
}

#[test]
fn a_shape_that_the_program_refuses_is_refused() {
    let validator = validator();
    let mut refused = 0;
    for config in mutations(&example()) {
        let problems = read(&config).err().map(|error| error.to_string()).unwrap_or_default();
        let shape = ["unknown key", "is missing", "invalid value", "but must be"];
        if shape.iter().any(|words| problems.contains(words)) {
            refused += 1;
            assert!(!validator.is_valid(&config), "{problems}\n{config:#}");
        }
    }
    assert!(refused > 500, "{refused}");
}

#[test]
fn the_defaults_are_those_of_the_program() {
    let role = json!({ "roleArn": "arn:aws:iam::123456789012:role/puller" });
    // That no variants are the standard one is decided later.
    let ecr = json!({ "variants": ["standard"], "assumeRole": role });
    let least = with(&minimum(), "/registries/0/ecr", ecr);
    let mut full = least.clone();
    spell_out(&schema(), &mut full);
    assert_eq!(full["refresh"], json!({ "atFraction": 0.5, "spread": "5m" }));
    assert_eq!(full["registries"][0]["ecr"]["assumeRole"]["sessionName"], "ecr-refresher");
    assert_eq!(format!("{:?}", read(&full).unwrap()), format!("{:?}", read(&least).unwrap()));
}

/// A config with another value at a location, which may be new in its mapping.
fn with(config: &Value, location: &str, value: Value) -> Value {
    let mut config = config.clone();
    match location.rsplit_once('/') {
        None => return value,
        Some((above, key)) => match config.pointer_mut(above).unwrap() {
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
            above => above[key] = value,
        },
    }
    config
}

/// Values that differ from it at a single location.
fn mutations(value: &Value) -> Vec<Value> {
    let others = [
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(0.5),
        json!(""),
        json!("a"),
        json!("5m"),
        json!([]),
        json!(["a"]),
        json!({}),
        json!({ "a": "b" }),
    ];
    // serde accepts a list for a mapping, in the order of the fields. No schema allows that.
    let by_order = |other: &Value| {
        value.is_object() && other.is_array() || value.is_string() && other.is_number()
    };
    let mut mutations: Vec<_> = others.into_iter().filter(|other| !by_order(other)).collect();
    match value {
        Value::Object(map) => {
            mutations.push(with(value, "/unknown", json!(1)));
            for (key, below) in map {
                let mut without = map.clone();
                without.remove(key);
                mutations.push(without.into());
                mutations.extend(self::mutations(below).into_iter().map(|below| {
                    let mut other = map.clone();
                    other.insert(key.clone(), below);
                    other.into()
                }));
            }
        }
        Value::Array(items) => {
            for (index, below) in items.iter().enumerate() {
                let mut without = items.clone();
                without.remove(index);
                mutations.push(without.into());
                mutations.extend(self::mutations(below).into_iter().map(|below| {
                    let mut other = items.clone();
                    other[index] = below;
                    other.into()
                }));
            }
        }
        _ => {}
    }
    mutations
}

/// Adds all keys with a default that a config leaves out.
fn spell_out(schema: &Value, config: &mut Value) {
    if let Value::Array(items) = config {
        for item in items.iter_mut() {
            spell_out(&schema["items"], item);
        }
    }
    for choice in schema["anyOf"].as_array().into_iter().flatten() {
        if choice["type"] == "object" || choice.get("anyOf").is_some() {
            spell_out(choice, config);
        }
    }
    let Value::Object(map) = config else { return };
    for (key, below) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(default) = below.get("default") {
            map.entry(key).or_insert_with(|| default.clone());
        } else if below["type"] == "object" {
            map.entry(key).or_insert_with(|| json!({}));
        }
        if let Some(value) = map.get_mut(key) {
            spell_out(below, value);
        }
    }
}
