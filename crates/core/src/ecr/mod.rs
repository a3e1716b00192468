//! Amazon ECR, private and public: its settings and its hosts.

mod hosts;
mod plan;

pub use self::hosts::{Variant, has_variant, partition_of};
pub(crate) use self::plan::{HostPlan, PrivatePlan};
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

/// How to call ECR Public.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EcrPublicSettings {
    /// The AWS identity of the calls.
    pub identity: IdentitySettings,
    /// An endpoint that replaces the standard one.
    pub endpoint_url: Option<String>,
}
