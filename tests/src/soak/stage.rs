//! What a soak runs on: namespaces, the fake AWS, and the replicas between them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Client, api::PostParams};
use serde_json::json;

use super::{
    Output,
    config::{Config, PULL, SECRETS, SELECTED, host},
    expectation::{CopyId, Expectation},
    fault::Edit,
    journal::Journal,
    observation::Observation,
    replicas::Replicas,
    rules::Foreign,
};
use crate::{
    cluster, control_plane::ControlPlane, daemon::Installation, fake_aws::FakeAws, wait::eventually,
};

/// How long a token lives.
pub(super) const LIFE: Duration = Duration::from_mins(1);
/// How long the first copies may take.
const SET_UP: Duration = Duration::from_mins(1);

/// The namespaces at first, and whether the selector selects them.
const NAMESPACES: [(&str, bool); 9] = [
    ("soak-team-0", true),
    ("soak-team-1", true),
    ("soak-team-2", true),
    ("soak-team-3", true),
    ("soak-team-4", false),
    ("soak-team-5", false),
    ("soak-wide-0", false),
    ("soak-wide-1", false),
    ("soak-wide-2", false),
];
/// Has a Secret with the name of a pull Secret that is a tenant's own.
const FOREIGN: &str = "soak-team-foreign";
/// Is on no list.
const OUTSIDE: &str = "soak-outside";

/// Everything that runs. Dropped, it ends: what uses another goes first.
pub(super) struct Stage {
    pub(super) replicas: Replicas,
    pub(super) installation: Installation,
    pub(super) aws: FakeAws,
    pub(super) client: Client,
    pub(super) journal: Journal,
    pub(super) foreign: Foreign,
    expectation: Mutex<Expectation>,
    backups: Mutex<BTreeMap<CopyId, ByteString>>,
}

impl Stage {
    /// Sets everything up, and waits until the first copies are there.
    pub(super) async fn set_up(control_plane: &Arc<ControlPlane>, output: Output) -> Result<Self> {
        let client = control_plane.admin_client();
        let aws = FakeAws::start().await?;
        aws.set_token_life(LIFE);
        let mut expectation = Expectation::default();
        for (namespace, is_selected) in NAMESPACES {
            create_namespace(&client, namespace, is_selected).await?;
            expectation.set_namespace(namespace, is_selected, Timestamp::now());
        }
        let foreign = set_up_foreign(&client).await?;
        // The admission policy knows the labels of the config, as after the upgrade that adds one.
        let labelled = Config { edit: Some(Edit::Label) };
        let installation = Installation::new(control_plane, "soak", labelled.value()).await?;
        std::fs::write(installation.config(), Config::default().text())?;
        let replicas = Replicas::start(&client, &installation, &aws).await?;
        let wanted = expectation.copies();
        let first = eventually("the first copies", SET_UP, async || {
            let seen = Observation::take(&client, &aws).await?;
            let missing: Vec<_> =
                wanted.keys().filter(|copy| !seen.secrets.contains_key(*copy)).collect();
            ensure!(missing.is_empty(), "there are none in {missing:?}");
            Ok(())
        });
        first.await?;
        let journal = Journal::new(output);
        let (expectation, backups) = (Mutex::new(expectation), Mutex::default());
        let stage =
            Self { replicas, installation, aws, client, journal, foreign, expectation, backups };
        for copy in wanted.keys() {
            stage.back_up(copy).await?;
        }
        Ok(stage)
    }

    /// What should be there.
    pub(super) fn expectation(&self) -> MutexGuard<'_, Expectation> {
        self.expectation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a copy holds now, unless something older is kept. Whether there is such a copy.
    pub(super) async fn back_up(&self, copy: &CopyId) -> Result<bool> {
        let (namespace, name) = copy;
        let secret = cluster::secret(&self.client, namespace, name).await?;
        let Some(data) = secret.and_then(|secret| secret.data) else { return Ok(false) };
        let document = data.get(".dockerconfigjson").context("a copy without a document")?;
        let mut backups = self.backups.lock().unwrap_or_else(PoisonError::into_inner);
        backups.entry(copy.clone()).or_insert_with(|| document.clone());
        Ok(true)
    }

    /// The oldest document of a copy that is known, in base64.
    pub(super) fn backup(&self, copy: &CopyId) -> Option<String> {
        let backups = self.backups.lock().unwrap_or_else(PoisonError::into_inner);
        backups.get(copy).map(|document| STANDARD.encode(&document.0))
    }
}

/// Makes a namespace, with the label of the selector or without it.
pub(super) async fn create_namespace(client: &Client, name: &str, selected: bool) -> Result<()> {
    let labels: &[_] = if selected { &[SELECTED] } else { &[] };
    cluster::create_namespace(client, name, labels).await
}

/// The Secrets that the daemon must leave alone.
async fn set_up_foreign(client: &Client) -> Result<Foreign> {
    create_namespace(client, FOREIGN, false).await?;
    create_namespace(client, OUTSIDE, true).await?;
    let document =
        json!({ "auths": { host("eu-west-1"): { "auth": STANDARD.encode("me:mine") } } });
    let secret: Secret = serde_json::from_value(json!({
        "metadata": { "name": PULL },
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": { ".dockerconfigjson": document.to_string() },
    }))?;
    let secrets = Api::<Secret>::namespaced(client.clone(), FOREIGN);
    let secret = secrets.create(&PostParams::default(), &secret).await?;
    let version = secret.metadata.resource_version;
    let mut foreign = Foreign::from([((FOREIGN.to_owned(), PULL), version)]);
    foreign.extend(SECRETS.map(|secret| ((OUTSIDE.to_owned(), secret), None)));
    Ok(foreign)
}
