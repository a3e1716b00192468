//! The dependencies of the daemon. The simulation has its own.

use ecr_refresher_core::{Files, Random, aws::Aws, clock::Clock};
use kube::Client;

use crate::home::Home;

/// The world outside of the process, as the daemon uses it.
#[derive(Clone)]
pub struct Dependencies {
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
    /// The daemon's own objects.
    pub home: Home,
    /// The name of this replica.
    pub identity: String,
}

/// The name of this replica. Not the host's name alone: two Pods with `hostNetwork` may share it.
pub(crate) fn identity(random: &Random) -> String {
    let pod = std::env::var("POD_NAME").ok().filter(|name| !name.is_empty());
    pod.unwrap_or_else(|| format!("ecr-refresher-{:016x}", random.number()))
}
