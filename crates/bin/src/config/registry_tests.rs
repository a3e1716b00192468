//! Valid and invalid registries in the config file.

use std::path::Path;

use ecr_refresher_core::ecr::{EcrDefaults, Variant};

use super::{Config, ConfigError, Environment, SourceSettings, parse, registries};

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
    parse(Path::new("config.yaml"), &text, Environment::empty(), "ours").map(|(config, _)| config)
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
    let [role] = &ecr.identity.roles[..] else { panic!("it is one role") };
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
        assert!(problem.starts_with("config.yaml:3:5: this registry has "), "{problem}");
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
fn a_chain_of_roles_is_a_list_in_its_order() {
    let kind = "ecr: { region: eu-west-1, assumeRole: [\
                { roleArn: \"arn:aws:iam::111111111111:role/hub\", region: us-east-1 }, \
                { roleArn: \"arn:aws:iam::222222222222:role/puller\", externalId: abc }] }";
    let config = parse_kind(kind).unwrap();
    let SourceSettings::Ecr(ecr) = &config.registries[0].source else { panic!("it is private") };
    let [hub, puller] = &ecr.identity.roles[..] else { panic!("there are two") };
    assert_eq!((hub.arn.account(), hub.region.as_deref()), ("111111111111", Some("us-east-1")));
    assert_eq!((puller.arn.account(), puller.region.as_deref()), ("222222222222", None));
    assert_eq!(puller.external_id.as_deref(), Some("abc"));
    assert!(parse_kind(&kind.replace("ecr: { region: eu-west-1,", "ecrPublic: {")).is_ok());
}

#[test]
fn an_invalid_role_of_a_chain_is_reported_with_its_location() {
    let chain = |before: &str, role: &str| {
        let first = "roleArn: \"arn:aws:iam::111111111111:role/hub\"";
        problem(&format!("ecr: {{ {before}assumeRole: [{{ {first} }}, {{ {role} }}] }}"))
    };
    let other = "roleArn: \"arn:aws-cn:iam::222222222222:role/puller\"";
    for (before, role, expected) in [
        (
            "",
            "roleArn: \"arn:aws:iam::12:role/puller\"",
            "config.yaml:4:78: `arn:aws:iam::12:role/",
        ),
        ("", "externalId: abc", "config.yaml:4:76: `roleArn` is missing"),
        ("", "regoin: a", "config.yaml:4:78: unknown key `regoin`"),
        ("", other, "in the partition `aws-cn`, but the role before it is in `aws`"),
        ("region: eu-west-1, ", other, "but the region `eu-west-1` is in `aws`"),
        (
            "",
            "roleArn: \"arn:aws:iam::222222222222:role/puller\", region: cn-north-1",
            "the region `cn-north-1` is in the partition `aws-cn`, but the role is in `aws`",
        ),
    ] {
        let problem = chain(before, role);
        assert!(problem.contains(expected), "{problem}");
    }
    let problem = problem("ecr: { assumeRole: [] }");
    assert!(problem.starts_with("config.yaml:4:12: the list of roles is empty"), "{problem}");
}

#[test]
fn fips_hosts_where_ecr_has_no_fips_endpoint_are_warned_about() {
    let warnings = |region: &str| {
        let kind = format!("ecr: {{ region: {region}, variants: [standard, fips] }}");
        let config = parse_kind(&kind).unwrap();
        config.warnings.lines().collect::<Vec<_>>()
    };
    for region in ["us-east-1", "us-west-2", "us-gov-east-1"] {
        assert!(warnings(region).is_empty(), "{region}");
    }
    for region in ["eu-west-1", "ca-central-1", "cn-north-1"] {
        let [warning] = &warnings(region)[..] else { panic!("{region}") };
        let expected = format!("ECR has no FIPS endpoint in the region `{region}`");
        assert!(warning.starts_with("config.yaml:4:") && warning.contains(&expected), "{warning}");
    }
    assert!(parse_kind("ecr: { variants: [fips] }").unwrap().warnings.list().is_empty());
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
    let registry =
        |kind| registries(&parse_kind(kind).unwrap().registries, &EcrDefaults::default()).remove(0);
    let plain = registry("ecr: {}");
    for other in ["ecr: { variants: [fips] }", "ecr: { credentialsDirectory: /a }", "ecrPublic: {}"]
    {
        assert_ne!(plain, registry(other), "{other}");
    }
}
