//! The hosts of private ECR registries: derived from account and region, and read back from what ECR
//! returns.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Host, is_account};

/// A group of host forms that a config names.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
pub enum Variant {
    /// The usual hosts.
    Standard,
    /// Hosts with cryptography that is validated by FIPS 140.
    Fips,
    /// Those with IPv6 addresses too.
    DualStack,
}

/// The form of a host. Both `fips` and `dualStack` in a config mean the last one too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Standard,
    Fips,
    DualStack,
    FipsDualStack,
}

/// A partition of AWS: what its hosts end in. The forms are those of amazon-ecr-credential-helper and
/// of cloud-provider-aws, except for the dual-stack hosts of `aws-eusc`: both know none.
/// `on.amazonwebservices.eu` is the domain of other dual-stack hosts there (public suffix list), as `on.aws`
/// is in the partition `aws`.
#[derive(Debug, PartialEq, Eq)]
struct Partition {
    name: &'static str,
    /// The prefix of the names of its regions.
    regions: &'static str,
    suffix: &'static str,
    /// `None` where there are no dual-stack hosts.
    dual_stack: Option<&'static str>,
}

/// All but `aws`, which has the regions of no other.
const PARTITIONS: [Partition; 7] = [
    Partition::new("aws-cn", "cn-", "amazonaws.com.cn", Some("on.amazonwebservices.com.cn")),
    Partition::new("aws-us-gov", "us-gov-", "amazonaws.com", Some("on.aws")),
    Partition::new("aws-eusc", "eusc-", "amazonaws.eu", Some("on.amazonwebservices.eu")),
    Partition::new("aws-iso", "us-iso-", "c2s.ic.gov", None),
    Partition::new("aws-iso-b", "us-isob-", "sc2s.sgov.gov", None),
    Partition::new("aws-iso-e", "eu-isoe-", "cloud.adc-e.uk", None),
    Partition::new("aws-iso-f", "us-isof-", "csp.hci.ic.gov", None),
];

const AWS: Partition = Partition::new("aws", "", "amazonaws.com", Some("on.aws"));

impl Partition {
    const fn new(
        name: &'static str,
        regions: &'static str,
        suffix: &'static str,
        dual_stack: Option<&'static str>,
    ) -> Self {
        Self { name, regions, suffix, dual_stack }
    }

    fn of(region: &str) -> &'static Self {
        PARTITIONS.iter().find(|partition| region.starts_with(partition.regions)).unwrap_or(&AWS)
    }
}

/// The partition of a region, such as `aws` or `aws-cn`.
#[must_use]
pub fn partition_of(region: &str) -> &'static str {
    Partition::of(region).name
}

/// Whether a region has hosts of a variant: the isolated partitions have no dual-stack ones.
#[must_use]
pub fn has_variant(region: &str, variant: Variant) -> bool {
    variant != Variant::DualStack || Partition::of(region).dual_stack.is_some()
}

/// Whether ECR has a FIPS endpoint in a region (AWS General Reference, "Amazon ECR endpoints and quotas").
/// Where it has none, no host with `ecr-fips` resolves.
#[must_use]
pub fn has_fips(region: &str) -> bool {
    matches!(region, "us-east-1" | "us-east-2" | "us-west-1" | "us-west-2")
        || partition_of(region) == "aws-us-gov"
}

/// The account and the region of a private registry's host, of whichever form.
pub(crate) fn account_and_region(host: &Host) -> Option<(String, String)> {
    EcrHost::parse(host).map(|EcrHost { account, region, .. }| (account, region))
}

/// The parts of a private registry's host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EcrHost {
    pub(super) account: String,
    pub(super) region: String,
    form: Form,
}

impl EcrHost {
    /// Reads a host; `None` when it is of no form that ECR has in its region.
    pub(super) fn parse(host: &Host) -> Option<Self> {
        let (account, rest) = host.as_str().split_once('.')?;
        let forms = [
            ("dkr.ecr.", Form::Standard),
            ("dkr.ecr-fips.", Form::Fips),
            ("dkr-ecr.", Form::DualStack),
            ("dkr-ecr-fips.", Form::FipsDualStack),
        ];
        let (rest, form) =
            forms.iter().find_map(|(prefix, form)| Some((rest.strip_prefix(prefix)?, *form)))?;
        let (region, suffix) = rest.split_once('.')?;
        let good = is_account(account) && Some(suffix) == form.suffix(Partition::of(region));
        good.then(|| Self { account: account.to_owned(), region: region.to_owned(), form })
    }

    /// The standard host of the same registry.
    pub(super) fn standard(&self) -> Option<Host> {
        Self { form: Form::Standard, ..self.clone() }.render()
    }

    fn render(&self) -> Option<Host> {
        let Self { account, region, form } = self;
        let suffix = form.suffix(Partition::of(region))?;
        let service = form.service();
        Host::from_endpoint(&format!("{account}.{service}.{region}.{suffix}")).ok()
    }
}

impl Form {
    fn service(self) -> &'static str {
        match self {
            Self::Standard => "dkr.ecr",
            Self::Fips => "dkr.ecr-fips",
            Self::DualStack => "dkr-ecr",
            Self::FipsDualStack => "dkr-ecr-fips",
        }
    }

    fn suffix(self, partition: &Partition) -> Option<&'static str> {
        match self {
            Self::Standard | Self::Fips => Some(partition.suffix),
            Self::DualStack | Self::FipsDualStack => partition.dual_stack,
        }
    }
}

/// The hosts of an account in a region, in the forms that the variants name; the standard one when
/// they name none. A form that the region does not have is left out.
pub(super) fn derive(account: &str, region: &str, variants: &[Variant]) -> Vec<Host> {
    let has = |variant| variants.contains(&variant);
    let forms = [
        (Form::Standard, variants.is_empty() || has(Variant::Standard)),
        (Form::Fips, has(Variant::Fips)),
        (Form::DualStack, has(Variant::DualStack)),
        (Form::FipsDualStack, has(Variant::Fips) && has(Variant::DualStack)),
    ];
    let wanted = forms.into_iter().filter(|(_, wanted)| *wanted);
    wanted
        .filter_map(|(form, _)| {
            EcrHost { account: account.to_owned(), region: region.to_owned(), form }.render()
        })
        .collect()
}

/// The usual host of a region, for messages.
pub(super) struct Usual<'a>(pub(super) &'a str);

impl fmt::Display for Usual<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ACCOUNT.dkr.ecr.{}.{}", self.0, Partition::of(self.0).suffix)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Variant; 3] = [Variant::Standard, Variant::Fips, Variant::DualStack];

    fn hosts(region: &str, variants: &[Variant]) -> Vec<String> {
        derive("123456789012", region, variants).iter().map(Host::to_string).collect()
    }

    #[test]
    fn every_form_is_derived_in_the_partitions_with_all() {
        for (region, suffix, dual_stack) in [
            ("eu-west-1", "amazonaws.com", "on.aws"),
            ("us-gov-west-1", "amazonaws.com", "on.aws"),
            ("cn-north-1", "amazonaws.com.cn", "on.amazonwebservices.com.cn"),
            ("eusc-de-east-1", "amazonaws.eu", "on.amazonwebservices.eu"),
        ] {
            let expected = [
                format!("123456789012.dkr.ecr.{region}.{suffix}"),
                format!("123456789012.dkr.ecr-fips.{region}.{suffix}"),
                format!("123456789012.dkr-ecr.{region}.{dual_stack}"),
                format!("123456789012.dkr-ecr-fips.{region}.{dual_stack}"),
            ];
            assert_eq!(hosts(region, &ALL), expected);
        }
    }

    #[test]
    fn the_isolated_partitions_have_no_dual_stack_hosts() {
        for (region, partition, suffix) in [
            ("us-iso-east-1", "aws-iso", "c2s.ic.gov"),
            ("us-isob-east-1", "aws-iso-b", "sc2s.sgov.gov"),
            ("eu-isoe-west-1", "aws-iso-e", "cloud.adc-e.uk"),
            ("us-isof-south-1", "aws-iso-f", "csp.hci.ic.gov"),
        ] {
            assert_eq!(partition_of(region), partition);
            assert_eq!(hosts(region, &[]), [format!("123456789012.dkr.ecr.{region}.{suffix}")]);
            assert!(hosts(region, &[Variant::DualStack]).is_empty());
            assert!(!has_variant(region, Variant::DualStack));
        }
    }

    #[test]
    fn fips_endpoints_are_in_four_regions_and_in_govcloud() {
        for region in ["us-east-1", "us-east-2", "us-west-1", "us-west-2", "us-gov-east-1"] {
            assert!(has_fips(region), "{region}");
        }
        for region in ["eu-west-1", "ca-central-1", "cn-north-1", "us-iso-east-1", "us-east-11"] {
            assert!(!has_fips(region), "{region}");
        }
    }

    #[test]
    fn other_hosts_than_those_of_ecr_are_recognised() {
        for text in [
            "public.ecr.aws",
            "12.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com:443",
            "123456789012.dkr.ecr.eu-west-1.example.com",
            "123456789012.dkr-ecr.us-iso-east-1.c2s.ic.gov",
            "123456789012.ecr.eu-west-1.amazonaws.com",
        ] {
            assert_eq!(EcrHost::parse(&Host::from_endpoint(text).unwrap()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_derived_host_is_read_back(
            account in "[0-9]{12}",
            region in "(cn|us-gov|eusc|us-iso|us-isob|eu-isoe|us-isof|eu|ap)-[a-z]{4,9}-[1-9]",
            variants in proptest::sample::subsequence(ALL.to_vec(), 0..=3),
        ) {
            let hosts = derive(&account, &region, &variants);
            let isolated = !has_variant(&region, Variant::DualStack);
            let expected = match variants.len() {
                0 => 1,
                count if isolated => count - usize::from(variants.contains(&Variant::DualStack)),
                count => {
                    let both = [Variant::Fips, Variant::DualStack];
                    count + usize::from(both.iter().all(|variant| variants.contains(variant)))
                }
            };
            prop_assert_eq!(hosts.len(), expected);
            for host in hosts {
                let parsed = EcrHost::parse(&host).unwrap();
                prop_assert_eq!((&parsed.account, &parsed.region), (&account, &region));
                prop_assert_eq!(parsed.render(), Some(host));
            }
        }

        #[test]
        fn whatever_is_read_is_written_the_same(text in "[0-9]{12}\\.(dkr\\.ecr|dkr-ecr)(-fips)?\\.[a-z]{2}-[a-z]{4}-1\\.(amazonaws\\.com|on\\.aws)") {
            let host = Host::from_endpoint(&text).unwrap();
            if let Some(parsed) = EcrHost::parse(&host) {
                prop_assert_eq!(parsed.render(), Some(host));
            }
        }
    }
}
