//! Which namespaces get a copy.

use std::collections::BTreeMap;

use globset::{Glob, GlobBuilder, GlobSet};
use kube::core::{Expression, Selector, SelectorExt};

/// Globs over whole namespace names, what is denied again, and a label selector.
#[derive(Debug, Clone)]
pub struct AllowList {
    allow: Patterns,
    deny: Patterns,
    selector: Selector,
}

/// Patterns and the automaton that matches all of them at once.
#[derive(Debug, Clone)]
struct Patterns {
    texts: Vec<String>,
    set: GlobSet,
}

/// A pattern that is no glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is not a glob: {problem}")]
pub struct PatternError {
    /// Whether it stands in the list of what is denied.
    pub denied: bool,
    /// Its place in its list.
    pub index: usize,
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Why a namespace gets a copy, or none. Numbers are places in the list.
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

impl AllowList {
    /// Compiles the patterns. An empty `selector` selects everything.
    ///
    /// # Errors
    /// When a pattern is no glob.
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

    /// The labels that the decision depends on.
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

    /// The patterns that allow, as they were written.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.allow.texts
    }

    /// The patterns that deny, as they were written.
    #[must_use]
    pub fn deny_patterns(&self) -> &[String] {
        &self.deny.texts
    }

    /// What the label selector asks for and these labels do not have, each as Kubernetes writes it:
    /// `tier in (prod)`.
    #[must_use]
    pub fn unmet(&self, labels: &BTreeMap<String, String>) -> Vec<String> {
        let unmet = self.selector.clone().into_iter().filter(|wanted| !wanted.matches(labels));
        unmet.map(|wanted| wanted.to_string()).collect()
    }

    /// The places of all patterns that match a name, whatever is denied or selected.
    #[must_use]
    pub fn matching(&self, namespace: &str) -> Vec<usize> {
        self.allow.set.matches(namespace)
    }
}

impl Patterns {
    fn new(texts: Vec<String>, denied: bool) -> Result<Self, PatternError> {
        let mut builder = GlobSet::builder();
        for (index, pattern) in texts.iter().enumerate() {
            let glob = compile(pattern).map_err(|error| PatternError {
                denied,
                index,
                pattern: pattern.clone(),
                problem: error.kind().to_string(),
            })?;
            builder.add(glob);
        }
        let set = builder.build().map_err(|error| PatternError {
            denied,
            index: 0,
            pattern: error.glob().unwrap_or_default().to_owned(),
            problem: error.kind().to_string(),
        })?;
        Ok(Self { texts, set })
    }

    fn first_match(&self, namespace: &str) -> Option<usize> {
        self.set.matches(namespace).into_iter().min()
    }
}

/// A namespace's name has no `\`, so that character escapes nothing.
fn compile(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).backslash_escape(false).build()
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
    fn what_is_denied_gets_no_copy() {
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
    fn what_the_labels_lack_is_named() {
        let prod = Expression::Equal("tier".into(), "prod".into());
        let selector = [prod, Expression::DoesNotExist("frozen".into())].into_iter().collect();
        let list = list(&["*"], &[], selector);
        let labels = |tier: &str| [("tier".to_owned(), tier.to_owned())].into();
        assert_eq!(list.unmet(&labels("dev")), ["tier=prod"]);
        assert!(list.unmet(&labels("prod")).is_empty());
    }

    #[test]
    fn a_bad_pattern_is_named_with_its_place() {
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
