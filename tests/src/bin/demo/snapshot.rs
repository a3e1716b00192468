//! What there is at one moment: of the API server as an administrator sees it, and of the daemon.

use std::collections::BTreeMap;

use anyhow::Result;
use ecr_refresher_tests::{cluster, fake_aws::IssuedToken};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{Api, ResourceExt, api::ListParams};

use super::counts::Counts;
use super::stage::{HOST, LEADER, SECRET, Stage};

/// Kubernetes' own namespaces, which only make the table longer.
const HIDDEN: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Everything that is shown.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) taken_at: Timestamp,
    pub(crate) namespaces: Vec<NamespaceView>,
    /// Nothing while no daemon leads, or serves them.
    pub(crate) counts: Option<Counts>,
    /// How many tokens AWS has issued.
    pub(crate) issued: usize,
}

/// A namespace.
#[derive(Clone, Debug)]
pub(crate) struct NamespaceView {
    pub(crate) name: String,
    /// Whether it is on the list, by the daemon's word.
    pub(crate) is_listed: Option<bool>,
    /// The Secret with the name of the pull Secret in it, with any owner.
    pub(crate) secret: Option<SecretView>,
}

/// A Secret. Its password stays where it is.
#[derive(Clone, Debug)]
pub(crate) struct SecretView {
    /// Whether it says that the daemon manages it.
    pub(crate) is_ours: bool,
    /// Which of the issued tokens it holds.
    pub(crate) token: Option<TokenView>,
}

/// A token: the first one has the number 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenView {
    pub(crate) number: usize,
    pub(crate) expires_at: Timestamp,
}

impl Snapshot {
    /// Looks at everything.
    pub(crate) async fn take(stage: &Stage) -> Result<Self> {
        let client = stage.client();
        let namespaces =
            Api::<Namespace>::all(client.clone()).list_metadata(&ListParams::default()).await?;
        let secrets = cluster::secrets(&client, SECRET).await?;
        let counts = stage.counts(LEADER).await.ok().filter(|counts| counts.leads);
        let issued = stage.aws.issued();
        let mut secrets: BTreeMap<_, _> = secrets
            .iter()
            .map(|secret| (secret.namespace(), SecretView::of(secret, &issued)))
            .collect();
        let names = namespaces.items.iter().map(ResourceExt::name_any);
        let shown = names.filter(|name| !HIDDEN.contains(&name.as_str()));
        Ok(Self {
            taken_at: Timestamp::now(),
            namespaces: shown
                .map(|name| NamespaceView {
                    is_listed: counts.as_ref().map(|counts| counts.listed.contains(&name)),
                    secret: secrets.remove(&Some(name.clone())),
                    name,
                })
                .collect(),
            counts,
            issued: issued.len(),
        })
    }
}

impl SecretView {
    fn of(secret: &Secret, issued: &[IssuedToken]) -> Self {
        Self {
            is_ours: secret.annotations().contains_key("ecr-refresher.io/kept-by"),
            token: TokenView::of(secret, issued),
        }
    }
}

impl TokenView {
    /// The token that a Secret holds, if it is one that AWS has issued.
    pub(crate) fn of(secret: &Secret, issued: &[IssuedToken]) -> Option<Self> {
        let password = cluster::password(secret, HOST).ok()?;
        let index = issued.iter().position(|token| token.password == password)?;
        Some(Self { number: index + 1, expires_at: issued[index].expires_at })
    }
}
