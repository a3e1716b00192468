//! The decision of the config on a namespace, and its location.

use std::{collections::BTreeMap, fmt};

use ecr_refresher_sync::desired::{allow_list::Decision, settings::PullSecret};
use serde::Serialize;

use crate::{
    config::{Locations, SourceLocation},
    words::nearest,
};

/// The decision of the allow-list of a pull Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "decision", rename_all = "camelCase")]
pub(super) enum Verdict {
    /// This pattern allows it.
    Allowed { by: Pattern },
    /// This pattern of the deny-list refuses it.
    Denied { by: Pattern },
    /// A pattern allows it, and the label selector refuses it.
    NotSelected {
        by: Pattern,
        selector: SourceLocation,
        /// The requirements that the labels do not meet.
        unmet: Vec<String>,
    },
    /// No pattern matches it.
    NotListed {
        /// The one that may have been meant to.
        nearest: Option<Pattern>,
    },
}

/// A pattern and its location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Pattern {
    pattern: String,
    #[serde(flatten)]
    source: SourceLocation,
}

impl Verdict {
    /// The decision of the pull Secret at a position of the config on a namespace with these labels.
    pub(super) fn of(
        locations: &Locations,
        position: usize,
        secret: &PullSecret,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> Self {
        let list = &secret.allow_list;
        let pattern = |all: &[String], number: usize, source: SourceLocation| Pattern {
            pattern: all.get(number).cloned().unwrap_or_default(),
            source,
        };
        let allowing = |number| pattern(list.patterns(), number, locations.allow(position, number));
        match list.decide(namespace, labels) {
            Decision::Allowed(number) => Self::Allowed { by: allowing(number) },
            Decision::Denied(number) => Self::Denied {
                by: pattern(list.deny_patterns(), number, locations.deny(position, number)),
            },
            Decision::NotSelected(number) => Self::NotSelected {
                by: allowing(number),
                selector: locations.selector(position),
                unmet: list.unmet(labels),
            },
            Decision::NotListed => {
                Self::NotListed { nearest: nearest_to(namespace, list.patterns()).map(allowing) }
            }
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }
}

/// The pattern that a namespace nearly matches.
fn nearest_to(namespace: &str, patterns: &[String]) -> Option<usize> {
    // Of `team-*` and `team-a`, only `team-` is compared.
    let compared = |pattern: &String| match pattern.strip_suffix('*') {
        Some(beginning) if !beginning.is_empty() => {
            let length = beginning.chars().count();
            (namespace.chars().take(length).collect(), beginning.to_owned())
        }
        _ => (namespace.to_owned(), pattern.clone()),
    };
    patterns
        .iter()
        .map(compared)
        .position(|(name, pattern)| nearest(&name, [pattern.as_str()]).is_some())
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` ({})", self.pattern, self.source)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed { by } => write!(formatter, "allowed by {by}"),
            Self::Denied { by } => write!(formatter, "denied by {by}"),
            Self::NotSelected { by, selector, unmet } => {
                let unmet = unmet.join(", ");
                write!(formatter, "{by} matches, but the selector ({selector}) asks for {unmet}")
            }
            Self::NotListed { nearest: None } => write!(formatter, "no pattern matches"),
            Self::NotListed { nearest: Some(nearest) } => {
                write!(formatter, "no pattern matches; the nearest is {nearest}")
            }
        }
    }
}
