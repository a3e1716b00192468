//! A release: one installation, with the identity that its copies carry.

use std::{fmt, sync::Arc};

use sha2::{Digest, Sha256};

use crate::MANAGER;

/// The label with the release of a copy, for selectors.
pub const RELEASE: &str = "ecr-refresher.io/release";
/// The annotation with the release of a copy, as `NAMESPACE/NAME`.
pub const KEPT_BY: &str = "ecr-refresher.io/kept-by";

/// The end of the name of the token cache, after the name of the release.
pub const TOKEN_CACHE_SUFFIX: &str = "-tokens";

/// One installation, identified by its home namespace and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    id: Arc<str>,
    manager: Arc<str>,
}

impl Release {
    /// The release of this name in this home namespace.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self::of_id(&format!("{namespace}/{name}"))
    }

    /// Parses `NAMESPACE/NAME`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = |part: &str, longest: usize| {
            let is_inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
            (1..=longest).contains(&part.len()) && part.bytes().all(is_inner)
        };
        let (namespace, name) = text.split_once('/')?;
        (is_name(namespace, 63) && is_name(name, 253)).then(|| Self::of_id(text))
    }

    fn of_id(id: &str) -> Self {
        let manager = format!("{MANAGER}-{}", digits(id));
        Self { id: id.into(), manager: manager.into() }
    }

    /// Its name, without its home namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        self.id.rsplit('/').next().unwrap_or_default()
    }

    /// Its home namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }

    /// The name of the Secret that is the token cache.
    #[must_use]
    pub fn token_cache(&self) -> String {
        format!("{}{TOKEN_CACHE_SUFFIX}", self.name())
    }

    /// `NAMESPACE/NAME`: the value of the annotation [`KEPT_BY`].
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The field manager of its writes: `ecr-refresher-` and 8 hex digits of the SHA-256 of the ID. The
    /// chart computes the same. As it differs from that of another release, the API server answers
    /// with a conflict where this one would change what the other has applied.
    #[must_use]
    pub fn manager(&self) -> &str {
        &self.manager
    }

    /// The value of the label [`RELEASE`]: `NAMESPACE.NAME`, or the 8 digits where that is longer than the
    /// 63 characters of a label.
    #[must_use]
    pub fn label(&self) -> String {
        let label = self.id.replace('/', ".");
        if label.len() <= 63 { label } else { digits(&self.id) }
    }

    /// Whether a field manager is that of some release.
    pub(crate) fn is_manager(manager: &str) -> bool {
        manager.strip_prefix(MANAGER).is_some_and(|rest| rest.starts_with('-'))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.id)
    }
}

fn digits(id: &str) -> String {
    let digest = Sha256::digest(id);
    format!("{:08x}", u32::from_be_bytes(std::array::from_fn(|index| digest[index])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_a_field_manager_and_a_label_of_its_own() {
        let release = Release::new("ecr-refresher", "ecr-refresher");
        assert_eq!(release.id(), "ecr-refresher/ecr-refresher");
        // printf ecr-refresher/ecr-refresher | sha256sum
        assert_eq!(release.manager(), "ecr-refresher-305f40aa");
        assert_eq!(release.label(), "ecr-refresher.ecr-refresher");
        assert!(Release::is_manager(release.manager()));
        assert!(!Release::is_manager(MANAGER) && !Release::is_manager("ecr-refresherd"));
    }

    #[test]
    fn a_label_is_never_longer_than_kubernetes_allows() {
        let release = Release::new(&"n".repeat(40), &"r".repeat(40));
        assert_eq!(release.label().len(), 8);
        assert!(release.manager().ends_with(&release.label()));
        // The longest field manager that the API server accepts (k8s.io/apimachinery,
        // `FieldManagerMaxLength`).
        assert!(release.manager().len() <= 128);
        assert_eq!(Release::new(&"n".repeat(31), &"r".repeat(31)).label().len(), 63);
    }

    #[test]
    fn only_an_id_of_two_names_is_a_release() {
        assert_eq!(Release::parse("a/b.c"), Some(Release::new("a", "b.c")));
        let long = format!("{}/b", "a".repeat(64));
        for text in ["", "a", "/b", "a/", "a/b/c", "A/b", "a/b\n", "a/\"", &long] {
            assert_eq!(Release::parse(text), None, "{text:?}");
        }
    }
}
