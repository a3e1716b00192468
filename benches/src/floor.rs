//! The floor: what the same work takes a bare loop around the Kubernetes client, on one thread, with
//! the daemon's rights, bodies and number of connections.

use std::{fmt::Debug, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use ecr_refresher_core::{Auth, Credentials, Entry, Lifetime, dockerconfig::DockerConfig};
use ecr_refresher_sync::{
    desired::{
        allow_list::AllowList,
        manifest::Manifest,
        settings::{OnConflict, PullSecret},
    },
    release::Release,
};
use ecr_refresher_tests::fake_aws::PASSWORD_MARKER;
use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Client, Config, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{PartialObjectMeta, Selector},
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use crate::{measure::passes::BETWEEN_PASSES, stage::CONCURRENCY};

/// What the fake AWS gives tokens for, and how long its passwords are.
const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const PASSWORD_LENGTH: usize = 1800;
/// How many objects of a list are asked for at once.
const PAGE: u32 = 500;

/// Does what the daemon does, and nothing else.
pub(crate) struct Floor {
    kubeconfig: PathBuf,
    secrets: &'static [&'static str],
}

impl Floor {
    pub(crate) fn new(kubeconfig: PathBuf, secrets: &'static [&'static str]) -> Self {
        Self { kubeconfig, secrets }
    }

    /// Lists the namespaces, and writes a copy into each that `listed` says; then writes them all
    /// again, after a rest and over the same connections, as the daemon does.
    pub(crate) async fn rollout_and_refresh(&self, listed: fn(&str) -> bool) -> Result<()> {
        let bodies =
            || self.secrets.iter().map(|name| pull_secret(name)).collect::<Result<Vec<_>>>();
        let (first, second) = (bodies()?, bodies()?);
        self.on_one_thread(move |client| async move {
            let api = Api::<Namespace>::all(client.clone());
            let mut names = Vec::new();
            list(&api, None, |namespace| names.push(namespace.name_any())).await?;
            names.retain(|name| listed(name));
            apply(&client, &names, &first).await?;
            sleep(BETWEEN_PASSES).await;
            apply(&client, &names, &second).await
        })
        .await
    }

    /// Lists the namespaces and the copies, both at once. Says how long that takes.
    pub(crate) async fn lists(&self) -> Result<Duration> {
        let secrets = self.secrets;
        self.on_one_thread(move |client| async move {
            let begun = Instant::now();
            let namespaces = Api::<Namespace>::all(client.clone());
            let copies = Api::<Secret>::all(client);
            let named = |name| Some(format!("metadata.name={name}"));
            let copies = secrets.iter().map(|name| list(&copies, named(name), drop));
            tokio::try_join!(list(&namespaces, None, drop), try_join_all(copies))?;
            Ok(begun.elapsed())
        })
        .await
    }

    /// The client belongs to the thread's runtime, and so do its connections: each time new ones.
    async fn on_one_thread<T, F>(&self, job: impl FnOnce(Client) -> F + Send + 'static) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>>,
    {
        let path = self.kubeconfig.clone();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let options = KubeConfigOptions::default();
                let kubeconfig = Kubeconfig::read_from(path)?;
                let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
                // As in the daemon.
                config.default_retry = false;
                job(Client::try_from(config)?).await
            })
        };
        tokio::task::spawn_blocking(run).await?
    }
}

/// Writes a copy into each namespace, [`CONCURRENCY`] at a time.
async fn apply(client: &Client, names: &[String], secrets: &[Secret]) -> Result<()> {
    let all = secrets.iter().flat_map(|secret| names.iter().map(move |name| (name, secret)));
    let writes = all.map(|(name, secret)| write(client, name, secret));
    stream::iter(writes).buffer_unordered(CONCURRENCY).try_collect().await
}

/// The release that the floor writes for: that of the daemon, as the admission policy refuses another.
fn release() -> Release {
    Release::new("ecr-refresher-home", "ecr-refresher")
}

/// Writes one copy.
pub(crate) async fn write(client: &Client, namespace: &str, secret: &Secret) -> Result<()> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    let release = release();
    let parameters = PatchParams::apply(release.manager());
    api.patch_metadata(&secret.name_any(), &parameters, &Patch::Apply(secret))
        .await
        .with_context(|| format!("writing the Secret of {namespace}"))?;
    Ok(())
}

async fn list<K>(
    api: &Api<K>,
    fields: Option<String>,
    mut take: impl FnMut(PartialObjectMeta<K>),
) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let mut page = ListParams { field_selector: fields, ..ListParams::default().limit(PAGE) };
    loop {
        let listed = api.list_metadata(&page).await?;
        listed.items.into_iter().for_each(&mut take);
        page.continue_token = listed.metadata.continue_.filter(|token| !token.is_empty());
        if page.continue_token.is_none() {
            return Ok(());
        }
    }
}

/// A copy as the daemon renders it, with a new password.
pub(crate) fn pull_secret(name: &str) -> Result<Secret> {
    let random = std::iter::repeat_with(fastrand::alphanumeric);
    let password = PASSWORD_MARKER.chars().chain(random).take(PASSWORD_LENGTH).collect::<String>();
    let now = Timestamp::now();
    let lifetime = Lifetime::starting(now, now + SignedDuration::from_hours(12));
    let auth = Auth::from_user_and_password("AWS", &password).context("no auth")?;
    let config = DockerConfig::merge([&Credentials {
        entries: [(HOST.to_owned(), Entry::of_auth(&auth))].into(),
        lifetime: Some(lifetime.context("no life")?),
    }]);
    let secret = PullSecret {
        name: name.to_owned(),
        registries: vec![Arc::from("main")],
        allow_list: AllowList::new(vec!["*".to_owned()], vec![], Selector::default())?,
        service_accounts: Vec::new(),
        on_conflict: OnConflict::Skip,
        take_over: Vec::new(),
        labels: [].into(),
        annotations: [].into(),
    };
    let manifest = Manifest::render(&secret, &release(), &config.context("no document")?)?;
    Ok(serde_json::from_slice(&manifest.body)?)
}
