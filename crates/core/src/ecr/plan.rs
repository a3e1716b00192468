//! Which hosts a token is written for, checked against the host that came with it.

use serde::{Deserialize, Serialize};

use super::hosts::{EcrHost, Usual, Variant, derive};
use crate::Host;

/// The hosts of ECR Public (its user guide, "Amazon ECR public registries").
const PUBLIC: [&str; 2] = ["ecr-public.aws.com", "public.ecr.aws"];

/// For which hosts a token is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum HostPlan {
    /// Those of private registries.
    Private(PrivatePlan),
    /// Those of ECR Public.
    Public,
}

/// The hosts of a private registry, by the config.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PrivatePlan {
    /// The accounts that hosts are written for; empty for the account in ECR's reply.
    pub(crate) accounts: Vec<String>,
    /// In which forms; empty for the standard one, and for that of the host that ECR returned.
    pub(crate) variants: Vec<Variant>,
    /// The account of the role that asks, if one does.
    pub(crate) role_account: Option<String>,
    /// Whether the endpoint is a custom one, with hosts of any form.
    pub(crate) own_endpoint: bool,
}

/// Why the host that ECR returned does not fit. Each says what was expected too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostMismatch {
    #[error("ECR answered without a registry's host, where one such as {expected} was expected")]
    Missing { expected: String },
    #[error(
        "ECR answered for {host}, where a host such as {expected} was expected; check `region` and \
         `endpointUrl`"
    )]
    UnknownForm { host: Host, expected: String },
    #[error(
        "ECR answered for {host}, which is in the region {answered}, but {configured} was asked; \
         check `region` and `endpointUrl`"
    )]
    OtherRegion { host: Host, answered: String, configured: String },
    #[error(
        "ECR answered for {host}, which is of the account {answered}, but the role that asked is of \
         {configured}; check `assumeRole` and `endpointUrl`"
    )]
    OtherAccount { host: Host, answered: String, configured: String },
    #[error("the region {0} has no hosts of the `variants` that are configured")]
    NoSuchVariant(String),
}

impl HostPlan {
    /// The hosts that are known before anybody is asked.
    pub(crate) fn known(&self, region: Option<&str>) -> Vec<Host> {
        match (self, region) {
            (Self::Public, _) => public(),
            (Self::Private(plan), Some(region)) => {
                let accounts = match &plan.role_account {
                    Some(account) if plan.accounts.is_empty() => std::slice::from_ref(account),
                    _ => &plan.accounts,
                };
                plan.hosts_of(accounts, region)
            }
            (Self::Private(_), None) => Vec::new(),
        }
    }

    /// The hosts for a token of a region that came with this host.
    ///
    /// # Errors
    /// When the host is not one of that region, or of the role's account.
    pub(crate) fn hosts(
        &self,
        region: &str,
        returned: Option<&Host>,
    ) -> Result<Vec<Host>, HostMismatch> {
        match self {
            Self::Public => Ok(public()),
            Self::Private(plan) => plan.hosts(region, returned),
        }
    }
}

impl PrivatePlan {
    fn hosts(&self, region: &str, returned: Option<&Host>) -> Result<Vec<Host>, HostMismatch> {
        let expected = || Usual(region).to_string();
        let as_returned = self.accounts.is_empty() && self.variants.is_empty();
        let host = returned.ok_or_else(|| HostMismatch::Missing { expected: expected() })?;
        let Some(parsed) = EcrHost::parse(host) else {
            if self.own_endpoint && as_returned {
                return Ok(vec![host.clone()]);
            }
            return Err(HostMismatch::UnknownForm { host: host.clone(), expected: expected() });
        };
        self.check(&parsed, host, region)?;
        if as_returned {
            // Images have the standard host, whichever endpoint was called.
            let standard = parsed.standard().filter(|standard| standard != host);
            return Ok(standard.into_iter().chain([host.clone()]).collect());
        }
        let own = [parsed.account];
        let accounts = if self.accounts.is_empty() { &own[..] } else { &self.accounts };
        let hosts = self.hosts_of(accounts, region);
        if hosts.is_empty() {
            Err(HostMismatch::NoSuchVariant(region.to_owned()))
        } else {
            Ok(hosts)
        }
    }

    fn check(&self, parsed: &EcrHost, host: &Host, region: &str) -> Result<(), HostMismatch> {
        if parsed.region != region {
            return Err(HostMismatch::OtherRegion {
                host: host.clone(),
                answered: parsed.region.clone(),
                configured: region.to_owned(),
            });
        }
        match &self.role_account {
            Some(account) if *account != parsed.account => Err(HostMismatch::OtherAccount {
                host: host.clone(),
                answered: parsed.account.clone(),
                configured: account.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn hosts_of(&self, accounts: &[String], region: &str) -> Vec<Host> {
        accounts.iter().flat_map(|account| derive(account, region, &self.variants)).collect()
    }
}

fn public() -> Vec<Host> {
    PUBLIC.iter().filter_map(|host| Host::from_endpoint(host).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGION: &str = "eu-west-1";
    const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

    fn host(text: &str) -> Host {
        Host::from_endpoint(text).unwrap()
    }

    fn hosts(plan: &PrivatePlan, returned: &str) -> Result<Vec<String>, String> {
        let hosts = plan.hosts(REGION, Some(&host(returned)));
        hosts
            .map(|hosts| hosts.iter().map(Host::to_string).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn without_accounts_and_variants_the_hosts_are_the_standard_one_and_the_one_that_ecr_returned()
    {
        let plan = PrivatePlan::default();
        assert_eq!(hosts(&plan, HOST).unwrap(), [HOST]);
        for other in [
            "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com",
            "123456789012.dkr-ecr.eu-west-1.on.aws",
        ] {
            assert_eq!(hosts(&plan, other).unwrap(), [HOST, other]);
        }
    }

    #[test]
    fn each_account_has_a_host_of_each_variant() {
        let plan = PrivatePlan {
            accounts: ["111111111111", "222222222222"].map(str::to_owned).to_vec(),
            variants: vec![Variant::Standard, Variant::DualStack],
            ..PrivatePlan::default()
        };
        let expected = [
            "111111111111.dkr.ecr.eu-west-1.amazonaws.com",
            "111111111111.dkr-ecr.eu-west-1.on.aws",
            "222222222222.dkr.ecr.eu-west-1.amazonaws.com",
            "222222222222.dkr-ecr.eu-west-1.on.aws",
        ];
        assert_eq!(hosts(&plan, HOST).unwrap(), expected);
        let known = HostPlan::Private(plan).known(Some(REGION));
        assert_eq!(known, expected.map(host));
    }

    #[test]
    fn variants_alone_are_those_of_the_account_that_ecr_returned() {
        let plan = PrivatePlan { variants: vec![Variant::Fips], ..PrivatePlan::default() };
        let fips = "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com";
        assert_eq!(hosts(&plan, HOST).unwrap(), [fips]);
        assert!(HostPlan::Private(plan).known(Some(REGION)).is_empty());
    }

    #[test]
    fn another_region_is_an_error_that_names_both() {
        let error = hosts(&PrivatePlan::default(), "123456789012.dkr.ecr.us-east-1.amazonaws.com");
        let error = error.unwrap_err();
        assert!(error.contains("us-east-1") && error.contains("eu-west-1 was asked"), "{error}");
    }

    #[test]
    fn another_account_than_the_roles_is_an_error_that_names_both() {
        let plan =
            PrivatePlan { role_account: Some("111111111111".to_owned()), ..PrivatePlan::default() };
        let error = hosts(&plan, HOST).unwrap_err();
        assert!(error.contains("123456789012") && error.contains("111111111111"), "{error}");
        let known = HostPlan::Private(plan).known(Some(REGION));
        assert_eq!(known, [host("111111111111.dkr.ecr.eu-west-1.amazonaws.com")]);
    }

    #[test]
    fn an_unknown_form_is_an_error_except_with_a_custom_endpoint() {
        let foreign = "registry.example.com:5000";
        let error = hosts(&PrivatePlan::default(), foreign).unwrap_err();
        let expected = "ACCOUNT.dkr.ecr.eu-west-1.amazonaws.com";
        assert!(error.contains(foreign) && error.contains(expected), "{error}");
        let own = PrivatePlan { own_endpoint: true, ..PrivatePlan::default() };
        assert_eq!(hosts(&own, foreign).unwrap(), [foreign]);
        let with_variants = PrivatePlan { variants: vec![Variant::Fips], ..own };
        assert!(hosts(&with_variants, foreign).is_err());
    }

    #[test]
    fn ecr_public_has_its_own_hosts() {
        let expected = ["ecr-public.aws.com", "public.ecr.aws"].map(host);
        assert_eq!(HostPlan::Public.hosts("us-east-1", None).unwrap(), expected);
        assert_eq!(HostPlan::Public.known(None), expected);
    }

    #[test]
    fn a_reply_without_a_host_is_an_error() {
        let error = PrivatePlan::default().hosts(REGION, None).unwrap_err();
        assert!(matches!(error, HostMismatch::Missing { .. }));
    }
}
