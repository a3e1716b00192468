//! Amazon ECR, private and public: its settings and its hosts.

mod hosts;
mod plan;
mod regions;

pub(crate) use self::hosts::account_and_region;
pub(crate) use self::plan::{HostPlan, PrivatePlan};
pub use self::{
    hosts::{Variant, has_fips, has_variant, partition_of},
    regions::{REGIONS, is_region_name},
};
use crate::aws::IdentitySettings;

/// How to call ECR in one region, and the hosts that its token is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EcrSettings {
    /// The region to call; `None` for that of the AWS SDK's chain.
    pub region: Option<String>,
    /// The AWS accounts that hosts are written for; empty for the account in ECR's reply.
    pub accounts: Vec<String>,
    /// The forms of the hosts that are written; empty for the standard one.
    pub variants: Vec<Variant>,
    /// The AWS identity of the calls.
    pub identity: IdentitySettings,
    /// An endpoint that replaces that of the region.
    pub endpoint_url: Option<String>,
}

/// The settings of ECR's API in the environment, for registries without settings of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EcrDefaults {
    /// The region.
    pub region: Option<String>,
    /// Whether the endpoint is a custom one (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_ECR`).
    pub own_endpoint: bool,
    /// Whether the FIPS endpoint is called (`AWS_USE_FIPS_ENDPOINT`).
    pub fips: bool,
    /// Whether the dual-stack endpoint is called (`AWS_USE_DUALSTACK_ENDPOINT`).
    pub dual_stack: bool,
}

impl EcrDefaults {
    /// The forms of the hosts in a region. Images have the standard hosts whichever endpoint is called, so
    /// these are always among them; empty for them alone.
    pub(crate) fn variants(&self, region: Option<&str>) -> Vec<Variant> {
        let fips = self.fips && region.is_some_and(has_fips);
        let has_dual_stack = |region| has_variant(region, Variant::DualStack);
        let dual_stack = self.dual_stack && region.is_some_and(has_dual_stack);
        let others = [(Variant::Fips, fips), (Variant::DualStack, dual_stack)];
        let others = others.into_iter().filter(|(_, wanted)| *wanted).map(|(variant, _)| variant);
        if fips || dual_stack {
            [Variant::Standard].into_iter().chain(others).collect()
        } else {
            Vec::new()
        }
    }
}

/// How to call ECR Public.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EcrPublicSettings {
    /// The AWS identity of the calls.
    pub identity: IdentitySettings,
    /// An endpoint that replaces the standard one.
    pub endpoint_url: Option<String>,
}
