//! Where the values of a config are from.

use figment::Figment;

use super::{environment, problem::Location, yaml::Tree};

/// The file, the environment, and what of them is left out because it does not fit.
pub(super) struct Origins<'a> {
    pub(super) tree: &'a Tree,
    /// The file and the environment.
    pub(super) figment: &'a Figment,
    /// The paths of what is left out: it has been reported.
    left_out: Vec<Vec<String>>,
    /// The paths of values that no message shows.
    hidden: Vec<Vec<String>>,
}

impl<'a> Origins<'a> {
    pub(super) fn new(tree: &'a Tree, figment: &'a Figment) -> Self {
        Self { tree, figment, left_out: Vec::new(), hidden: Vec::new() }
    }

    /// Records that the value at a path is left out. Later paths do not count it as an item of its list.
    pub(super) fn leave_out(&mut self, path: &[String], may_be_secret: bool) {
        let path = self.original(path);
        if may_be_secret {
            self.hidden.push(path.clone());
        }
        self.left_out.push(path);
    }

    /// Whether something at this path or below is left out.
    pub(super) fn lacks(&self, path: &[String]) -> bool {
        let path = self.original(path);
        self.left_out.iter().any(|left_out| left_out.starts_with(&path))
    }

    /// The paths of values that no message shows, in the file.
    pub(super) fn hidden(&self) -> &[Vec<String>] {
        &self.hidden
    }

    /// The location of the value at a path.
    pub(super) fn location(&self, path: &[String]) -> Location {
        let path = self.original(path);
        match environment::source(self.figment, &path) {
            Some(variable) => Location::Variable { variable },
            None => self.tree.location(&path),
        }
    }

    /// Whether the file has something at a path, valid or not.
    pub(super) fn contains(&self, path: &[String]) -> bool {
        self.tree.contains(&self.original(path))
    }

    /// A path with the indexes that the items have in the file.
    pub(super) fn original(&self, path: &[String]) -> Vec<String> {
        let mut original: Vec<String> = Vec::with_capacity(path.len());
        for key in path {
            let siblings = self
                .left_out
                .iter()
                .filter(|it| it.split_last().is_some_and(|(_, list)| list == original.as_slice()));
            let mut gone: Vec<usize> = siblings.filter_map(|it| it.last()?.parse().ok()).collect();
            gone.sort_unstable();
            let key = match key.parse::<usize>() {
                Ok(index) if !gone.is_empty() => {
                    let skip = |index, &gone| if gone <= index { index + 1 } else { index };
                    gone.iter().fold(index, skip).to_string()
                }
                _ => key.clone(),
            };
            original.push(key);
        }
        original
    }
}
