//! Problems of a config: location, message and remedy.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    error::{Actual, Kind},
};
use serde::Serialize;
use tracing::warn;

use super::{environment, yaml::Tree};
use crate::words::nearest;

/// An invalid config: all its problems.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct ConfigError(Problems);

/// Problems of a config file, in its order.
#[derive(Debug, Default, Serialize)]
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

/// Where the values of a config are from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origins<'a> {
    pub(super) tree: &'a Tree,
    /// The file and the environment.
    pub(super) figment: &'a Figment,
}

impl Origins<'_> {
    /// The location of the value at a path.
    pub(super) fn location(&self, path: &[String]) -> Location {
        match environment::source(self.figment, path) {
            Some(variable) => Location::Variable { variable },
            None => self.tree.location(path),
        }
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
        Self { location, message: message.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Problems {
    pub(super) fn new(file: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|one, other| one.location.cmp(&other.location));
        Self { file: file.to_owned(), problems }
    }

    /// One line for each.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.problems.iter().map(|Problem { location, message, help }| {
            let help = help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
            format!("{}: {message}{help}", LocationIn(location, &self.file))
        })
    }

    /// One line for each, as a warning of a command.
    pub(crate) fn text(&self) -> String {
        let warning = |problem| format!("warning: {problem}\n");
        self.lines().map(warning).collect()
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
    pub(super) fn new(file: &Path, problems: Vec<Problem>) -> Self {
        Self(Problems::new(file, problems))
    }

    pub(super) fn unreadable(file: &Path, error: &dyn fmt::Display) -> Self {
        let problem = Problem::new(Location::File, format!("cannot read the config file: {error}"))
            .help("name it with --config or ECR_REFRESHER_CONFIG");
        Self::new(file, vec![problem])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.lines().collect::<Vec<_>>().join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// The problem that figment found.
pub(super) fn explain(error: figment::Error, origins: Origins<'_>) -> Vec<Problem> {
    error.into_iter().map(|error| explain_one(&error, origins)).collect()
}

fn explain_one(error: &figment::Error, origins: Origins<'_>) -> Problem {
    let mut path = error.path.clone();
    if let Kind::UnknownField(field, _) = &error.kind
        && path.last() != Some(field)
    {
        path.push(field.clone());
    }
    let location = origins.location(&path);
    let key = name_of(&path);
    let problem = |message: String| Problem::new(location.clone(), message);
    match &error.kind {
        Kind::UnknownField(field, known) => {
            problem(format!("unknown key `{field}`")).help(suggest(field, known))
        }
        Kind::UnknownVariant(value, known) => {
            problem(format!("invalid value `{value}` for `{key}`")).help(suggest(value, known))
        }
        Kind::MissingField(field) => problem(format!("`{field}` is missing")),
        Kind::InvalidType(Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_), expected)
            if expected.contains("string") =>
        {
            problem(format!("`{key}` is a number, but must be a text")).help("put it in quotes")
        }
        Kind::InvalidType(actual, expected) => {
            problem(format!("`{key}` is {}, but must be {expected}", kind_of(actual)))
        }
        kind => problem(kind.to_string()),
    }
}

/// The last key of a path, with its index in a list: `accounts[0]`.
fn name_of(path: &[String]) -> String {
    match path {
        [] => "the file".to_owned(),
        [.., list, index] if index.parse::<usize>().is_ok() => format!("{list}[{index}]"),
        [.., key] => key.clone(),
    }
}

/// The kind of a value, without the value: it may be long, or a secret at the wrong key.
fn kind_of(actual: &Actual) -> &'static str {
    match actual {
        Actual::Bool(_) => "true or false",
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) => "a number",
        Actual::Str(_) | Actual::Char(_) => "a text",
        Actual::Unit | Actual::Option => "empty",
        Actual::Seq => "a list",
        Actual::Map => "a mapping",
        _ => "something else",
    }
}

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
