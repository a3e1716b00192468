//! The commands that only read the config, and the cluster with the caller's permissions.

mod counts;
mod explain;
#[cfg(test)]
mod fixture;
mod header;
mod left;
mod listing;
mod plan;
mod progress;
mod reasons;
mod selection;
mod show;
mod status;
mod table;

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::Context;
use ecr_refresher_core::clock::Clock;
use ecr_refresher_sync::{
    release::Release,
    report::{CopyState, copy_view::CopyView},
    snapshot::Snapshot,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};

use self::progress::Progress;
pub(crate) use self::{explain::explain, plan::plan, status::status};
use crate::{
    cli::{DEFAULT_CONFIG, InspectArgs},
    config::{self, Config, Locations},
    failure::Failure,
    kubernetes::{self, Cluster},
};

/// The key of the config in its `ConfigMap`.
const CONFIG_KEY: &str = "config.yaml";

/// A snapshot of the cluster, and the config.
struct Inspection {
    config: Config,
    locations: Locations,
    snapshot: Snapshot,
    /// A hint that the arguments may be wrong, for standard error.
    note: String,
}

/// Reads the config, and then the cluster: all of it, or one namespace. Also returns the cluster.
async fn inspect(
    args: &InspectArgs,
    command: &str,
    only: Option<&str>,
) -> Result<(Inspection, Cluster), Failure> {
    let file = args.config.existing();
    let name = args.release("").name().to_owned();
    let of_file =
        file.as_deref().map(|file| config::load_with_locations(file, &name)).transpose()?;
    let cluster = kubernetes::cluster(&args.cluster, command, None).await?;
    let client = &cluster.client;
    let (config, locations) = match of_file {
        Some(loaded) => loaded,
        None => of_config_map(client, &args.release(client.default_namespace())).await?,
    };
    // Nothing here is shown in less than seconds.
    let now = Timestamp::from_second(Clock::system().wall().as_second()).unwrap_or_default();
    let release = args.release(client.default_namespace());
    let progress = Progress::start();
    let count = || progress.count();
    let snapshot = Snapshot::take(client, &config.sync, release.clone(), only, now, &count).await;
    let snapshot = snapshot.map_err(anyhow::Error::new)?;
    let note = other_release(&snapshot, &release);
    Ok((Inspection { config, locations, snapshot, note }, cluster))
}

/// The config in the `ConfigMap` that the chart makes for a release.
async fn of_config_map(client: &Client, release: &Release) -> Result<(Config, Locations), Failure> {
    let config_maps: Api<ConfigMap> = Api::namespaced(client.clone(), release.namespace());
    let found = config_maps.get_opt(release.name()).await.context("cannot read the config")?;
    let text = found.and_then(|found| found.data?.remove(CONFIG_KEY)).with_context(|| {
        format!(
            "there is no config: {DEFAULT_CONFIG} is missing, and there is no ConfigMap {} with the key \
             `{CONFIG_KEY}` in the namespace {}; name a file with --config, or the release with --release",
            release.name(),
            release.namespace()
        )
    })?;
    let place = PathBuf::from(format!("ConfigMap {release}"));
    Ok(config::parse_with_locations(&place, &text, release.name())?)
}

/// A hint where no copy is of this release and some are of others: the arguments may name the wrong home.
fn other_release(snapshot: &Snapshot, release: &Release) -> String {
    let mut others = BTreeSet::new();
    for view in snapshot.copies() {
        if view.is_ours() {
            return String::new();
        }
        others.extend(view.other_release().cloned());
    }
    others.first().map_or_else(String::new, |other| {
        format!("note: no copy is of the release {release}; for {other}, add `--release {other}`\n")
    })
}

impl Inspection {
    /// An error if the config has no pull Secret of this name.
    fn check_secret(&self, name: Option<&str>) -> Result<(), Failure> {
        let names = || self.config.sync.secrets.iter().map(|secret| secret.name.as_str());
        let Some(unknown) = name.filter(|name| !names().any(|it| it == *name)) else {
            return Ok(());
        };
        let known: Vec<_> = names().collect();
        let message =
            format!("the config has no pull Secret `{unknown}`; it has {}", known.join(", "));
        Err(Failure::Usage(message))
    }

    /// When the cluster was looked at.
    fn now(&self) -> Timestamp {
        self.snapshot.at()
    }

    /// The state of a copy that is wanted.
    fn state(&self, view: &CopyView<'_>) -> CopyState {
        view.state(self.config.expires(view.secret), self.now())
    }
}
