//! What the daemon works with that is outside of it. A simulation has its own.

use ecr_refresher_core::{Files, Random, aws::Aws, clock::Clock};
use kube::Client;

use crate::cli::HomeArgs;

/// The world outside of the process.
#[derive(Clone)]
pub struct Outside {
    /// The API server.
    pub client: Client,
    /// AWS.
    pub aws: Aws,
    /// The file system.
    pub files: Files,
    /// The clocks.
    pub clock: Clock,
    /// For jitter and names.
    pub random: Random,
    /// Where the daemon's own objects are.
    pub home: Home,
    /// The name of this replica.
    pub identity: String,
}

/// Where the daemon's own objects are, and what their names begin with.
#[derive(Debug, Clone)]
pub struct Home {
    /// The home namespace.
    pub namespace: String,
    /// What the names begin with.
    pub name: String,
}

impl Home {
    pub(crate) fn new(client: &Client, args: &HomeArgs) -> Self {
        let namespace = args.namespace.as_deref().unwrap_or(client.default_namespace());
        Self { namespace: namespace.to_owned(), name: args.name.clone() }
    }

    /// The name of the Secret that is the token cache.
    #[must_use]
    pub fn token_cache(&self) -> String {
        format!("{}-tokens", self.name)
    }
}

/// The name of this replica. Not the host's name alone: two Pods with `hostNetwork` may share it.
pub(crate) fn identity(random: &Random) -> String {
    let pod = std::env::var("POD_NAME").ok().filter(|name| !name.is_empty());
    pod.unwrap_or_else(|| format!("ecr-refresher-{:016x}", random.number()))
}
