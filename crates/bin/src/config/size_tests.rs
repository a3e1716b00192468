//! Configs whose Secrets are as large as Kubernetes allows, or larger.

use std::path::Path;

use serde_json::{Value, json};

use super::{Config, ConfigError, Environment, parse};

fn parse_value(config: &Value) -> Result<Config, ConfigError> {
    let env = Environment::empty();
    // JSON is YAML too.
    parse(Path::new("config.yaml"), &config.to_string(), env, "ours").map(|(config, _)| config)
}

fn warnings(config: &Value) -> Vec<String> {
    parse_value(config).unwrap_or_else(|error| panic!("{error}")).warnings.lines().collect()
}

fn accounts(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:012}")).collect()
}

/// A config of one registry with this many accounts.
fn with_accounts(count: usize, variants: &Value) -> Value {
    let ecr = json!({ "region": "eu-west-1", "accounts": accounts(count), "variants": variants });
    json!({
        "registries": [{ "name": "main", "ecr": ecr }],
        "secrets": [{ "name": "ecr-pull", "namespaces": ["team-*"] }],
    })
}

/// The most accounts with which `accepts` is true.
fn most_accounts(accepts: impl Fn(&Value) -> bool) -> usize {
    let accepts = |&count: &usize| accepts(&with_accounts(count, &json!(["standard"])));
    (1..1000).take_while(accepts).last().unwrap()
}

#[test]
fn a_hundred_accounts_in_three_variants_are_accepted() {
    assert!(warnings(&with_accounts(100, &json!(["standard", "dualStack"]))).is_empty());
    let all = with_accounts(100, &json!(["standard", "fips", "dualStack"]));
    let warnings = warnings(&all);
    let expected = "the pull Secret `ecr-pull` may be too large: 400 hosts x 4.16 KiB = 1.63 MiB, a \
                    Secret holds 1 MiB; ";
    assert!(warnings.iter().any(|it| it.contains(expected)), "{warnings:?}");
}

#[test]
fn thousands_of_hosts_are_refused_with_the_numbers_that_fit() {
    let error = parse_value(&with_accounts(5000, &json!([]))).unwrap_err().to_string();
    assert!(error.starts_with("config.yaml:1:"), "{error}");
    assert!(
        error.ends_with(
            ": the pull Secret `ecr-pull` is too large: 5000 hosts x 2.02 KiB = 9.82 MiB, a Secret \
             holds 1 MiB; 246 hosts fit with the longest tokens of ECR, 509 with the shortest: divide \
             the accounts among several registries, and these among several pull Secrets"
        ),
        "{error}"
    );
}

#[test]
fn the_last_host_that_fits_is_accepted_and_the_next_one_is_not() {
    // Each host has 44 characters and 15 around it, but for one comma; 12 are around all.
    let fit = |token: usize| ((1 << 20) - 12 + 1) / (token + 44 + 15);
    assert_eq!(most_accounts(|config| parse_value(config).is_ok()), fit(2_000));
    let is_certain =
        |config: &Value| parse_value(config).is_ok_and(|it| it.warnings.list().is_empty());
    assert_eq!(most_accounts(is_certain), fit(4_200));
}

#[test]
fn accounts_that_are_divided_among_pull_secrets_fit() {
    let registry = |name: &str, first: usize| {
        let accounts = accounts(400).split_off(first)[..200].to_vec();
        json!({ "name": name, "ecr": { "region": "eu-west-1", "accounts": accounts } })
    };
    let mut config = json!({
        "registries": [registry("one", 0), registry("two", 200)],
        "secrets": [
            { "name": "pull-one", "namespaces": ["*"], "registries": ["one"] },
            { "name": "pull-two", "namespaces": ["*"], "registries": ["two"] },
        ],
    });
    assert!(warnings(&config).is_empty());
    config["secrets"][1]["registries"] = json!(["one", "two"]);
    let warnings = warnings(&config);
    assert!(matches!(&warnings[..], [one] if one.contains("`pull-two` may be")), "{warnings:?}");
}

#[test]
fn the_error_is_at_its_pull_secret_also_beside_an_invalid_one() {
    let text = format!(
        "registries: [{{name: main, ecr: {{region: eu-west-1, accounts: {}}}}}]\n\
         secrets:\n  - name: Invalid\n    namespaces: [a]\n  - name: ecr-pull\n    namespaces: [a]\n",
        json!(accounts(600))
    );
    let env = Environment::empty();
    let error = parse(Path::new("config.yaml"), &text, env, "ours").unwrap_err().text();
    assert!(error.contains("config.yaml:3:5: `Invalid`"), "{error}");
    assert!(error.contains("config.yaml:5:5: the pull Secret `ecr-pull` is too large"), "{error}");
    let mark = "5 |   - name: ecr-pull\n  |     ^^^^";
    assert!(error.contains(mark), "it is the same each time: {error}");
}

/// A config whose annotations have this many bytes.
fn with_annotations(bytes: usize) -> Value {
    let key = "example.com/a";
    let mut config = with_accounts(1, &json!([]));
    config["secrets"][0]["annotations"] = json!({ key: "x".repeat(bytes - key.len()) });
    config
}

#[test]
fn annotations_are_too_large_together_with_our_own() {
    let limit = 256 << 10;
    // Those of the longest release, and those of the shortest.
    let (most, least) = (limit - 988, limit - 312);
    assert!(warnings(&with_annotations(most)).is_empty());
    let warnings_at = |bytes| warnings(&with_annotations(bytes)).join("\n");
    let expected = "the annotations of `ecr-pull` may be too large: 255.04 KiB + 988 bytes of \
                    ecr-refresher = 256.01 KiB, an object holds 256 KiB";
    assert!(warnings_at(most + 1).contains(expected), "{}", warnings_at(most + 1));
    assert!(!warnings_at(least).is_empty());
    let error = parse_value(&with_annotations(least + 1)).unwrap_err().to_string();
    let expected = "the annotations of `ecr-pull` are too large: 255.7 KiB + 312 bytes";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn labels_that_etcd_may_not_store_are_warned_about() {
    let mut config = with_accounts(240, &json!([]));
    let key = |number: usize| format!("{}.example.com/{number}", "a".repeat(60));
    let labels = |count| (0..count).map(|number| (key(number), json!("x"))).collect();
    config["secrets"][0]["labels"] = Value::Object(labels(1000));
    assert!(warnings(&config).is_empty());
    config["secrets"][0]["labels"] = Value::Object(labels(4000));
    let warnings = warnings(&config);
    assert!(
        matches!(&warnings[..], [one] if one.contains("may be too large for etcd")),
        "{warnings:?}"
    );
}

#[test]
fn a_token_cache_that_may_be_too_large_is_warned_about() {
    let registry = |number: usize, of: usize| {
        let arn = format!("arn:aws:iam::{:012}:role/puller", number % of);
        let ecr = json!({ "region": "eu-west-1", "assumeRole": { "roleArn": arn } });
        json!({ "name": format!("registry-{number}"), "ecr": ecr })
    };
    let config = |of: usize| {
        let registries: Vec<_> = (0..240).map(|number| registry(number, of)).collect();
        json!({
            "registries": registries,
            "secrets": [{ "name": "ecr-pull", "namespaces": ["a"] }],
        })
    };
    assert!(warnings(&config(100)).is_empty());
    let warnings = warnings(&config(240));
    let expected = "the token cache may be too large, so that a restart fetches each token again: 240 \
                    tokens x ";
    assert!(matches!(&warnings[..], [one] if one.contains(expected)), "{warnings:?}");
}
