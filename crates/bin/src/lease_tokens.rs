//! The state of each registry, which the leader writes into an annotation of the Lease.

use ecr_refresher_core::tokens::TokenStore;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::registry_status::RegistryStatus;

/// The annotation: JSON with each registry.
pub(crate) const ANNOTATION: &str = "ecr-refresher.io/tokens";
/// The registries are listed up to about so many bytes: an object with more than 256 KiB of annotations is refused.
const LONGEST: usize = 32 * 1024;
/// At most so many bytes of a registry beside its name.
const OTHERS: usize = 128;

/// The value of the annotation.
pub(crate) fn write(store: &TokenStore) -> String {
    let mut length = 0;
    let fits = |it: &RegistryStatus| {
        length += it.name.len() + OTHERS;
        length <= LONGEST
    };
    let listed: Vec<_> = store.states().map(RegistryStatus::from).take_while(fits).collect();
    // Plain text always serialises.
    serde_json::to_string(&listed).unwrap_or_default()
}

/// The annotation of a Lease.
pub(crate) fn annotation(lease: &ObjectMeta) -> Option<&str> {
    lease.annotations.as_ref()?.get(ANNOTATION).map(String::as_str)
}

/// The registries in a Lease; none if it has no valid annotation.
pub(crate) fn read(lease: &ObjectMeta) -> Vec<RegistryStatus> {
    annotation(lease).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ecr_refresher_core::{Random, clock::Now, tokens::Registry};
    use jiff::Timestamp;

    use super::*;

    /// What a Lease shows of so many registries without credentials.
    fn written(count: usize) -> (usize, Vec<RegistryStatus>) {
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
        let listed = (0..2).map(|number| RegistryStatus {
            name: format!("r-000{number}"),
            has_credentials: false,
            expires_at: None,
            failure: None,
        });
        assert_eq!(written(2).1, listed.collect::<Vec<_>>());
        let (length, listed) = written(9_999);
        assert!(length < LONGEST && listed.len() > 200, "{length} bytes, {}", listed.len());
    }

    #[test]
    fn an_annotation_that_somebody_has_edited_lists_none() {
        for text in ["", "[]", "[7]", "{\"main\": 7}", "no JSON"] {
            let annotations = Some([(ANNOTATION.to_owned(), text.to_owned())].into());
            assert_eq!(read(&ObjectMeta { annotations, ..ObjectMeta::default() }), [], "{text}");
        }
    }
}
