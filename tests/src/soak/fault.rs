//! The faults of a soak.

use std::fmt;

use crate::{fake_aws, fault_proxy::NetworkFault};

/// One fault, or one action of a user.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// AWS fails: in all regions, or in the one of this index.
    Aws { fault: fake_aws::Fault, region: Option<usize> },
    /// The network between replicas and the API server fails.
    Network { fault: Network, target: Target },
    /// A replica is stopped in some way, and runs again at the end.
    Process { fault: Process, target: Target },
    /// The config file is edited, and the edit is undone at the end.
    Config(Edit),
    /// A user changes the cluster. `pick` chooses the object among the existing ones.
    Cluster { act: Act, pick: u32 },
}

/// A fault of the network between a replica and the API server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Network {
    /// A fault that ends.
    For(NetworkFault),
    /// All connections are closed, once.
    Cut,
    /// All connections are silent, without an end.
    Forget,
}

/// What happens to the process of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// SIGKILL, and a new start at the end.
    Kill,
    /// SIGTERM, and a new start at the end.
    Terminate,
    /// SIGSTOP, and SIGCONT at the end.
    Suspend,
}

/// The replicas that a fault is about, as they are when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Leader,
    Follower,
    Both,
}

/// An edit of the config file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// A pull Secret drops one of its registries.
    DropRegistry,
    /// The same, and the registry leaves the list of registries too.
    RemoveRegistry,
    /// A pull Secret drops one of its patterns of namespaces.
    Narrow,
    /// A pull Secret gets a label.
    Label,
    /// The file is not valid.
    Break,
}

/// An action of a user in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// The token cache is deleted.
    DeleteTokenCache,
    /// A tenant deletes a copy.
    DeleteCopy,
    /// A tenant writes nonsense into a copy.
    SpoilCopy,
    /// A tenant takes all entries out of a copy.
    EmptyCopy,
    /// A tenant restores the copy from an old backup.
    RestoreCopy,
    /// A new namespace.
    CreateNamespace,
    /// A namespace is deleted.
    DeleteNamespace,
    /// A namespace gets the label that a selector asks for, or loses it.
    RelabelNamespace,
}

/// What performs faults one after the other. Faults of different lanes happen at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Lane {
    Aws,
    Network,
    Process,
    Config,
    Cluster,
}

impl Lane {
    pub(super) const ALL: [Self; 5] =
        [Self::Aws, Self::Network, Self::Process, Self::Config, Self::Cluster];
}

impl Fault {
    pub(super) fn lane(&self) -> Lane {
        match self {
            Self::Aws { .. } => Lane::Aws,
            Self::Network { .. } => Lane::Network,
            Self::Process { .. } => Lane::Process,
            Self::Config(_) => Lane::Config,
            Self::Cluster { .. } => Lane::Cluster,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws { fault, region: None } => write!(f, "AWS: {fault:?} in all regions"),
            Self::Aws { fault, region: Some(region) } => {
                write!(f, "AWS: {fault:?} in region {region}")
            }
            Self::Network { fault, target } => write!(f, "network of {target:?}: {fault:?}"),
            Self::Process { fault, target } => write!(f, "process of {target:?}: {fault:?}"),
            Self::Config(edit) => write!(f, "config: {edit:?}"),
            Self::Cluster { act, .. } => write!(f, "cluster: {act:?}"),
        }
    }
}
