//! Checks the permissions that a config needs, and the AWS identity.

use std::fmt::Write;

use anyhow::{Context, Result};
use ecr_refresher_core::{
    FetchError, Files,
    aws::{Aws, Caller},
    clock::Clock,
};
use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};
use serde::Serialize;

use super::rights::{Right, Runs, needed};
use crate::{
    admission::{self, REMEDY, Verification},
    cli::CheckArgs,
    config::{self, Config, RegistrySettings},
    kubernetes,
    words::plural,
};

/// How many questions may be asked at once.
const AT_ONCE: usize = 8;

/// The findings.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Findings {
    /// How many rights the config needs.
    rights: usize,
    missing_rights: Vec<Right>,
    admission_policy: Verification,
    identities: Vec<Identified>,
}

/// The AWS identity of a registry.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Identified {
    registry: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Asks both.
pub(super) async fn check(args: &CheckArgs, config: &Config) -> Result<Findings> {
    let client = kubernetes::client(&args.cluster, "check").await?;
    let home = args.home.home(client.default_namespace());
    let runs = if args.once { Runs::Once } else { Runs::Always };
    let rights = needed(config, &home, runs);
    let count = rights.len();
    let missing_rights = missing(&client, rights).await?;
    // A valid config has a pull Secret.
    let secret = config.sync.secrets.first().map_or("", |secret| &secret.name);
    let admission_policy = admission::verify(&client, &home, secret).await;
    let identities = identities(&config.registries).await?;
    Ok(Findings { rights: count, missing_rights, admission_policy, identities })
}

/// The rights that the caller does not have, in their order.
async fn missing(client: &Client, rights: Vec<Right>) -> Result<Vec<Right>> {
    let asked = stream::iter(rights).map(|right| async {
        let allowed = is_allowed(client, &right).await;
        allowed.map(|allowed| (right, allowed))
    });
    let answers: Vec<_> = asked.buffered(AT_ONCE).try_collect().await?;
    Ok(answers.into_iter().filter(|(_, allowed)| !allowed).map(|(right, _)| right).collect())
}

async fn is_allowed(client: &Client, right: &Right) -> Result<bool> {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                verb: Some(right.verb.to_owned()),
                group: Some(right.group.to_owned()),
                resource: Some(right.resource.to_owned()),
                name: right.name.clone(),
                namespace: right.namespace.clone(),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = api.create(&PostParams::default(), &review).await;
    let answer = answer.context("the API server does not list the rights of this user")?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// One call for each identity, however many registries it has.
async fn identities(registries: &[RegistrySettings]) -> Result<Vec<Identified>> {
    let aws = &Aws::load(Clock::system(), Files::system()).await?;
    let registries = config::registries(registries, &aws.ecr_defaults());
    let asked = registries.iter().map(|registry| async {
        let caller = aws.caller(&registry.source).await?;
        Some(Identified::new(&registry.name, caller))
    });
    Ok(join_all(asked).await.into_iter().flatten().collect())
}

impl Identified {
    fn new(registry: &str, caller: Result<Caller, FetchError>) -> Self {
        let registry = registry.to_owned();
        let nothing = Self { registry, arn: None, account: None, reason: None, message: None };
        match caller {
            Ok(Caller { arn, account }) => {
                Self { arn: Some(arn), account: Some(account), ..nothing }
            }
            Err(error) => Self {
                reason: Some(error.reason.as_str()),
                message: Some(error.to_string()),
                ..nothing
            },
        }
    }
}

impl Findings {
    /// Whether nothing is missing.
    pub(super) fn is_good(&self) -> bool {
        self.missing_rights.is_empty()
            && !matches!(self.admission_policy, Verification::Missing(_))
            && self.identities.iter().all(|found| found.arn.is_some())
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String never fails.
        for found in &self.identities {
            let Identified { registry, arn, account, reason, message } = found;
            let _ = match (arn, account, reason, message) {
                (Some(arn), Some(account), ..) => {
                    writeln!(text, "registry {registry}: AWS identity {arn} (account {account})")
                }
                (_, _, Some(reason), Some(message)) => {
                    writeln!(text, "registry {registry}: {reason}: {message}")
                }
                _ => Ok(()),
            };
        }
        for right in &self.missing_rights {
            let _ = writeln!(text, "missing right: {right}");
        }
        let _ = match &self.admission_policy {
            Verification::Enforced => writeln!(text, "the admission policy is enforced"),
            Verification::Missing(namespace) => writeln!(
                text,
                "the admission policy is missing: the API server accepts a forbidden Secret in \
                 {namespace}; {REMEDY}"
            ),
            Verification::Unknown(problem) => {
                writeln!(text, "could not verify the admission policy: {problem}")
            }
        };
        let rights = plural(self.rights as u64, "right", "rights");
        let missing = self.missing_rights.len();
        let _ = match missing {
            0 => writeln!(text, "all {rights} in the cluster are granted"),
            _ => writeln!(text, "{missing} of {rights} in the cluster are missing"),
        };
        text
    }
}
