//! The commands that only read the config, and the cluster with the caller's permissions.

mod counts;
mod explain;
#[cfg(test)]
mod fixture;
mod left;
mod plan;
mod reasons;
mod status;
mod table;

use std::collections::BTreeSet;

use ecr_refresher_core::clock::Clock;
use ecr_refresher_sync::{
    release::Release,
    report::{CopyState, copy_view::CopyView},
    snapshot::Snapshot,
};
use jiff::Timestamp;
use kube::Client;

pub(crate) use self::{explain::explain, plan::plan, status::status};
use crate::{
    cli::InspectArgs,
    config::{self, Config, Locations},
    failure::Failure,
    kubernetes, logging,
};

/// A snapshot of the cluster, and the config.
struct Inspection {
    config: Config,
    locations: Locations,
    snapshot: Snapshot,
}

/// Reads the config, and then the cluster: all of it, or one namespace. Returns the client too.
async fn inspect(
    args: &InspectArgs,
    command: &str,
    only: Option<&str>,
) -> Result<(Inspection, Client), Failure> {
    logging::start_if_asked();
    let (config, locations) =
        config::load_with_locations(&args.config.config, args.release("").name())?;
    let client = kubernetes::client(&args.cluster, command).await?;
    // Nothing here is shown in less than seconds.
    let now = Timestamp::from_second(Clock::system().wall().as_second()).unwrap_or_default();
    let release = args.release(client.default_namespace());
    let snapshot = Snapshot::take(&client, &config.sync, release.clone(), only, now).await;
    let snapshot = snapshot.map_err(anyhow::Error::new)?;
    eprint!("{}", other_release(&snapshot, &release));
    Ok((Inspection { config, locations, snapshot }, client))
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
    /// When the cluster was looked at.
    fn now(&self) -> Timestamp {
        self.snapshot.at()
    }

    /// The state of a copy that is wanted.
    fn state(&self, view: &CopyView<'_>) -> CopyState {
        view.state(self.config.expires(view.secret), self.now())
    }
}
