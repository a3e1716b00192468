//! The entries of a registry.

use std::collections::BTreeMap;

use crate::{Auth, Host, Lifetime};

/// The good that a registry holds: an `auth` for each of its hosts, and how long they live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The hosts and their secrets, in the order in which a document lists them.
    pub entries: BTreeMap<Host, Auth>,
    /// The life of the token; `None` for what does not expire, such as a file's entries.
    pub lifetime: Option<Lifetime>,
}
