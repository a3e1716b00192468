//! The locations of patterns in the config.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    environment,
    key_path::KeyPath,
    problem::{Location, LocationIn},
    yaml::Tree,
};

/// The key of the pull Secrets.
const SECRETS: &str = "secrets";

/// The locations of the patterns and label selectors of a config.
#[derive(Debug)]
pub(crate) struct Locations {
    file: PathBuf,
    tree: Tree,
    /// Whether a variable has overridden the pull Secrets of the file.
    overridden: bool,
}

/// A location in the config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SourceLocation {
    /// `None` for an environment variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(flatten)]
    location: Location,
}

impl Locations {
    pub(super) fn new(file: &Path, tree: Tree, overridden: bool) -> Self {
        Self { file: file.to_owned(), tree, overridden }
    }

    /// The location of an allow pattern. Pull Secrets and patterns are counted from 0.
    pub(crate) fn allow(&self, secret: usize, pattern: usize) -> SourceLocation {
        let namespaces = namespaces(secret);
        let listed = namespaces.key("allow").index(pattern);
        // A plain list is short for `allow`.
        let plain = namespaces.index(pattern);
        self.source(if self.tree.contains(&listed) { &listed } else { &plain })
    }

    /// The location of a deny pattern.
    pub(crate) fn deny(&self, secret: usize, pattern: usize) -> SourceLocation {
        self.source(&namespaces(secret).key("deny").index(pattern))
    }

    /// The location of the label selector.
    pub(crate) fn selector(&self, secret: usize) -> SourceLocation {
        self.source(&namespaces(secret).key("selector"))
    }

    fn source(&self, path: &KeyPath) -> SourceLocation {
        if self.overridden {
            let variable = environment::variable(&KeyPath::default().key(SECRETS));
            return SourceLocation { file: None, location: Location::Variable { variable } };
        }
        SourceLocation { file: Some(self.file.clone()), location: self.tree.location(path) }
    }
}

/// The path of the `namespaces` of a pull Secret.
fn namespaces(secret: usize) -> KeyPath {
    KeyPath::default().key(SECRETS).index(secret).key("namespaces")
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_deref().unwrap_or(Path::new(""));
        LocationIn(&self.location, file).fmt(formatter)
    }
}
