//! The config file: read, checked, and turned into settings.
//!
//! The text becomes a tree that knows its lines (`yaml`); the tree and the environment become the types
//! that mirror the file (`raw`); these become the settings of the program (`validate`). Each value owns its
//! rule (`rules`): parser, schema, default, remedy. Each problem is reported with its location.

mod environment;
mod follow;
mod key_path;
mod locations;
mod names;
mod problem;
mod raw;
mod rule;
mod rules;
mod schema;
mod validate;
mod yaml;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ecr_refresher_core::{
    Files,
    ecr::{EcrDefaults, EcrPublicSettings, EcrSettings},
    tokens::Registry,
};
use ecr_refresher_sync::{
    desired::settings::{PullSecret, Settings},
    release::Release,
};
use figment::Figment;

pub use self::{follow::Follower, problem::ConfigError};
pub(crate) use self::{
    locations::{Locations, SourceLocation},
    names::{is_namespace, is_subdomain},
    schema::schema,
};
use self::{
    problem::{Origins, Problems},
    raw::RawConfig,
    yaml::Tree,
};

/// A valid config.
#[derive(Debug)]
pub struct Config {
    /// Where credentials come from.
    pub(crate) registries: Arc<[RegistrySettings]>,
    /// The fraction of a token's life after which the next one is fetched.
    pub(crate) at_fraction: f64,
    /// The settings of the engine.
    pub(crate) sync: Settings,
    /// How the one replica that writes is elected; `None` when there is only one.
    pub(crate) leader_election: Option<LeaderElection>,
    /// Where metrics and probes are served.
    pub(crate) listen: SocketAddr,
    /// Problems that it may have at run time.
    pub(crate) warnings: Problems,
}

impl Config {
    /// Whether the content of a pull Secret expires.
    pub(crate) fn expires(&self, secret: &PullSecret) -> bool {
        let expires = |registry: &RegistrySettings| {
            secret.registries.contains(&registry.name)
                && !matches!(registry.source, SourceSettings::File(_))
        };
        self.registries.iter().any(expires)
    }
}

/// The times of the leader election: retry < renew < lease, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeaderElection {
    /// How long no other replica takes the Lease after its renewal.
    pub(crate) lease_duration: Duration,
    /// How long the leader writes after a renewal.
    pub(crate) renew_deadline: Duration,
    /// How often the leader renews the Lease, and followers read it.
    pub(crate) retry_period: Duration,
}

/// A registry of the config.
#[derive(Debug, Clone)]
pub(crate) struct RegistrySettings {
    pub(crate) name: Arc<str>,
    pub(crate) source: SourceSettings,
}

/// The registries that settings describe. What they leave out is as the defaults say.
pub(crate) fn registries(settings: &[RegistrySettings], defaults: &EcrDefaults) -> Vec<Registry> {
    let registry = |RegistrySettings { name, source }: &RegistrySettings| {
        let name = Arc::clone(name);
        match source.clone() {
            SourceSettings::Ecr(settings) => Registry::ecr(name, settings, defaults),
            SourceSettings::EcrPublic(settings) => Registry::ecr_public(name, settings),
            SourceSettings::File(path) => Registry::file(name, path),
        }
    };
    settings.iter().map(registry).collect()
}

/// Where the credentials of a registry come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SourceSettings {
    Ecr(EcrSettings),
    EcrPublic(EcrPublicSettings),
    File(PathBuf),
}

/// Reads and checks the config file of a release of this name, with what the environment overrides. Returns
/// its text too.
///
/// # Errors
/// When it cannot be read or is wrong.
pub fn load(path: &Path, files: &Files, name: &str) -> Result<(Config, String), ConfigError> {
    let text = read_text(files, path).map_err(|error| ConfigError::unreadable(path, &error))?;
    Ok((parse_file(path, &text, name)?, text))
}

fn read_text(files: &Files, path: &Path) -> io::Result<String> {
    let not_utf8 =
        |_| io::Error::new(io::ErrorKind::InvalidData, "stream did not contain valid UTF-8");
    String::from_utf8(files.read(path)?).map_err(not_utf8)
}

/// As [`load`], with the locations in the file.
pub(crate) fn load_with_locations(
    path: &Path,
    name: &str,
) -> Result<(Config, Locations), ConfigError> {
    let text = fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, &error))?;
    parse(path, &text, environment::provider(), name)
}

fn parse_file(path: &Path, text: &str, name: &str) -> Result<Config, ConfigError> {
    parse(path, text, environment::provider(), name).map(|(config, _)| config)
}

fn parse(
    path: &Path,
    text: &str,
    overrides: figment::providers::Env,
    name: &str,
) -> Result<(Config, Locations), ConfigError> {
    let tree = Tree::parse(text).map_err(|problem| ConfigError::new(path, vec![problem]))?;
    let figment = Figment::from(&tree).merge(overrides);
    let origins = Origins { tree: &tree, figment: &figment };
    let raw: RawConfig = figment
        .extract()
        .map_err(|error| ConfigError::new(path, problem::explain(error, origins)))?;
    let config = validate::validate(raw, origins, path, Release::new("", name).token_cache())?;
    let overridden = environment::source(&figment, &["secrets".to_owned()]).is_some();
    Ok((config, Locations::new(path, tree, overridden)))
}

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod registry_tests;
#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod size_tests;
#[cfg(test)]
mod tests;
