//! The document of a pull Secret: what the token store has for its registries. Pure.

use std::{collections::BTreeMap, sync::Arc};

use ecr_refresher_core::{
    dockerconfig::DockerConfig,
    planted::{Bug, is_planted},
    tokens::Reading,
};

use crate::desired::settings::PullSecret;

/// The desired content of the copies of a pull Secret.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) config: DockerConfig,
    /// Whether all registries of the pull Secret have entries.
    pub(crate) is_complete: bool,
}

/// The entries of all registries of a pull Secret that have any.
///
/// `None` while one of them has neither answered nor failed, so that a start is one write a copy; and
/// when none has entries, so that nothing is ever replaced by an empty document.
pub(crate) fn document(
    secret: &PullSecret,
    readings: &BTreeMap<Arc<str>, Reading>,
) -> Option<Document> {
    let mut held = Vec::new();
    for registry in &secret.registries {
        match readings.get(registry) {
            Some(Reading::Held(credentials)) => held.push(credentials),
            Some(Reading::Failed) => {}
            Some(Reading::NotYet) | None if is_planted(Bug::DocumentTooSoon) => {}
            Some(Reading::NotYet) | None => return None,
        }
    }
    let is_complete = held.len() == secret.registries.len();
    DockerConfig::merge(held).map(|config| Document { config, is_complete })
}

#[cfg(test)]
mod tests {
    use ecr_refresher_core::{Auth, Credentials, Entry};
    use kube::core::Selector;

    use super::*;
    use crate::desired::{allow_list::AllowList, settings::OnConflict};

    fn secret(registries: &[&str]) -> PullSecret {
        PullSecret {
            name: "ecr-pull".to_owned(),
            registries: registries.iter().map(|&name| name.into()).collect(),
            allow_list: AllowList::new(vec!["*".to_owned()], vec![], Selector::default()).unwrap(),
            service_accounts: Vec::new(),
            on_conflict: OnConflict::Skip,
            take_over: Vec::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        }
    }

    fn held(host: &str) -> Reading {
        let auth = Auth::from_user_and_password("AWS", "secret").unwrap();
        let entries = [(host.to_owned(), Entry::of_auth(&auth))].into();
        Reading::Held(Credentials { entries, lifetime: None })
    }

    /// How many hosts the document of the registries `a` and `b` has, and whether it is complete.
    fn hosts(a: Reading, b: Option<Reading>) -> Option<(usize, bool)> {
        let b = b.map(|b| ("b".into(), b));
        let readings = [("a".into(), a)].into_iter().chain(b).collect();
        let Document { config, is_complete } = document(&secret(&["a", "b"]), &readings)?;
        Some((config.render().matches(".example.com").count(), is_complete))
    }

    #[test]
    fn a_document_waits_until_each_registry_has_answered_or_failed() {
        assert_eq!(hosts(held("a.example.com"), None), None);
        assert_eq!(hosts(held("a.example.com"), Some(Reading::NotYet)), None);
        assert_eq!(hosts(held("a.example.com"), Some(Reading::Failed)), Some((1, false)));
        assert_eq!(hosts(held("a.example.com"), Some(held("b.example.com"))), Some((2, true)));
    }

    #[test]
    fn registries_without_entries_give_no_document() {
        assert_eq!(hosts(Reading::Failed, Some(Reading::Failed)), None);
    }
}
