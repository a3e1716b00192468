//! When the token of each registry expires: the leader writes it into an annotation of the Lease, for those
//! who may not ask the Pod.

use std::collections::BTreeMap;

use ecr_refresher_core::tokens::TokenStore;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::words;

/// The annotation: JSON with the name of each registry.
pub(crate) const ANNOTATION: &str = "ecr-refresher.io/tokens";
/// What stands there for credentials of a file.
const NEVER: &str = "never";

/// The credentials of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// There are none.
    Missing,
    /// They do not expire.
    Lasting,
    /// A token, until then.
    Until(Timestamp),
}

/// The value of the annotation.
pub(crate) fn write(store: &TokenStore) -> String {
    let mut all = BTreeMap::new();
    for (name, fetched_at, expires_at) in store.times() {
        let never = fetched_at.map(|_| NEVER.to_owned());
        all.insert(name, expires_at.map(words::moment).or(never));
    }
    // Plain text always serialises.
    serde_json::to_string(&all).unwrap_or_default()
}

/// The credentials of each registry in a Lease; none if that says nothing that is understood.
pub(crate) fn read(lease: &ObjectMeta) -> Vec<(String, Credentials)> {
    let text = lease.annotations.as_ref().and_then(|all| all.get(ANNOTATION));
    let all: BTreeMap<String, Option<String>> =
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let credentials = |text: Option<String>| match text.as_deref() {
        None => Some(Credentials::Missing),
        Some(NEVER) => Some(Credentials::Lasting),
        Some(text) => text.parse().ok().map(Credentials::Until),
    };
    all.into_iter().filter_map(|(name, text)| Some((name, credentials(text)?))).collect()
}
