//! Which namespaces get a copy.

use std::collections::BTreeMap;

use globset::GlobSet;
use kube::core::{Expression, Selector, SelectorExt};

use super::pattern;

/// Globs over whole namespace names, exceptions from them, and a label selector.
#[derive(Debug, Clone)]
pub struct AllowList {
    allow: Patterns,
    deny: Patterns,
    selector: Selector,
}

/// Patterns, and the automaton that matches all of them at once.
#[derive(Debug, Clone)]
struct Patterns {
    texts: Vec<String>,
    set: GlobSet,
}

/// An invalid pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid pattern {pattern:?}: {problem}")]
pub struct PatternError {
    /// Whether it is in the deny list.
    pub denied: bool,
    /// Its position in its list.
    pub index: usize,
    /// The pattern.
    pub pattern: String,
    /// The problem.
    pub problem: String,
}

/// Why a namespace gets a copy, or none. Numbers are positions in the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The namespace gets a copy: this is the first pattern that matches.
    Allowed(usize),
    /// This pattern of the deny list matches.
    Denied(usize),
    /// A pattern matches, the label selector does not.
    NotSelected(usize),
    /// No pattern matches.
    NotListed,
}

impl Decision {
    /// Whether the namespace gets a copy.
    #[must_use]
    pub fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// Checks a pattern.
///
/// # Errors
/// With its problem, if it is not a glob, or cannot match any namespace.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    pattern::compile(pattern).map(drop)
}

impl AllowList {
    /// Compiles the patterns. An empty `selector` selects everything.
    ///
    /// # Errors
    /// If a pattern is invalid or cannot match any namespace.
    pub fn new(
        allow: Vec<String>,
        deny: Vec<String>,
        selector: Selector,
    ) -> Result<Self, PatternError> {
        let allow = Patterns::new(allow, false)?;
        Ok(Self { allow, deny: Patterns::new(deny, true)?, selector })
    }

    /// Decides on a namespace by its name and labels.
    #[must_use]
    pub fn decide(&self, namespace: &str, labels: &BTreeMap<String, String>) -> Decision {
        let Some(pattern) = self.allow.first_match(namespace) else {
            return Decision::NotListed;
        };
        if let Some(denied) = self.deny.first_match(namespace) {
            return Decision::Denied(denied);
        }
        if !self.selector.matches(labels) {
            return Decision::NotSelected(pattern);
        }
        Decision::Allowed(pattern)
    }

    /// Whether it selects by labels at all.
    #[must_use]
    pub fn has_selector(&self) -> bool {
        self.label_keys().next().is_some()
    }

    /// The labels that it selects by.
    pub(crate) fn label_keys(&self) -> impl Iterator<Item = String> {
        self.selector.clone().into_iter().map(|expression| match expression {
            Expression::In(key, _)
            | Expression::NotIn(key, _)
            | Expression::Equal(key, _)
            | Expression::NotEqual(key, _)
            | Expression::Exists(key)
            | Expression::DoesNotExist(key) => key,
        })
    }

    /// The patterns of the allow list, as written.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.allow.texts
    }

    /// The patterns of the deny list, as written.
    #[must_use]
    pub fn deny_patterns(&self) -> &[String] {
        &self.deny.texts
    }

    /// The positions of the allow patterns that match only denied names.
    #[must_use]
    pub fn denied(&self) -> Vec<usize> {
        pattern::covered(&self.allow.texts, &self.deny.texts)
    }

    /// The requirements of the label selector that these labels do not meet, as Kubernetes writes them:
    /// `tier in (prod)`.
    #[must_use]
    pub fn unmet(&self, labels: &BTreeMap<String, String>) -> Vec<String> {
        let unmet = self.selector.clone().into_iter().filter(|wanted| !wanted.matches(labels));
        unmet.map(|wanted| wanted.to_string()).collect()
    }

    /// The positions of all allow patterns that match a name, also if it is denied or not selected.
    #[must_use]
    pub fn matching(&self, namespace: &str) -> Vec<usize> {
        self.allow.set.matches(namespace)
    }
}

impl Patterns {
    fn new(texts: Vec<String>, denied: bool) -> Result<Self, PatternError> {
        let mut builder = GlobSet::builder();
        let error = |index, pattern: &str, problem| PatternError {
            denied,
            index,
            pattern: pattern.to_owned(),
            problem,
        };
        for (index, text) in texts.iter().enumerate() {
            let glob = pattern::compile(text).map_err(|problem| error(index, text, problem))?;
            builder.add(glob);
        }
        let set = builder
            .build()
            .map_err(|it| error(0, it.glob().unwrap_or_default(), it.kind().to_string()))?;
        Ok(Self { texts, set })
    }

    fn first_match(&self, namespace: &str) -> Option<usize> {
        self.set.matches(namespace).into_iter().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(allow: &[&str], deny: &[&str], selector: Selector) -> AllowList {
        let owned = |patterns: &[&str]| patterns.iter().map(|&text| text.to_owned()).collect();
        AllowList::new(owned(allow), owned(deny), selector).unwrap()
    }

    fn decide(list: &AllowList, namespace: &str) -> Decision {
        list.decide(namespace, &BTreeMap::new())
    }

    #[test]
    fn a_pattern_matches_whole_names() {
        let list = list(
            &["team-*", "payments", "app-[a-c]", "{red,blue}", "v?"],
            &[],
            Selector::default(),
        );
        for (namespace, pattern) in
            [("team-a", 0), ("team-", 0), ("payments", 1), ("app-b", 2), ("blue", 3), ("v1", 4)]
        {
            assert_eq!(decide(&list, namespace), Decision::Allowed(pattern), "{namespace}");
        }
        for namespace in ["my-team-a", "payments-eu", "app-d", "green", "v10", "team"] {
            assert_eq!(decide(&list, namespace), Decision::NotListed, "{namespace}");
        }
    }

    #[test]
    fn a_denied_namespace_gets_no_copy() {
        let list = list(&["*"], &["kube-*", "team-sandbox"], Selector::default());
        assert_eq!(decide(&list, "team-a"), Decision::Allowed(0));
        assert_eq!(decide(&list, "kube-system"), Decision::Denied(0));
        assert_eq!(decide(&list, "team-sandbox"), Decision::Denied(1));
    }

    #[test]
    fn the_selector_is_anded_with_the_patterns() {
        let selector = Expression::Equal("tier".into(), "prod".into()).into();
        let list = list(&["team-*"], &[], selector);
        let labels = |tier: &str| [("tier".to_owned(), tier.to_owned())].into();
        assert_eq!(list.decide("team-a", &labels("prod")), Decision::Allowed(0));
        assert_eq!(list.decide("team-a", &labels("dev")), Decision::NotSelected(0));
        assert_eq!(list.decide("other", &labels("prod")), Decision::NotListed);
    }

    #[test]
    fn the_unmet_requirements_are_named() {
        let prod = Expression::Equal("tier".into(), "prod".into());
        let selector = [prod, Expression::DoesNotExist("frozen".into())].into_iter().collect();
        let list = list(&["*"], &[], selector);
        let labels = |tier: &str| [("tier".to_owned(), tier.to_owned())].into();
        assert_eq!(list.unmet(&labels("dev")), ["tier=prod"]);
        assert!(list.unmet(&labels("prod")).is_empty());
    }

    #[test]
    fn an_invalid_pattern_is_named_with_its_position() {
        let patterns = vec!["team-*".to_owned(), "team-[a".to_owned()];
        let error = AllowList::new(vec!["*".to_owned()], patterns, Selector::default());
        let error = error.unwrap_err();
        assert_eq!((error.denied, error.index, error.pattern.as_str()), (true, 1, "team-[a"));
    }

    #[test]
    fn every_pattern_that_matches_is_counted() {
        let list = list(&["*", "team-*", "x"], &["team-a"], Selector::default());
        assert_eq!(list.matching("team-a"), [0, 1]);
    }
}
