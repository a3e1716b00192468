//! The expiry of the token of each registry, which the leader writes into an annotation of the Lease.

use std::collections::BTreeMap;

use ecr_refresher_core::tokens::TokenStore;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::words;

/// The annotation: JSON with the name of each registry.
pub(crate) const ANNOTATION: &str = "ecr-refresher.io/tokens";
/// The value for credentials of a file.
const NEVER: &str = "never";
/// The registries are listed up to about so many bytes: an object with more than 256 KiB of annotations is refused.
const LONGEST: usize = 32 * 1024;

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
    let (mut all, mut length) = (BTreeMap::new(), 0);
    for (name, fetched_at, expires_at) in store.times() {
        length += name.len() + 30;
        if length > LONGEST {
            break;
        }
        let never = fetched_at.map(|_| NEVER.to_owned());
        all.insert(name, expires_at.map(words::moment).or(never));
    }
    // Plain text always serialises.
    serde_json::to_string(&all).unwrap_or_default()
}

/// The annotation of a Lease.
pub(crate) fn annotation(lease: &ObjectMeta) -> Option<&str> {
    lease.annotations.as_ref()?.get(ANNOTATION).map(String::as_str)
}

/// The credentials of each registry in a Lease; none if it has no valid annotation.
pub(crate) fn read(lease: &ObjectMeta) -> Vec<(String, Credentials)> {
    let text = annotation(lease);
    let all: BTreeMap<String, Option<String>> =
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let credentials = |text: Option<String>| match text.as_deref() {
        None => Some(Credentials::Missing),
        Some(NEVER) => Some(Credentials::Lasting),
        Some(text) => text.parse().ok().map(Credentials::Until),
    };
    all.into_iter().filter_map(|(name, text)| Some((name, credentials(text)?))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ecr_refresher_core::{Random, clock::Now, tokens::Registry};

    use super::*;

    /// What a Lease shows of so many registries without credentials.
    fn written(count: usize) -> (usize, Vec<(String, Credentials)>) {
        let registry = |number| Registry::file(format!("r-{number:04}").into(), "/file".into());
        let mut store = TokenStore::new(Random::from_seed(1));
        let now = Now { wall: Timestamp::UNIX_EPOCH, uptime: Duration::ZERO };
        store.want((0..count).map(registry).collect(), 0.5, now);
        let text = write(&store);
        let annotations = Some([(ANNOTATION.to_owned(), text.clone())].into());
        (text.len(), read(&ObjectMeta { annotations, ..ObjectMeta::default() }))
    }

    #[test]
    fn each_registry_is_listed_until_there_are_too_many() {
        let listed = (0..2).map(|number| (format!("r-000{number}"), Credentials::Missing));
        assert_eq!(written(2).1, listed.collect::<Vec<_>>());
        let (length, listed) = written(9_999);
        assert!(length < LONGEST && listed.len() > 500, "{length} bytes, {}", listed.len());
    }

    #[test]
    fn an_annotation_that_somebody_has_edited_lists_none() {
        for text in ["", "[]", "{\"main\": 7}", "no JSON"] {
            let annotations = Some([(ANNOTATION.to_owned(), text.to_owned())].into());
            assert_eq!(read(&ObjectMeta { annotations, ..ObjectMeta::default() }), [], "{text}");
        }
    }
}
