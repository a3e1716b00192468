//! The home namespace and the names of the daemon's own objects.

use ecr_refresher_sync::release::{Release, TOKEN_CACHE_SUFFIX};

/// The longest name of a namespace.
pub(crate) const LONGEST_NAMESPACE: usize = 63;
/// The longest prefix of the names: the longest name of an object is seven characters longer.
pub(crate) const LONGEST_NAME: usize = 253 - TOKEN_CACHE_SUFFIX.len();

/// Where the daemon's own objects are, and the prefix of their names.
#[derive(Debug, Clone)]
pub struct Home {
    /// The home namespace.
    pub namespace: String,
    /// The prefix of the names.
    pub name: String,
}

impl Home {
    /// The release that it is the home of.
    #[must_use]
    pub fn release(&self) -> Release {
        Release::new(&self.namespace, &self.name)
    }

    /// The name of the Secret that is the token cache.
    #[must_use]
    pub fn token_cache(&self) -> String {
        self.release().token_cache()
    }
}
