//! The resources that are watched.

/// A watched resource: the `resource` label of the watch metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Resource {
    /// All namespaces.
    Namespaces,
    /// The Secrets with the name of a pull Secret.
    Secrets,
    /// The ServiceAccounts with a name of the config.
    ServiceAccounts,
}

impl Resource {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
