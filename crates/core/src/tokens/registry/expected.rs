//! The needs of registries before they have tokens: their hosts, and the sizes of documents. Pure.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::{Hosts, Registry, TokenSource};
use crate::{
    Host,
    dockerconfig::DockerConfig,
    ecr::{HostPlan, PrivatePlan, account_and_region},
    tokens::CacheDocument,
};

/// The length of the longest name of a host, with a port.
const LONGEST_HOST: usize = 259;
/// The bytes of a docker config around its entries, and around the host and the token of each.
const DOCUMENT: usize = r#"{"auths":{}}"#.len();
const ENTRY: usize = r#""":{"auth":""},"#.len();
/// The bytes of a token cache around its tokens and registries, and around the source, the token and the
/// host of each token.
const CACHE: usize = r#"{"version":3,"tokens":[],"registries":[]}"#.len();
const CACHED: usize = concat!(
    r#"{"source":,"generation":18446744073709551615,"auth":"","host":"#,
    r#""123456789012.dkr-ecr-fips.cn-northwest-1.on.amazonwebservices.com.cn","#,
    r#""issuedAt":"2027-01-15T08:00:00.123456789Z","expiresAt":"2027-01-15T20:00:00Z"},"#
)
.len();

impl Registry {
    /// Stands for a region that only the environment names. The hosts of no region are longer.
    pub const ANY_REGION: &str = "cn-northwest-1";

    /// The hosts that its token will be written for; none for a file. An account or a host that only ECR's
    /// reply names is replaced by one of the greatest length.
    #[must_use]
    pub fn expected_hosts(&self) -> BTreeSet<String> {
        let Hosts::Ecr(plan) = &self.hosts else { return BTreeSet::new() };
        let region = Some(self.region());
        let hosts = match plan {
            HostPlan::Private(plan) if plan.accounts.is_empty() => {
                let account = plan.role_account.clone().unwrap_or_else(|| self.any_account());
                if plan.own_endpoint && plan.variants.is_empty() {
                    return [format!("{account}{}", "x".repeat(LONGEST_HOST - account.len()))]
                        .into();
                }
                let plan = PrivatePlan { accounts: vec![account], ..plan.clone() };
                HostPlan::Private(plan).known(region)
            }
            plan => plan.known(region),
        };
        hosts.iter().map(ToString::to_string).collect()
    }

    /// The keys that its token will be written for, with a `*` in front for an account that only ECR's reply
    /// names; a `*` alone where nothing is known of them.
    #[must_use]
    pub fn expected_keys(&self) -> BTreeSet<String> {
        let any = || BTreeSet::from(["*".to_owned()]);
        let Hosts::Ecr(plan) = &self.hosts else { return any() };
        match plan {
            HostPlan::Private(_) if self.region().is_empty() => any(),
            HostPlan::Private(plan) if plan.accounts.is_empty() && plan.role_account.is_none() => {
                if plan.own_endpoint {
                    return any();
                }
                let account = self.any_account();
                let hosts = self.expected_hosts().into_iter();
                hosts.map(|host| host.replacen(&account, "*", 1)).collect()
            }
            _ => self.expected_hosts(),
        }
    }

    /// Whether its token may be written for a key, as far as its settings say: the environment of the daemon may
    /// add forms of hosts.
    #[must_use]
    pub fn may_have(&self, key: &str) -> bool {
        if self.expected_keys().iter().any(|expected| is_expected(expected, key)) {
            return true;
        }
        let Hosts::Ecr(HostPlan::Private(plan)) = &self.hosts else { return false };
        let host = Host::from_endpoint(key).ok().filter(|_| plan.variants.is_empty());
        let Some((account, region)) = host.as_ref().and_then(account_and_region) else {
            return false;
        };
        let accounts = plan.accounts.iter().chain(&plan.role_account);
        let mut accounts = accounts.take(plan.accounts.len().max(1));
        region == self.region()
            && (accounts.clone().next().is_none() || accounts.any(|it| *it == account))
    }

    /// The first of the keys that its token will be written for which is not among these.
    #[must_use]
    pub fn missing_key(&self, keys: &[&str]) -> Option<String> {
        let is_there = |expected: &String| keys.iter().any(|key| is_expected(expected, key));
        self.expected_keys().into_iter().find(|expected| !is_there(expected))
    }

    /// Stands for the account in ECR's reply: the same for each registry of a source.
    fn any_account(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.source.key().hash(&mut hasher);
        format!("{:012}", hasher.finish() % 1_000_000_000_000)
    }
}

/// Whether a key is an expected one, which may begin with a `*`.
fn is_expected(expected: &str, key: &str) -> bool {
    expected.strip_prefix('*').map_or(key == expected, |end| key.ends_with(end))
}

impl DockerConfig {
    /// The size in bytes of the document of these hosts, with tokens of this length.
    #[must_use]
    pub fn expected_size(hosts: &BTreeSet<String>, token: usize) -> usize {
        hosts.iter().map(|host| ENTRY + host.len() + token).sum::<usize>() + DOCUMENT
    }
}

impl CacheDocument {
    /// How many tokens the document of these registries holds, and its size in bytes with tokens of this
    /// length. The entries of files are not counted.
    #[must_use]
    pub fn expected_size(registries: &[Registry], token: usize) -> (usize, usize) {
        // Plain structs of texts always serialise.
        let described = |registry: &Registry| serde_json::to_string(registry).unwrap_or_default();
        let described = registries.iter().map(|registry| described(registry).len() + 1);
        let is_aws = |registry: &&Registry| matches!(registry.source, TokenSource::Aws(_));
        let sources: BTreeSet<_> =
            registries.iter().filter(is_aws).map(|registry| registry.source.key()).collect();
        let tokens = sources.iter().map(|source| CACHED + source.as_str().len() + token);
        (sources.len(), CACHE + described.sum::<usize>() + tokens.sum::<usize>())
    }
}

#[cfg(test)]
mod tests;
