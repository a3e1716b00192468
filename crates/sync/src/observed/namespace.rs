//! A namespace in a list or a watch.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Namespace as ApiNamespace;
use kube::{Resource, ResourceExt};

use crate::observed::metadata::MetadataOnly;

/// A namespace, as it was observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Whether it is being deleted, so that nothing can be created in it.
    pub terminating: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Namespace {
    /// Only those of its labels that have one of these keys.
    pub(crate) fn with_labels(self, keys: &BTreeSet<String>) -> Self {
        // A map that was emptied would keep a node of half a kilobyte.
        let labels = self.labels.into_iter().filter(|(key, _)| keys.contains(key)).collect();
        Self { labels, ..self }
    }

    /// Reads the metadata. It has no status: a namespace that is being deleted has a deletion time.
    pub(crate) fn new(object: &MetadataOnly<ApiNamespace>) -> Self {
        Self {
            terminating: object.meta().deletion_timestamp.is_some(),
            labels: object.labels().clone(),
        }
    }
}
