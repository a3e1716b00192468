//! The registries: each gives credentials, which are dropped, or fails as it would for the daemon.

use std::sync::Arc;

use anyhow::Result;
use ecr_refresher_core::{
    Files, Random,
    aws::{Aws, Caller},
    clock::Clock,
    tokens::{Ask, CacheDocument, Fetched, Outcome, TokenStore},
};
use futures::future::join_all;
use jiff::Timestamp;
use serde::Serialize;

use crate::config::{self, Config};

/// The credentials of a registry.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RegistryFinding {
    registry: Arc<str>,
    /// The AWS identity of its calls; `None` if AWS did not say, or for a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// `None` for a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// Why it gives no credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The entries of a file that are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

/// Asks each source once, however many registries it has: first for the identity, which a denial names.
pub(super) async fn findings(config: &Config) -> Result<Vec<RegistryFinding>> {
    let clock = Clock::system();
    let aws = &Aws::load(clock.clone(), Files::system()).await?;
    let registries = config::registries(&config.registries, &aws.ecr_defaults());
    let mut store = TokenStore::new(Random::from_system());
    store.want(registries, config.at_fraction, clock.now());
    store.begin_term(1, &CacheDocument::default(), clock.now());
    let asked = store.due(clock.now()).into_iter().map(|Ask { id, source }| async move {
        let caller = aws.caller(&source).await.and_then(Result::ok);
        (id, caller, aws.fetch(&source).await)
    });
    let mut findings = Vec::new();
    for (id, caller, answer) in join_all(asked).await {
        let outcomes = store.answered(id, answer, clock.now());
        findings.extend(outcomes.into_iter().map(|it| RegistryFinding::new(it, caller.as_ref())));
    }
    let place =
        |it: &RegistryFinding| config.registries.iter().position(|one| one.name == it.registry);
    findings.sort_by_key(place);
    Ok(findings)
}

impl RegistryFinding {
    fn new(Outcome { registry, result }: Outcome, caller: Option<&Caller>) -> Self {
        let (arn, account) = caller.map(|it| (it.arn.clone(), it.account.clone())).unzip();
        let nothing = Self {
            registry,
            arn,
            account,
            expires_at: None,
            reason: None,
            message: None,
            warning: None,
        };
        match result {
            Ok(Fetched { expires_at, warning, .. }) => Self { expires_at, warning, ..nothing },
            Err(failed) => Self {
                reason: Some(failed.error.reason.as_str()),
                message: Some(failed.error.to_string()),
                ..nothing
            },
        }
    }

    /// Whether it gave credentials.
    pub(super) fn is_good(&self) -> bool {
        self.reason.is_none()
    }

    /// One line, and one of what it leaves out.
    pub(super) fn text(&self) -> String {
        let name = &self.registry;
        let identity = match (&self.arn, &self.account) {
            (Some(arn), Some(account)) => format!(", AWS identity {arn} (account {account})"),
            _ => String::new(),
        };
        let result = match (self.reason, &self.message, self.expires_at) {
            (Some(reason), Some(message), _) => format!("{reason}: {message}"),
            (_, _, Some(expires_at)) => format!("gives a token until {expires_at:.0}{identity}"),
            _ => "the file is readable".to_owned(),
        };
        let warning = self.warning.as_ref().map(|it| format!("registry {name}: warning: {it}\n"));
        format!("registry {name}: {result}\n{}", warning.unwrap_or_default())
    }
}
