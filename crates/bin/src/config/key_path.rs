//! Paths of values in the config.

use std::ops::Deref;

/// The path of a value: keys, and indexes of lists from 0.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyPath(Vec<String>);

impl KeyPath {
    /// The path of a value right below this one.
    pub(super) fn key(&self, key: &str) -> Self {
        Self([&self.0[..], &[key.to_owned()]].concat())
    }

    /// The path of an item of the list at this path.
    pub(super) fn index(&self, index: usize) -> Self {
        self.key(&index.to_string())
    }
}

impl Deref for KeyPath {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}
