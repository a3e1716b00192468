//! Endpoints that the environment names.

use super::{KEYS, Server, case, ecr, fetch, role};
use crate::{
    Reason,
    ecr::{EcrDefaults, Variant},
};

const NOWHERE: &str = "http://127.0.0.1:9";

/// The keys and the region, and some more.
fn and<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&KEYS[..], &[("AWS_REGION", "us-east-1")], more].concat()
}

#[test]
fn fips_and_dual_stack_with_a_custom_endpoint_have_a_reason_and_a_remedy_of_their_own() {
    let server = Server::start();
    for variable in ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"] {
        let variables = and(&[(variable, "true"), ("AWS_ENDPOINT_URL", server.url())]);
        case(&variables, async |aws| {
            for roles in [&[][..], &[role("arn:aws:iam::123456789012:role/puller", None)]] {
                let error = fetch(&aws, &ecr(None, roles)).await.unwrap_err();
                assert_eq!(error.reason, Reason::InvalidEndpoint, "{error}");
                assert!(error.message.contains("was not called"), "{error}");
                assert!(error.message.contains("AWS_USE_FIPS_ENDPOINT"), "{error}");
                assert!(!error.message.contains("DNS"), "{error}");
            }
        });
    }
    assert!(server.calls().is_empty());
}

#[test]
fn a_name_that_does_not_resolve_is_a_failure_of_the_network() {
    case(&and(&[("AWS_ENDPOINT_URL", "http://aws.invalid")]), async |aws| {
        let error = fetch(&aws, &ecr(None, &[])).await.unwrap_err();
        assert_eq!(error.reason, Reason::Network, "{error}");
        assert!(error.message.contains("aws.invalid"), "{error}");
        assert!(error.message.contains("check DNS"), "{error}");
    });
}

#[test]
fn a_variable_makes_the_endpoint_a_custom_one_as_the_config_does() {
    for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR"] {
        case(&and(&[(variable, NOWHERE)]), async |aws| assert!(aws.ecr_defaults().own_endpoint));
    }
}

#[test]
fn endpoints_of_other_services_and_ignored_ones_do_not_count() {
    let ignored = [("AWS_ENDPOINT_URL", NOWHERE), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")];
    for variables in [&[("AWS_ENDPOINT_URL_STS", NOWHERE)][..], &ignored] {
        case(&and(variables), async |aws| {
            let region = Some("us-east-1".to_owned());
            assert_eq!(aws.ecr_defaults(), EcrDefaults { region, ..EcrDefaults::default() });
        });
    }
}

#[test]
fn the_variables_of_fips_and_dual_stack_add_hosts_to_the_standard_ones() {
    use Variant::{DualStack, Fips, Standard};
    let both = [("AWS_USE_FIPS_ENDPOINT", "true"), ("AWS_USE_DUALSTACK_ENDPOINT", "true")];
    case(&and(&both), async |aws| {
        let variants = |region| aws.ecr_defaults().variants(Some(region));
        assert_eq!(variants("us-east-1"), [Standard, Fips, DualStack]);
        assert_eq!(variants("eu-west-1"), [Standard, DualStack]);
        assert_eq!(variants("us-iso-east-1"), []);
    });
}
