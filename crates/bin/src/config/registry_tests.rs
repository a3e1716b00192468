//! Valid and invalid registries in the config file.

use std::path::Path;

use ecr_refresher_core::ecr::Variant;
use figment::providers::Env;

use super::{Config, ConfigError, SourceSettings, parse, registries};

/// A config with the kind of its first registry in line 4.
fn parse_kind(kind: &str) -> Result<Config, ConfigError> {
    let text = format!(
        "
registries:
  - name: main
    {kind}
secrets:
  - name: ecr-pull
    namespaces: [payments]
"
    );
    parse(Path::new("config.yaml"), &text, Env::prefixed("NO_SUCH_PREFIX_"))
        .map(|(config, _)| config)
}

fn problem(kind: &str) -> String {
    parse_kind(kind).expect_err("this config is wrong").to_string()
}

#[test]
fn all_settings_of_a_private_registry_are_read() {
    let kind = "ecr: { region: eu-west-1, accounts: [\"111111111111\"], variants: [dualStack, fips], \
                assumeRole: { roleArn: \"arn:aws:iam::111111111111:role/a/puller\", externalId: \"a:b\" }, \
                credentialsDirectory: /var/run/secrets/aws }";
    let config = parse_kind(kind).unwrap();
    let SourceSettings::Ecr(ecr) = &config.registries[0].source else { panic!("it is private") };
    assert_eq!(ecr.variants, [Variant::Fips, Variant::DualStack]);
    let role = ecr.identity.assume_role.as_ref().unwrap();
    assert_eq!((role.arn.account(), &*role.session_name), ("111111111111", "ecr-refresher"));
    assert_eq!(role.external_id.as_deref(), Some("a:b"));
    let directory = ecr.identity.credentials_directory.as_deref();
    assert_eq!(directory, Some(Path::new("/var/run/secrets/aws")));
}

#[test]
fn ecr_public_needs_no_settings() {
    let config = parse_kind("ecrPublic: {}").unwrap();
    assert!(matches!(config.registries[0].source, SourceSettings::EcrPublic(_)));
    assert!(problem("ecrPublic: { region: us-east-1 }").contains("unknown key `region`"));
}

#[test]
fn a_registry_is_of_one_kind() {
    for (kind, number) in
        [("ecr: {}\n    ecrPublic: {}", "more than one kind"), ("# none", "no kind")]
    {
        let problem = problem(kind);
        assert!(problem.starts_with("config.yaml:3:5: the registry `main` has "), "{problem}");
        assert!(problem.contains(number), "{problem}");
        assert!(
            problem.contains("give it exactly one of `ecr`, `ecrPublic` and `file`"),
            "{problem}"
        );
    }
}

#[test]
fn an_unknown_variant_is_reported_with_the_nearest_word() {
    let problem = problem("ecr: { variants: [standard, dualstack] }");
    assert_eq!(
        problem,
        "config.yaml:4:33: invalid value `dualstack` for `variants[1]`; did you mean `dualStack`?"
    );
}

#[test]
fn a_variant_that_the_region_does_not_have_is_refused() {
    let problem = problem("ecr: { region: us-iso-east-1, variants: [dualStack] }");
    let expected = "config.yaml:4:35: the region `us-iso-east-1` has no dual-stack hosts";
    assert!(problem.starts_with(expected), "{problem}");
}

#[test]
fn an_invalid_role_is_reported_with_its_location() {
    let role =
        |role: &str| problem(&format!("ecr: {{ region: eu-west-1, assumeRole: {{ {role} }} }}"));
    let good = "roleArn: \"arn:aws:iam::111111111111:role/puller\"";
    for (text, expected) in [
        ("roleArn: puller".to_owned(), "config.yaml:4:45: `puller` is not a valid ARN of a role"),
        (format!("{good}, sessionName: a b"), "`a b` is not a valid name of a role session"),
        (format!("{good}, externalId: hunter 2"), "this is not a valid external ID"),
        ("externalId: abc".to_owned(), "`roleArn` is missing"),
        (
            "roleArn: \"arn:aws-cn:iam::111111111111:role/puller\"".to_owned(),
            "the role is in the partition `aws-cn`, but the region `eu-west-1` is in `aws`",
        ),
    ] {
        let problem = role(&text);
        assert!(problem.contains(expected) && !problem.contains("hunter"), "{problem}");
    }
}

#[test]
fn a_credentials_directory_has_an_absolute_path() {
    let problem = problem("ecr: { credentialsDirectory: secrets }");
    assert!(
        problem.starts_with("config.yaml:4:12: `secrets` is not a valid absolute path"),
        "{problem}"
    );
}

#[test]
fn registries_with_different_settings_differ() {
    let registry = |kind| registries(&parse_kind(kind).unwrap().registries, None).remove(0);
    let plain = registry("ecr: {}");
    for other in ["ecr: { variants: [fips] }", "ecr: { credentialsDirectory: /a }", "ecrPublic: {}"]
    {
        assert_ne!(plain, registry(other), "{other}");
    }
}
