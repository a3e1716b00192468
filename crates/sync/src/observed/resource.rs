//! The resources that are watched.

/// A resource that is watched: the `resource` label of the watch metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Watch {
    /// All namespaces.
    Namespaces,
    /// The Secrets with the name of a pull Secret.
    Secrets,
    /// The ServiceAccounts with a name that the config holds.
    ServiceAccounts,
}

impl Watch {
    pub(crate) const ALL: [Self; 3] = [Self::Namespaces, Self::Secrets, Self::ServiceAccounts];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Secrets => "secrets",
            Self::ServiceAccounts => "serviceaccounts",
        }
    }
}
