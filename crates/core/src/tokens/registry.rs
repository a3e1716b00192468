//! A registry turns the token of its source into entries. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::source::{Api, AwsSource, Token, TokenSource};
use crate::{
    Auth, FetchError, Host, Reason,
    ecr::{EcrPublicSettings, EcrSettings, HostPlan, PrivatePlan},
};

/// A registry of the config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registry {
    /// The name by which pull Secrets, logs and metrics refer to it.
    pub name: Arc<str>,
    /// Where its token comes from.
    pub source: TokenSource,
    /// The hosts of its entries.
    hosts: Hosts,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Hosts {
    /// Those that the settings and ECR's reply say.
    Ecr(HostPlan),
    /// Those of the file.
    OfFile,
}

/// The hosts of the ECR registries, each with the name of its registry.
pub(super) type EcrHosts = BTreeMap<Host, Arc<str>>;

/// The entries of a registry, and the problem of its token.
#[derive(Debug, Default)]
pub(super) struct Derived {
    pub(super) entries: BTreeMap<Host, Auth>,
    pub(super) problem: Option<FetchError>,
}

impl Registry {
    /// A private ECR registry, in the region of its settings or else in `default_region`.
    #[must_use]
    pub fn ecr(name: Arc<str>, settings: EcrSettings, default_region: Option<&str>) -> Self {
        let EcrSettings { region, accounts, variants, identity, endpoint_url } = settings;
        let role_account = identity.assume_role.as_ref().map(|role| role.arn.account().to_owned());
        let own_endpoint = endpoint_url.is_some();
        let plan = PrivatePlan { accounts, variants, role_account, own_endpoint };
        let region = region.or_else(|| default_region.map(str::to_owned));
        let source = AwsSource { api: Api::Ecr, identity, region, endpoint_url };
        let hosts = Hosts::Ecr(HostPlan::Private(plan));
        Self { name, source: TokenSource::Aws(source), hosts }
    }

    /// ECR Public.
    #[must_use]
    pub fn ecr_public(name: Arc<str>, settings: EcrPublicSettings) -> Self {
        let EcrPublicSettings { identity, endpoint_url } = settings;
        let region = Some(Api::PUBLIC_REGION.to_owned());
        let source = AwsSource { api: Api::EcrPublic, identity, region, endpoint_url };
        Self { name, source: TokenSource::Aws(source), hosts: Hosts::Ecr(HostPlan::Public) }
    }

    /// A docker config file.
    #[must_use]
    pub fn file(name: Arc<str>, path: PathBuf) -> Self {
        Self { name, source: TokenSource::File(path), hosts: Hosts::OfFile }
    }

    fn region(&self) -> &str {
        match &self.source {
            TokenSource::Aws(source) => source.region.as_deref().unwrap_or_default(),
            TokenSource::File(_) => "",
        }
    }

    /// The hosts that an ECR registry serves with this token, or without one as far as they follow
    /// from its settings alone.
    pub(super) fn ecr_hosts(&self, token: Option<&Token>) -> BTreeSet<Host> {
        let Hosts::Ecr(plan) = &self.hosts else { return BTreeSet::new() };
        let of_token = match token {
            Some(Token::Ecr { host, .. }) => plan.hosts(self.region(), host.as_ref()).ok(),
            _ => None,
        };
        of_token.unwrap_or_else(|| plan.known(Some(self.region()))).into_iter().collect()
    }

    /// The entries that a token makes. An entry of a file for a host of an ECR registry is left out.
    pub(super) fn derive(&self, token: &Token, ecr_hosts: &EcrHosts) -> Derived {
        match (&self.hosts, token) {
            (Hosts::Ecr(plan), Token::Ecr { auth, host, .. }) => {
                match plan.hosts(self.region(), host.as_ref()) {
                    Ok(hosts) => Derived {
                        entries: hosts.into_iter().map(|host| (host, auth.clone())).collect(),
                        problem: None,
                    },
                    Err(mismatch) => Derived::failed(Reason::BadResponse, mismatch.to_string()),
                }
            }
            (Hosts::OfFile, Token::File(entries)) => self.derive_file(entries, ecr_hosts),
            // A source of one kind gives no token of the other.
            _ => Derived::default(),
        }
    }

    fn derive_file(&self, entries: &BTreeMap<Host, Auth>, ecr_hosts: &EcrHosts) -> Derived {
        let mut derived = Derived::default();
        for (host, auth) in entries {
            if let Some(registry) = ecr_hosts.get(host) {
                let TokenSource::File(path) = &self.source else { continue };
                let message = format!(
                    "{}: it has an entry for {host}, which the registry {registry} serves too; take \
                     it out of the file",
                    path.display()
                );
                derived.problem.get_or_insert(FetchError::new(Reason::File, message));
            } else {
                derived.entries.insert(host.clone(), auth.clone());
            }
        }
        derived
    }
}

impl Derived {
    fn failed(reason: Reason, message: String) -> Self {
        Self { entries: BTreeMap::new(), problem: Some(FetchError::new(reason, message)) }
    }
}
