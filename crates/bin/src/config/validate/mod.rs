//! From what the file says to what the program uses. All that is wrong is found in one go.

mod identity;
mod registries;
mod secrets;
mod tuning;

use ecr_refresher_sync::desired::settings::Settings;

use super::{
    Config,
    problem::{Location, Problem},
    raw::RawConfig,
    yaml::Tree,
};

/// Checks a config and turns it into settings.
pub(super) fn validate(raw: RawConfig, tree: &Tree) -> Result<Config, Vec<Problem>> {
    let mut lowering = Lowering { tree, problems: Vec::new() };
    let registries = lowering.registries(raw.registries);
    let names: Vec<_> = registries.iter().map(|registry| &*registry.name).collect();
    let secrets = lowering.secrets(raw.secrets, &names);
    let (at_fraction, spread) = lowering.refresh(&raw.refresh);
    let sync = Settings {
        secrets,
        spread,
        prune_after: lowering.prune(&raw.prune),
        concurrency: lowering.concurrency(&raw.writer),
        per_namespace: raw.metrics.per_namespace.into(),
    };
    let leader_election = lowering.leader_election(&raw.leader_election);
    match lowering.listen(raw.listen.as_deref()) {
        Some(listen) if lowering.problems.is_empty() => {
            Ok(Config { registries: registries.into(), at_fraction, sync, leader_election, listen })
        }
        _ => Err(lowering.problems),
    }
}

/// Collects what is wrong.
struct Lowering<'a> {
    tree: &'a Tree,
    problems: Vec<Problem>,
}

impl Lowering<'_> {
    /// Records a problem of the value at a path of keys.
    fn report(&mut self, path: &[&str], message: impl Into<String>, help: impl Into<String>) {
        let path: Vec<_> = path.iter().map(|&key| key.to_owned()).collect();
        self.problems.push(Problem::new(self.tree.location(&path), message).help(help));
    }

    /// Records a problem of the file as a whole.
    fn report_file(&mut self, message: &str, help: &str) {
        self.problems.push(Problem::new(Location::File, message).help(help));
    }
}
