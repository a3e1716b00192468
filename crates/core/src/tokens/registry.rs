//! A registry turns the token of its source into entries. Pure.

mod expected;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::source::{Api, AwsSource, FileEntries, Token, TokenSource};
use crate::{
    Entry, FetchError, Host, Reason,
    ecr::{EcrDefaults, EcrPublicSettings, EcrSettings, HostPlan, PrivatePlan},
    shorten,
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

/// The entries of a registry, and what is wrong with its token.
#[derive(Debug, Default)]
pub(super) struct Derived {
    pub(super) entries: BTreeMap<String, Entry>,
    /// The errors to fix.
    pub(super) problem: Option<FetchError>,
    /// Entries that are left out and are no error: docker writes entries without credentials.
    pub(super) warning: Option<String>,
}

impl Registry {
    /// A private ECR registry. The defaults stand for missing settings.
    #[must_use]
    pub fn ecr(name: Arc<str>, settings: EcrSettings, defaults: &EcrDefaults) -> Self {
        let EcrSettings { region, accounts, mut variants, identity, endpoint_url } = settings;
        let role_account = identity.roles.last().map(|role| role.arn.account().to_owned());
        let own_endpoint = endpoint_url.is_some() || defaults.own_endpoint;
        let region = region.or_else(|| defaults.region.clone());
        if variants.is_empty() {
            variants = defaults.variants(region.as_deref());
        }
        let plan = PrivatePlan { accounts, variants, role_account, own_endpoint };
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

    /// The entries that a token makes. An entry of a file is left out if nobody can pull with it, or if an ECR
    /// registry has one with the same key.
    pub(super) fn derive(&self, token: &Token, ecr_hosts: &EcrHosts) -> Derived {
        match (&self.hosts, token) {
            (Hosts::Ecr(plan), Token::Ecr { auth, host, .. }) => {
                match plan.hosts(self.region(), host.as_ref()) {
                    Ok(hosts) => Derived {
                        entries: hosts
                            .into_iter()
                            .map(|host| (host.to_string(), Entry::of_auth(auth)))
                            .collect(),
                        ..Derived::default()
                    },
                    Err(mismatch) => Derived::failed(Reason::BadResponse, mismatch.to_string()),
                }
            }
            (Hosts::OfFile, Token::File(entries)) => self.derive_file(entries, ecr_hosts),
            // A source of one kind gives no token of the other.
            _ => Derived::default(),
        }
    }

    fn derive_file(&self, file: &FileEntries, ecr_hosts: &EcrHosts) -> Derived {
        let TokenSource::File(path) = &self.source else { return Derived::default() };
        let unusable = file.left_out.iter().map(|(key, error)| format!("{key:?}: {error}"));
        let (mut entries, mut served) = (BTreeMap::new(), Vec::new());
        for (key, entry) in &file.usable {
            if let Some(registry) = ecr_hosts.get(key.as_str()) {
                served.push(format!("{key:?}: the registry {registry} serves it too"));
            } else {
                entries.insert(key.clone(), entry.clone());
            }
        }
        let is_served = !served.is_empty();
        let left_out: Vec<_> = served.into_iter().chain(unusable).collect();
        let text = (!left_out.is_empty())
            .then(|| format!("{}: left out {}", path.display(), shorten(&left_out.join("; "))));
        if is_served {
            let problem = text.map(|text| FetchError::new(Reason::File, text));
            Derived { entries, problem, warning: None }
        } else {
            Derived { entries, problem: None, warning: text }
        }
    }
}

impl Derived {
    fn failed(reason: Reason, message: String) -> Self {
        Self { problem: Some(FetchError::new(reason, message)), ..Self::default() }
    }
}
