//! How long a new namespace waits for its copy.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use ecr_refresher_tests::daemon::Daemon;
use futures::{StreamExt, future::try_join_all};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, WatchEvent, WatchParams},
};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::{
    floor,
    population::make_namespace,
    progress::say,
    stage::{SECRET, Stage, writes, written},
    traffic::ELSEWHERE,
};

/// A copy that is not there by then never will be.
const PATIENCE: Duration = Duration::from_mins(2);
/// Namespaces that are made at once while all copies are refreshed.
const MAKERS: usize = 4;
/// As many refreshes at the most, to have enough samples.
const REFRESHES: usize = 5;

/// Waits for copies, and single writes beside them.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    /// From the request that makes a namespace until a watch shows its copy.
    pub(crate) copies: Vec<Duration>,
    /// Single writes, in the same stretch of time.
    pub(crate) writes: Vec<Duration>,
}

/// What the watch of the copies has shown.
#[derive(Default)]
struct Seen {
    /// The waiting tasks by the namespace of their copy.
    waiting: Mutex<HashMap<String, oneshot::Sender<()>>>,
    /// How often a copy was written that was there.
    changes: AtomicUsize,
}

impl Seen {
    fn waiting(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changes(&self) -> usize {
        self.changes.load(Ordering::Relaxed)
    }

    /// Wakes the tasks that wait for it.
    fn note(&self, copy: &impl ResourceExt) {
        if let Some(wake) = self.waiting().remove(&copy.namespace().unwrap_or_default()) {
            // The task may have given up.
            let _ = wake.send(());
        }
    }
}

/// Makes namespaces, and sees when their copies come.
pub(crate) struct Newcomers<'a> {
    admin: Client,
    daemon: Client,
    stage: &'a Stage,
    seen: Arc<Seen>,
    watch: JoinHandle<Result<()>>,
    /// All that were made.
    pub(crate) names: Vec<String>,
}

impl<'a> Newcomers<'a> {
    pub(crate) async fn start(stage: &'a Stage) -> Result<Self> {
        let (admin, daemon) = (stage.admin(), stage.installation.client().await?);
        let seen = Arc::<Seen>::default();
        let api = Api::<Secret>::all(admin.clone());
        let listed = api.list_metadata(&ListParams::default().limit(1)).await?;
        let version = listed.metadata.resource_version.context("a list without a version")?;
        let watch = tokio::spawn(watch(api, version, Arc::clone(&seen)));
        Ok(Self { admin, daemon, stage, seen, watch, names: Vec::new() })
    }

    /// One at a time, in a system at rest.
    pub(crate) async fn idle(&mut self, samples: usize) -> Result<Latency> {
        let mut latency = Latency::default();
        for _ in 0..samples {
            let name = self.next_name();
            latency.copies.push(self.copy(&name).await?);
            latency.writes.push(self.write().await?);
        }
        Ok(latency)
    }

    /// Several at a time, while all copies are refreshed.
    pub(crate) async fn under_load(&mut self, daemon: &Daemon, samples: usize) -> Result<Latency> {
        say("  daemon: new namespaces, while all copies are refreshed");
        let mut latency = Latency::default();
        for _ in 0..REFRESHES {
            let before = writes(daemon).await?;
            let copies = count_copies(self.stage).await?;
            let seen = self.seen.changes();
            self.stage.force_refresh().await?;
            written(daemon, before + 1).await?;
            while self.seen.changes() + 2 * MAKERS < seen + copies {
                let names: Vec<_> = (0..MAKERS).map(|_| self.next_name()).collect();
                let pairs = names.iter().map(async |name| {
                    let copy = self.copy(name).await?;
                    Ok::<_, anyhow::Error>((copy, self.write().await?))
                });
                for (copy, write) in try_join_all(pairs).await? {
                    latency.copies.push(copy);
                    latency.writes.push(write);
                }
            }
            written(daemon, before + copies).await?;
            if latency.copies.len() >= samples {
                break;
            }
        }
        Ok(latency)
    }

    fn next_name(&mut self) -> String {
        let name = format!("new-{:08x}", fastrand::u32(..));
        self.names.push(name.clone());
        name
    }

    async fn copy(&self, namespace: &str) -> Result<Duration> {
        let (wake, woken) = oneshot::channel();
        self.seen.waiting().insert(namespace.to_owned(), wake);
        let begun = Instant::now();
        make_namespace(&self.admin, namespace).await?;
        match timeout(PATIENCE, woken).await {
            Ok(Ok(())) => Ok(begun.elapsed()),
            _ if self.watch.is_finished() => bail!("the watch of copies has ended"),
            _ => bail!("the namespace {namespace} got no copy within {PATIENCE:?}"),
        }
    }

    /// One write.
    async fn write(&self) -> Result<Duration> {
        let secret = floor::pull_secret(SECRET)?;
        let begun = Instant::now();
        floor::write(&self.daemon, ELSEWHERE, &secret).await?;
        Ok(begun.elapsed())
    }
}

impl Drop for Newcomers<'_> {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// How many copies there are that a refresh writes.
async fn count_copies(stage: &Stage) -> Result<usize> {
    let named = ListParams::default().fields(&format!("metadata.name={SECRET}"));
    let copies = Api::<Secret>::all(stage.admin()).list_metadata(&named).await?.items;
    let is_wanted = |copy: &String| crate::population::is_listed(copy);
    Ok(copies.iter().filter_map(ResourceExt::namespace).filter(is_wanted).count())
}

/// Watches the copies.
async fn watch(api: Api<Secret>, mut version: String, seen: Arc<Seen>) -> Result<()> {
    let named = WatchParams::default().fields(&format!("metadata.name={SECRET}"));
    // The server ends each after a while, and a bookmark is the last that it says.
    loop {
        let mut events = api.watch_metadata(&named, &version).await?.boxed();
        while let Some(event) = events.next().await {
            match event? {
                WatchEvent::Added(copy) => {
                    seen.note(&copy);
                    version = copy.resource_version().unwrap_or(version);
                }
                WatchEvent::Modified(copy) => {
                    seen.changes.fetch_add(1, Ordering::Relaxed);
                    version = copy.resource_version().unwrap_or(version);
                }
                WatchEvent::Deleted(copy) => {
                    version = copy.resource_version().unwrap_or(version);
                }
                WatchEvent::Bookmark(bookmark) => version = bookmark.metadata.resource_version,
                WatchEvent::Error(status) => bail!("the watch of copies failed: {status:?}"),
            }
        }
    }
}
