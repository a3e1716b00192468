//! The config file: read, checked, and turned into settings.
//!
//! The text becomes a tree that knows its lines (`yaml`); the tree and the environment become the types
//! that mirror the file (`raw`), without what does not fit (`shape`); these become the settings of the
//! program (`validate`). Each value owns its rule (`rules`): parser, schema, default, remedy. All problems are
//! reported at once, each with its location and its line (`excerpt`).

mod environment;
mod excerpt;
mod follow;
mod key_path;
mod locations;
mod names;
mod origins;
mod problem;
mod raw;
mod rule;
mod rules;
mod schema;
mod shape;
mod syntax;
mod validate;
mod yaml;

use std::{
    io::{self, Read},
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

use self::{
    environment::Environment,
    excerpt::Source,
    origins::Origins,
    problem::{Location, Problem, Problems},
    yaml::Tree,
};
pub(crate) use self::{
    follow::ConfigState,
    locations::{Locations, SourceLocation},
    names::{is_namespace, is_subdomain},
    schema::schema,
};
pub use self::{follow::Follower, problem::ConfigError};

/// Stands for standard input, as the name of a file.
pub(crate) const STANDARD_INPUT: &str = "-";
/// The keys whose values no message shows if they contain a text: that of a user in a URL, or any.
const SECRETS: [(&str, &str); 2] = [("externalId", ""), ("endpointUrl", "@")];

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

/// The registries that settings describe. The defaults stand for missing settings.
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
    let text = read_text(files, path)?;
    Ok((parse_file(path, &text, name)?, text))
}

fn read_text(files: &Files, path: &Path) -> Result<String, ConfigError> {
    let read = || {
        if path != Path::new(STANDARD_INPUT) {
            return files.read(path);
        }
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = read().map_err(|error| {
        let problem = Problem::new(Location::File, format!("cannot read the config file: {error}"))
            .help("name it with --config or ECR_REFRESHER_CONFIG");
        ConfigError::of_file(path, problem)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let valid = String::from_utf8_lossy(valid);
        let (line, last) = (valid.split('\n').count(), valid.rsplit('\n').next());
        let column = last.map_or(1, |last| last.chars().count() + 1);
        let location = Location::in_file(line as u64, column as u64);
        let problem = Problem::new(location, "this is not UTF-8").help("save the file as UTF-8");
        ConfigError::of_file(path, problem)
    })
}

/// As [`load`], with the locations in the file.
pub(crate) fn load_with_locations(
    path: &Path,
    name: &str,
) -> Result<(Config, Locations), ConfigError> {
    let text = read_text(&Files::system(), path)?;
    parse_with_locations(path, &text, name)
}

/// A text that is from this place.
pub(crate) fn parse_with_locations(
    place: &Path,
    text: &str,
    name: &str,
) -> Result<(Config, Locations), ConfigError> {
    parse(place, text, Environment::system(), name)
}

fn parse_file(path: &Path, text: &str, name: &str) -> Result<Config, ConfigError> {
    parse(path, text, Environment::system(), name).map(|(config, _)| config)
}

fn parse(
    path: &Path,
    text: &str,
    Environment { overrides, warnings }: Environment,
    name: &str,
) -> Result<(Config, Locations), ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut problems = Vec::new();
    let tree = Tree::parse(text, &mut problems).map_err(|problem| {
        let source = Source::unparsed(text, &SECRETS);
        ConfigError::new(Problems::new(path, vec![problem], &source, |_, _| 1))
    })?;
    let figment = Figment::from(&tree).merge(overrides);
    let token_cache = Release::new("", name).token_cache();
    let mut origins = Origins::new(&tree, &figment);
    let (config, found) = match shape::other_kind_of_file(&tree) {
        Some(problem) => {
            problems.push(problem);
            (None, Vec::new())
        }
        None => match shape::read(&mut origins, &mut problems) {
            Some(raw) => validate::validate(raw, &origins, token_cache, &mut problems),
            None => (None, Vec::new()),
        },
    };
    let source = tree.source(origins.hidden(), &SECRETS);
    let shown = |problems| Problems::new(path, problems, &source, |line, at| tree.width(line, at));
    let Some(config) = config.filter(|_| problems.is_empty()) else {
        return Err(ConfigError::new(shown(problems)));
    };
    let config = Config { warnings: shown([warnings, found].concat()), ..config };
    let overridden = environment::source(&figment, &["secrets".to_owned()]).is_some();
    Ok((config, Locations::new(path, tree, overridden)))
}

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod mistake_tests;
#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod registry_tests;
#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod shape_tests;
#[cfg(test)]
mod size_tests;
#[cfg(test)]
mod tests;
