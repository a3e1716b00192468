//! What the registries have answered, and the manifests that follow from it. Pure.

use std::{collections::HashMap, sync::Arc};

use ecr_refresher_core::{Credentials, dockerconfig::DockerConfig, keeper::Update};

use crate::{Manifest, PullSecret};

/// The last good answer of each registry, by its name.
#[derive(Debug, Default)]
pub(crate) struct Registries(HashMap<Arc<str>, Answer>);

#[derive(Debug, Clone)]
enum Answer {
    /// It has never given credentials.
    Failed,
    /// What it gave last, alive or dead: nothing good is given up for nothing.
    Held(Arc<Credentials>),
}

impl Registries {
    /// Takes in what a registry's keeper tells. Whether any document may change by it.
    pub(crate) fn update(&mut self, update: Update) -> bool {
        match (update.outcome, self.0.get(&update.registry)) {
            (Ok(credentials), _) => {
                self.0.insert(update.registry, Answer::Held(credentials));
                true
            }
            (Err(_), None) => {
                self.0.insert(update.registry, Answer::Failed);
                true
            }
            (Err(_), Some(_)) => false,
        }
    }

    /// Forgets the registries that a condition does not hold for.
    pub(crate) fn retain(&mut self, condition: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| condition(name));
    }

    /// The manifest of a pull Secret, of all its registries that have ever answered.
    ///
    /// `None` while one of them has not been heard of, so that a start is one write a copy; and
    /// when none has credentials, so that nothing is ever replaced by an empty document.
    pub(crate) fn manifest(&self, secret: &PullSecret) -> Option<serde_json::Result<Manifest>> {
        let answers: Option<Vec<_>> =
            secret.registries.iter().map(|name| self.0.get(name)).collect();
        let held = answers?.into_iter().filter_map(|answer| match answer {
            Answer::Held(credentials) => Some(credentials.as_ref()),
            Answer::Failed => None,
        });
        let config = DockerConfig::merge(held)?;
        Some(Manifest::render(secret, &config))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ecr_refresher_core::{Auth, FetchError, Host, Reason};
    use kube::core::Selector;

    use super::*;
    use crate::{AllowList, OnConflict};

    fn secret(registries: &[&str]) -> PullSecret {
        PullSecret {
            name: "ecr-pull".to_owned(),
            registries: registries.iter().map(|&name| name.into()).collect(),
            allow_list: AllowList::new(vec!["*".to_owned()], vec![], Selector::default()).unwrap(),
            service_accounts: Vec::new(),
            on_conflict: OnConflict::Skip,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        }
    }

    fn good(registry: &str) -> Update {
        let auth = Auth::from_user_and_password("AWS", "secret").unwrap();
        let host = Host::from_endpoint(&format!("{registry}.example.com")).unwrap();
        let credentials = Credentials { entries: [(host, auth)].into(), lifetime: None };
        Update { registry: registry.into(), outcome: Ok(Arc::new(credentials)) }
    }

    fn bad(registry: &str) -> Update {
        let outcome = Err(FetchError::new(Reason::Network, "unreachable"));
        Update { registry: registry.into(), outcome }
    }

    fn content(registries: &Registries, secret: &PullSecret) -> Option<[u8; 16]> {
        Some(registries.manifest(secret)?.unwrap().content.0)
    }

    #[test]
    fn nothing_is_rendered_before_each_registry_was_heard_of() {
        let mut registries = Registries::default();
        assert!(registries.update(good("a")));
        assert_eq!(content(&registries, &secret(&["a", "b"])), None);
        assert!(content(&registries, &secret(&["a"])).is_some());
        assert!(registries.update(bad("b")));
        assert!(content(&registries, &secret(&["a", "b"])).is_some());
    }

    #[test]
    fn a_registry_that_fails_takes_nothing_away() {
        let mut registries = Registries::default();
        registries.update(good("a"));
        registries.update(good("b"));
        let before = content(&registries, &secret(&["a", "b"]));
        assert!(!registries.update(bad("b")));
        assert_eq!(content(&registries, &secret(&["a", "b"])), before);
    }

    #[test]
    fn registries_that_never_answered_make_no_document() {
        let mut registries = Registries::default();
        registries.update(bad("a"));
        assert_eq!(content(&registries, &secret(&["a"])), None);
    }

    #[test]
    fn a_registry_that_was_forgotten_is_waited_for_again() {
        let mut registries = Registries::default();
        registries.update(good("a"));
        registries.retain(|name| name != "a");
        assert_eq!(content(&registries, &secret(&["a"])), None);
    }
}
