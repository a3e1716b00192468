//! The keepers of all registries of the config, one task each.

use std::{collections::HashMap, sync::Arc};

use anyhow::{Result, anyhow};
use ecr_refresher_core::{
    Credentials, Registry, Source, TokenMetrics,
    aws::Aws,
    clock::Now,
    ecr::EcrSource,
    file::FileSource,
    keeper::{Keeper, Policy, Update},
};
use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, JoinSet},
};

use crate::config::{RegistrySettings, SourceSettings};

/// The keepers that run. They stop with this value.
#[derive(Debug)]
pub(crate) struct Keepers {
    aws: Aws,
    policy: watch::Sender<Policy>,
    metrics: TokenMetrics,
    now: Now,
    updates: mpsc::Sender<Update>,
    running: HashMap<Arc<str>, (SourceSettings, AbortHandle)>,
    tasks: JoinSet<Arc<str>>,
}

impl Keepers {
    /// No keepers yet. They will send what they get to `updates`.
    pub(crate) fn new(
        aws: Aws,
        metrics: TokenMetrics,
        now: Now,
        updates: mpsc::Sender<Update>,
    ) -> Self {
        Self {
            aws,
            policy: watch::Sender::new(Policy { at_fraction: 0.5, round: 0 }),
            metrics,
            now,
            updates,
            running: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Has every token replaced now.
    pub(crate) fn renew_all(&self) {
        self.policy.send_modify(|policy| policy.round += 1);
    }

    /// Has a keeper for each registry, and no others. One whose registry has not changed goes on as
    /// it was, and calls nobody. A new one begins with what is `known` of its registry.
    pub(crate) fn follow(
        &mut self,
        registries: &[RegistrySettings],
        at_fraction: f64,
        known: impl Fn(&RegistrySettings) -> Option<Arc<Credentials>>,
    ) {
        self.policy.send_if_modified(|policy| {
            let changed = policy.at_fraction.to_bits() != at_fraction.to_bits();
            policy.at_fraction = at_fraction;
            changed
        });
        let metrics = &self.metrics;
        self.running.retain(|name, (source, task)| {
            let stays =
                registries.iter().any(|wanted| wanted.name == *name && wanted.source == *source);
            if !stays {
                task.abort();
                metrics.forget(name);
            }
            stays
        });
        for registry in registries {
            if !self.running.contains_key(&registry.name) {
                let task = self.start(registry, known(registry));
                let source = registry.source.clone();
                self.running.insert(Arc::clone(&registry.name), (source, task));
            }
        }
    }

    /// Waits until a keeper ends that was not told to, which is an error.
    pub(crate) async fn ended(&mut self) -> Result<()> {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(name)) => {
                    return Err(anyhow!("the keeper of the registry {name} has ended"));
                }
                Some(Err(error)) if error.is_cancelled() => {}
                Some(Err(error)) => return Err(anyhow!(error).context("a keeper panicked")),
                None => std::future::pending().await,
            }
        }
    }

    fn start(
        &mut self,
        registry: &RegistrySettings,
        held: Option<Arc<Credentials>>,
    ) -> AbortHandle {
        let name = Arc::clone(&registry.name);
        let registry = make_registry(registry, &self.aws);
        let policy = self.policy.subscribe();
        let keeper = Keeper::new(registry, held, policy, self.metrics.clone(), self.now);
        let updates = self.updates.clone();
        self.tasks.spawn(async move {
            keeper.run(updates).await;
            name
        })
    }
}

/// The registry that settings describe, which `aws` knows how to ask.
pub(crate) fn make_registry(settings: &RegistrySettings, aws: &Aws) -> Registry {
    let name = Arc::clone(&settings.name);
    let source = match settings.source.clone() {
        SourceSettings::Ecr(settings) => Source::Ecr(EcrSource::new(name, aws, settings)),
        SourceSettings::EcrPublic(settings) => Source::Ecr(EcrSource::public(name, aws, &settings)),
        SourceSettings::File(path) => {
            Source::File(FileSource { path, served: aws.served().clone() })
        }
    };
    Registry { name: Arc::clone(&settings.name), source }
}

/// Without keepers, nobody knows of the tokens' times any more.
impl Drop for Keepers {
    fn drop(&mut self) {
        for name in self.running.keys() {
            self.metrics.forget(name);
        }
    }
}
