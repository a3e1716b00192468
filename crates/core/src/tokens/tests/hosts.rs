//! The hosts of a token, by the settings of a registry and by what the environment says.

use std::collections::BTreeMap;

use super::*;
use crate::ecr::Variant;

const ACCOUNT: &str = "123456789012";
const STANDARD: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
const FIPS: &str = "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com";
const DUAL_STACK: &str = "123456789012.dkr-ecr.us-east-1.on.aws";
const LOCALSTACK: &str = "000000000000.dkr.ecr.us-east-1.localhost.localstack.cloud:4566";

/// The keys of the entries, when ECR has returned this host, or the problem.
fn keys(
    settings: EcrSettings,
    defaults: &EcrDefaults,
    returned: &str,
) -> Result<Vec<String>, String> {
    let settings = EcrSettings { region: Some("us-east-1".to_owned()), ..settings };
    let registry = Registry::ecr("main".into(), settings, defaults);
    let Token::Ecr { auth, lifetime, .. } = token("password", "us-east-1", 0, LIFE) else {
        panic!("it is of ECR")
    };
    let host = Some(Host::from_endpoint(returned).unwrap());
    let derived = registry.derive(&Token::Ecr { auth, lifetime, host }, &BTreeMap::new());
    match derived.problem {
        Some(problem) => Err(problem.message),
        None => Ok(derived.entries.into_keys().collect()),
    }
}

#[test]
fn with_the_fips_or_dual_stack_endpoint_the_standard_host_stays_beside_the_others() {
    let fips = EcrDefaults { fips: true, ..EcrDefaults::default() };
    let dual_stack = EcrDefaults { dual_stack: true, ..EcrDefaults::default() };
    for (defaults, other) in [(&fips, FIPS), (&dual_stack, DUAL_STACK)] {
        let mut expected = [STANDARD, other];
        expected.sort_unstable();
        // Whichever of the two ECR returns.
        for returned in expected {
            let accounts = vec![ACCOUNT.to_owned()];
            let with_accounts = EcrSettings { accounts, ..EcrSettings::default() };
            for settings in [EcrSettings::default(), with_accounts] {
                assert_eq!(keys(settings, defaults, returned).unwrap(), expected, "{returned}");
            }
        }
        // The config goes before the environment.
        let settings = EcrSettings { variants: vec![Variant::Standard], ..EcrSettings::default() };
        assert_eq!(keys(settings, defaults, other).unwrap(), [STANDARD]);
    }
}

#[test]
fn a_host_of_another_form_is_good_with_a_custom_endpoint_by_config_or_by_variable() {
    let defaults = EcrDefaults::default();
    let by_variable = EcrDefaults { own_endpoint: true, ..EcrDefaults::default() };
    let endpoint_url = Some("http://localhost:4566".to_owned());
    let by_config = EcrSettings { endpoint_url, ..EcrSettings::default() };
    assert_eq!(keys(by_config, &defaults, LOCALSTACK).unwrap(), [LOCALSTACK]);
    let settings = EcrSettings::default;
    assert_eq!(keys(settings(), &by_variable, LOCALSTACK).unwrap(), [LOCALSTACK]);
    assert!(keys(settings(), &defaults, LOCALSTACK).unwrap_err().contains(LOCALSTACK));
}
