//! The kinds of objects that the server has, and the names of single objects.

use serde_json::{Value, json};

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `v1`.
    Namespace,
    /// `v1`.
    Secret,
    /// `v1`.
    ServiceAccount,
    /// `coordination.k8s.io/v1`.
    Lease,
    /// `events.k8s.io/v1`.
    Event,
}

/// The name of one object. Namespaces have an empty `namespace`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The kind of the object.
    pub kind: Kind,
    /// The namespace that the object is in.
    pub namespace: String,
    /// The object's own name.
    pub name: String,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Namespace, Self::Secret, Self::ServiceAccount, Self::Lease, Self::Event];

    /// The API group, which is empty for the core group.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Namespace | Self::Secret | Self::ServiceAccount => "",
            Self::Lease => "coordination.k8s.io",
            Self::Event => "events.k8s.io",
        }
    }

    /// The group and the version, as in `apiVersion`.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Namespace | Self::Secret | Self::ServiceAccount => "v1",
            Self::Lease => "coordination.k8s.io/v1",
            Self::Event => "events.k8s.io/v1",
        }
    }

    /// The name in `kind`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Secret => "Secret",
            Self::ServiceAccount => "ServiceAccount",
            Self::Lease => "Lease",
            Self::Event => "Event",
        }
    }

    /// The name in paths.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Namespace => "namespaces",
            Self::Secret => "secrets",
            Self::ServiceAccount => "serviceaccounts",
            Self::Lease => "leases",
            Self::Event => "events",
        }
    }

    /// The plural and the group, as messages have it.
    #[must_use]
    pub fn resource(self) -> String {
        match self.group() {
            "" => self.plural().to_owned(),
            group => format!("{}.{group}", self.plural()),
        }
    }

    /// The name and the group, as messages of failed validations have it.
    #[must_use]
    pub fn qualified_name(self) -> String {
        match self.group() {
            "" => self.name().to_owned(),
            group => format!("{}.{group}", self.name()),
        }
    }

    /// Whether objects of the kind are in namespaces.
    #[must_use]
    pub fn is_namespaced(self) -> bool {
        self != Self::Namespace
    }

    /// Whether an update without a resourceVersion is accepted.
    pub(super) fn allows_unconditional_update(self) -> bool {
        self != Self::Lease
    }

    /// Whether a PUT creates a missing object.
    pub(super) fn allows_create_on_update(self) -> bool {
        matches!(self, Self::Lease | Self::Event)
    }

    /// An object of the kind without any content, as the server's own types show it: fields that are
    /// structures, and times, are always there.
    pub(super) fn empty(self) -> Value {
        match self {
            Self::Secret | Self::ServiceAccount => json!({}),
            Self::Namespace => json!({ "spec": {}, "status": {} }),
            Self::Lease => json!({ "spec": {} }),
            Self::Event => json!({
                "eventTime": null, "regarding": {}, "deprecatedSource": {},
                "deprecatedFirstTimestamp": null, "deprecatedLastTimestamp": null,
            }),
        }
    }
}

impl Key {
    /// A key of these parts.
    #[must_use]
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The key of the namespace that the object is in.
    pub(super) fn of_namespace(&self) -> Self {
        Self::new(Kind::Namespace, "", &self.namespace)
    }

    /// The key by which etcd sorts objects of a kind.
    pub(super) fn sort_key(&self) -> String {
        if self.kind.is_namespaced() {
            format!("{}/{}", self.namespace, self.name)
        } else {
            self.name.clone()
        }
    }
}
