//! The entries of a registry.

use std::collections::BTreeMap;

use crate::{Entry, Lifetime};

/// The good that a registry holds: its entries, and how long they live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The entries by their keys, in the order in which a document lists them. The key of an ECR registry is a
    /// bare host; that of a file's entry is as it is written.
    pub entries: BTreeMap<String, Entry>,
    /// The life of the token; `None` for what does not expire, such as a file's entries.
    pub lifetime: Option<Lifetime>,
}
