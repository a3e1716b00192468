//! The document that a pull Secret holds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::{Credentials, Entry};

/// A docker config that merges what several registries returned.
///
/// It is rendered the same, byte for byte, whenever its entries are: kubelet's records of pulled
/// images hash the credentials, so all copies must be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerConfig {
    entries: BTreeMap<String, Entry>,
    expires_at: Option<Timestamp>,
}

impl DockerConfig {
    /// Merges credentials. Where two have the same key, one that expires goes before one that does
    /// not, as it is known to work; else the first one's entry stays.
    ///
    /// `None` when there is not a single entry: an empty document must never replace a good one.
    pub fn merge<'a>(parts: impl IntoIterator<Item = &'a Credentials>) -> Option<Self> {
        let mut merged = Self { entries: BTreeMap::new(), expires_at: None };
        let mut parts: Vec<_> = parts.into_iter().collect();
        parts.sort_by_key(|part| part.lifetime.is_none());
        for part in parts {
            for (key, entry) in &part.entries {
                merged.entries.entry(key.clone()).or_insert_with(|| entry.clone());
            }
            let expires_at = part.lifetime.map(|lifetime| lifetime.expires_at());
            merged.expires_at = match (merged.expires_at, expires_at) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        (!merged.entries.is_empty()).then_some(merged)
    }

    /// When the first of the entries expires; `None` when none of them does.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// The keys of its entries: hosts of registries, and what docker config files have.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The value of the Secret's `.dockerconfigjson`: one line of JSON, keys in order.
    #[must_use]
    pub fn render(&self) -> Zeroizing<String> {
        let (open, close) = (r#"{"auths":{"#, "}}");
        let entries: Vec<_> = self
            .entries
            .iter()
            // A text always serialises.
            .map(|(key, entry)| (serde_json::to_string(key).unwrap_or_default(), entry.expose()))
            .collect();
        let length = entries.iter().map(|(key, entry)| key.len() + entry.len() + 2).sum::<usize>();
        // A text that grows would leave parts of it behind in memory.
        let mut text = Zeroizing::new(String::with_capacity(open.len() + length + close.len()));
        text.push_str(open);
        for (index, (key, entry)) in entries.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            for part in [comma, key, ":", entry] {
                text.push_str(part);
            }
        }
        text.push_str(close);
        text
    }
}

#[cfg(test)]
mod tests {
    use crate::{Auth, Lifetime};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn credentials(host: &str, password: &str, expires: Option<i64>) -> Credentials {
        let auth = Auth::from_user_and_password("AWS", password).unwrap();
        Credentials {
            entries: [(host.to_owned(), Entry::of_auth(&auth))].into(),
            lifetime: expires.map(|life| Lifetime::starting(at(0), at(life)).unwrap()),
        }
    }

    #[test]
    fn the_document_is_the_one_that_docker_login_writes() {
        let config = DockerConfig::merge([&credentials("b.example.com", "one", None)]).unwrap();
        assert_eq!(*config.render(), r#"{"auths":{"b.example.com":{"auth":"QVdTOm9uZQ=="}}}"#);
    }

    #[test]
    fn the_order_of_the_registries_changes_no_byte() {
        let a = credentials("a.example.com", "one", None);
        let b = credentials("b.example.com", "two", None);
        let one = DockerConfig::merge([&a, &b]).unwrap();
        let other = DockerConfig::merge([&b, &a]).unwrap();
        assert_eq!(one.render(), other.render());
    }

    #[test]
    fn the_earliest_expiry_counts() {
        let parts = [
            credentials("a.example.com", "one", Some(40)),
            credentials("b.example.com", "two", Some(20)),
            credentials("c.example.com", "three", None),
        ];
        assert_eq!(DockerConfig::merge(&parts).unwrap().expires_at(), Some(at(20)));
        assert_eq!(DockerConfig::merge(&parts[2..]).unwrap().expires_at(), None);
    }

    #[test]
    fn a_token_goes_before_an_entry_of_a_file_for_the_same_host() {
        let file = credentials("a.example.com", "file", None);
        let token = credentials("a.example.com", "token", Some(40));
        let merged = DockerConfig::merge([&file, &token]).unwrap();
        assert_eq!(merged.render(), DockerConfig::merge([&token]).unwrap().render());
    }

    #[test]
    fn nothing_merges_to_nothing_and_never_to_an_empty_document() {
        assert_eq!(DockerConfig::merge([]), None);
        let empty = Credentials { entries: BTreeMap::new(), lifetime: None };
        assert_eq!(DockerConfig::merge([&empty]), None);
    }
}
