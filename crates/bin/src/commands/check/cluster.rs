//! Checks the permissions that a config needs, the admission policy and the registries.

use std::fmt::Write;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};
use serde::Serialize;
use serde_json::Value;

use super::{
    grant,
    registries::{self, RegistryFinding},
    rights::{Right, Runs, needed},
};
use crate::{
    admission::{self, REMEDY, Verification},
    cli::CheckArgs,
    config::Config,
    kubernetes,
    words::plural,
};

/// How many questions may be asked at once.
const AT_ONCE: usize = 8;

/// The findings.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Findings {
    /// The URL of the API server.
    server: String,
    /// The user that has these rights.
    user: String,
    /// How many rights the config needs.
    rights: usize,
    missing_rights: Vec<Right>,
    /// The objects that grant the missing rights.
    grant: Vec<Value>,
    admission_policy: Verification,
    registries: Vec<RegistryFinding>,
}

/// Asks the API server and each registry.
pub(super) async fn check(args: &CheckArgs, config: &Config) -> Result<Findings> {
    let cluster = kubernetes::cluster(&args.cluster, "check", args.user.as_deref()).await?;
    let kubernetes::Cluster { client, server } = cluster;
    let home = args.home.home(client.default_namespace());
    let user =
        kubernetes::user(&client).await.with_context(|| format!("the API server at {server}"))?;
    let runs = if args.once { Runs::Once } else { Runs::Always };
    let rights = needed(config, &home, runs);
    let count = rights.len();
    let missing_rights = missing(&client, rights).await?;
    let grant = grant::objects(&missing_rights, &user, &home);
    // A valid config has a pull Secret.
    let secret = config.sync.secrets.first().map_or("", |secret| &secret.name);
    let admission_policy = admission::verify(&client, &home, secret).await;
    let registries = registries::findings(config).await?;
    Ok(Findings {
        server,
        user,
        rights: count,
        missing_rights,
        grant,
        admission_policy,
        registries,
    })
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

impl Findings {
    /// Whether nothing is missing.
    pub(super) fn is_good(&self) -> bool {
        self.missing_rights.is_empty()
            && !matches!(self.admission_policy, Verification::Missing(_))
            && self.registries.iter().all(RegistryFinding::is_good)
    }

    pub(super) fn text(&self) -> Result<String> {
        let mut text: String = self.registries.iter().map(RegistryFinding::text).collect();
        // Writing to a String never fails.
        let _ = writeln!(text, "as {} at {}:", self.user, self.server);
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
            _ => writeln!(
                text,
                "{missing} of {rights} in the cluster are missing; upgrade the chart with this config, or \
                 apply:\n{}",
                grant::yaml(&self.grant)?.trim_end()
            ),
        };
        Ok(text)
    }
}
