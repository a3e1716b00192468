//! Where in the config the patterns are, for those who ask which of them decided.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    environment,
    problem::{Place, PlaceIn},
    yaml::Tree,
};

/// The key of the pull Secrets.
const SECRETS: &str = "secrets";

/// The places of the patterns and label selectors of a config.
#[derive(Debug)]
pub(crate) struct Places {
    file: PathBuf,
    tree: Tree,
    /// Whether a variable has overridden the pull Secrets of the file.
    overridden: bool,
}

/// Where in the config something is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Spot {
    /// None for what a variable says.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(flatten)]
    place: Place,
}

impl Places {
    pub(super) fn new(file: &Path, tree: Tree, overridden: bool) -> Self {
        Self { file: file.to_owned(), tree, overridden }
    }

    /// The place of a pattern that allows. Pull Secrets and patterns are counted from 0.
    pub(crate) fn allow(&self, secret: usize, pattern: usize) -> Spot {
        let pattern = pattern.to_string();
        let listed = path(secret, &["allow", &pattern]);
        // A plain list is short for `allow`.
        let plain = path(secret, &[&pattern]);
        self.spot(if self.tree.contains(&listed) { &listed } else { &plain })
    }

    /// The place of a pattern that denies.
    pub(crate) fn deny(&self, secret: usize, pattern: usize) -> Spot {
        self.spot(&path(secret, &["deny", &pattern.to_string()]))
    }

    /// The place of the label selector.
    pub(crate) fn selector(&self, secret: usize) -> Spot {
        self.spot(&path(secret, &["selector"]))
    }

    fn spot(&self, path: &[String]) -> Spot {
        if self.overridden {
            let variable = environment::variable(&[SECRETS.to_owned()]);
            return Spot { file: None, place: Place::Variable { variable } };
        }
        Spot { file: Some(self.file.clone()), place: self.tree.place(path) }
    }
}

/// The path of something below the `namespaces` of a pull Secret.
fn path(secret: usize, keys: &[&str]) -> Vec<String> {
    let secret = secret.to_string();
    [&[SECRETS, &secret, "namespaces"], keys].concat().into_iter().map(str::to_owned).collect()
}

impl fmt::Display for Spot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_deref().unwrap_or(Path::new(""));
        PlaceIn(&self.place, file).fmt(formatter)
    }
}
