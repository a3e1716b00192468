//! Problems of a config: location, message and remedy.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;
use tracing::{error, warn};

use super::excerpt::{Excerpt, Source};
use crate::{logging::may_colour_errors, words::nearest};

/// An invalid config: all its problems.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ConfigError(Problems);

/// Problems of a config file, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Problems {
    file: PathBuf,
    problems: Vec<Problem>,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    #[serde(flatten)]
    location: Location,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    /// Not for JSON, whose readers have the location.
    #[serde(skip)]
    excerpt: Option<Excerpt>,
}

/// The location of a problem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub(crate) enum Location {
    /// In the file as a whole.
    File,
    /// At a line and column of the file, both from 1.
    At { line: u64, column: u64 },
    /// In an environment variable.
    Variable { variable: String },
}

impl Location {
    pub(super) fn in_file(line: u64, column: u64) -> Self {
        Self::At { line, column }
    }
}

/// A location, and the config file that it is in.
#[derive(Debug)]
pub(super) struct LocationIn<'a>(pub(super) &'a Location, pub(super) &'a Path);

impl fmt::Display for LocationIn<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.1.display();
        match self.0 {
            Location::File => write!(formatter, "{file}"),
            Location::At { line, column } => write!(formatter, "{file}:{line}:{column}"),
            Location::Variable { variable } => write!(formatter, "{variable}"),
        }
    }
}

impl Problem {
    pub(super) fn new(location: Location, message: impl Into<String>) -> Self {
        Self { location, message: message.into(), help: None, excerpt: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Problems {
    /// `width` is the number of characters at a line and column.
    pub(super) fn new(
        file: &Path,
        mut problems: Vec<Problem>,
        source: &Source,
        width: impl Fn(u64, u64) -> usize,
    ) -> Self {
        for problem in &mut problems {
            if let Location::At { line, column } = problem.location {
                problem.excerpt = source.excerpt(line, column, width(line, column));
            }
        }
        problems.sort_by(|one, other| one.location.cmp(&other.location));
        Self { file: file.to_owned(), problems }
    }

    /// One line for each.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.problems.iter().map(|problem| self.line(problem))
    }

    fn line(&self, Problem { location, message, help, .. }: &Problem) -> String {
        let help = help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{}: {message}{help}", LocationIn(location, &self.file))
    }

    /// Each with the line of the file that it is about, if it is about one. `prefix` is before each.
    fn text(&self, prefix: &str) -> String {
        let coloured = may_colour_errors();
        let excerpt = |problem: &Problem| Some(problem.excerpt.as_ref()?.text(coloured));
        let text = |problem| {
            format!("{prefix}{}\n{}", self.line(problem), excerpt(problem).unwrap_or_default())
        };
        self.problems.iter().map(text).collect()
    }

    /// As warnings of a command.
    pub(crate) fn warnings(&self) -> String {
        self.text("warning: ")
    }

    /// Logs each as a warning.
    pub(crate) fn log(&self) {
        for problem in self.lines() {
            warn!("{problem}");
        }
    }

    /// A list of them, for JSON.
    pub(crate) fn list(&self) -> &[Problem] {
        &self.problems
    }
}

impl ConfigError {
    /// `problems` must not be empty.
    pub(super) fn new(problems: Problems) -> Self {
        Self(problems)
    }

    /// A file that cannot be read.
    pub(super) fn of_file(file: &Path, problem: Problem) -> Self {
        Self(Problems { file: file.to_owned(), problems: vec![problem] })
    }

    /// Each with the line of the file that it is about.
    pub(crate) fn text(&self) -> String {
        self.0.text("").trim_end().to_owned()
    }

    /// Logs each as an error.
    pub(crate) fn log(&self) {
        for problem in self.0.lines() {
            error!("{problem}");
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.lines().collect::<Vec<_>>().join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// The nearest valid word, or all of them if none is near.
pub(super) fn suggest(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => "nothing is valid here".to_owned(),
        None => {
            let all: Vec<_> = known.iter().map(|word| format!("`{word}`")).collect();
            format!("valid here: {}", all.join(", "))
        }
    }
}
