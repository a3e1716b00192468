//! The token cache: what a restart needs so as not to ask anybody. Pure: text goes in and out.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Auth, Credentials, Host, Lifetime};

/// The last good credentials of each registry.
#[derive(Debug, Clone, Default)]
pub struct Cache(BTreeMap<Arc<str>, Cached>);

/// What one registry returned, and as what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cached {
    /// The settings of the registry: with others, the credentials are none of its own.
    settings: String,
    credentials: Arc<Credentials>,
}

/// A cache that cannot be read. Never shows what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    /// It is not of the form that this version writes.
    #[error("it is damaged at line {line}, column {column}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// An entry of it makes no sense.
    #[error("its entry for the registry {registry} is damaged: {problem}")]
    BadEntry {
        /// The registry's name.
        registry: String,
        /// What is wrong.
        problem: String,
    },
}

/// The form in which it is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    settings: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    auths: BTreeMap<String, Zeroizing<String>>,
}

impl Cache {
    /// Reads what [`Cache::render`] wrote.
    ///
    /// # Errors
    /// When it is damaged: then nothing of it is of any use.
    pub fn parse(text: &[u8]) -> Result<Self, CacheError> {
        let entries: BTreeMap<String, Entry> = serde_json::from_slice(text).map_err(|error| {
            // Not the parser's own words, which may quote a secret.
            CacheError::Malformed { line: error.line(), column: error.column() }
        })?;
        let parse = |(registry, entry): (String, Entry)| match entry.parse() {
            Ok(cached) => Ok((registry.into(), cached)),
            Err(problem) => Err(CacheError::BadEntry { registry, problem }),
        };
        entries.into_iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// The cache as one line of JSON.
    #[must_use]
    pub fn render(&self) -> Zeroizing<String> {
        let entries: BTreeMap<_, _> =
            self.0.iter().map(|(name, cached)| (&**name, Entry::new(cached))).collect();
        // Maps of strings always serialise.
        Zeroizing::new(serde_json::to_string(&entries).unwrap_or_default())
    }

    /// The credentials of a registry with these settings, if they live at `now`.
    #[must_use]
    pub fn get(&self, registry: &str, settings: &str, now: Timestamp) -> Option<Arc<Credentials>> {
        let cached = self.0.get(registry).filter(|cached| cached.settings == settings)?;
        let dead = cached.credentials.lifetime.is_some_and(|lifetime| lifetime.is_expired(now));
        (!dead).then(|| Arc::clone(&cached.credentials))
    }

    /// Takes in what a registry returned. Whether that is anything new.
    pub fn insert(
        &mut self,
        registry: Arc<str>,
        settings: String,
        credentials: Arc<Credentials>,
    ) -> bool {
        let cached = Cached { settings, credentials };
        if self.0.get(&registry) == Some(&cached) {
            return false;
        }
        self.0.insert(registry, cached);
        true
    }

    /// Forgets the registries that a condition does not hold for. Whether there was any.
    pub fn retain(&mut self, condition: impl Fn(&str) -> bool) -> bool {
        let before = self.0.len();
        self.0.retain(|name, _| condition(name));
        self.0.len() != before
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Entry {
    fn new(cached: &Cached) -> Self {
        let lifetime = cached.credentials.lifetime;
        let auths = cached.credentials.entries.iter();
        Self {
            settings: cached.settings.clone(),
            issued_at: lifetime.map(|lifetime| lifetime.issued_at()),
            expires_at: lifetime.map(|lifetime| lifetime.expires_at()),
            auths: auths
                .map(|(host, auth)| (host.to_string(), Zeroizing::new(auth.expose().to_owned())))
                .collect(),
        }
    }

    fn parse(self) -> Result<Cached, String> {
        let lifetime = match (self.issued_at, self.expires_at) {
            (None, None) => None,
            (Some(issued_at), Some(expires_at)) => {
                Some(Lifetime::starting(issued_at, expires_at).map_err(|_| "its life is none")?)
            }
            _ => return Err("its life has one end".to_owned()),
        };
        let parse = |(host, auth): (String, Zeroizing<String>)| {
            let host = Host::from_endpoint(&host).map_err(|error| error.to_string())?;
            let auth = Auth::from_encoded((*auth).clone()).map_err(|error| error.to_string())?;
            Ok::<_, String>((host, auth))
        };
        let entries: BTreeMap<_, _> =
            self.auths.into_iter().map(parse).collect::<Result<_, _>>()?;
        if entries.is_empty() {
            return Err("it holds nothing".to_owned());
        }
        let credentials = Arc::new(Credentials { entries, lifetime });
        Ok(Cached { settings: self.settings, credentials })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn credentials(life: Option<i64>) -> Arc<Credentials> {
        let auth = Auth::from_user_and_password("AWS", "hunter2").unwrap();
        Arc::new(Credentials {
            entries: [(Host::from_endpoint("a.example.com").unwrap(), auth)].into(),
            lifetime: life.map(|life| Lifetime::starting(at(0), at(life)).unwrap()),
        })
    }

    fn cache(life: Option<i64>) -> Cache {
        let mut cache = Cache::default();
        assert!(cache.insert("main".into(), "settings".to_owned(), credentials(life)));
        cache
    }

    #[test]
    fn what_was_written_is_read_again() {
        for life in [Some(40), None] {
            let read = Cache::parse(cache(life).render().as_bytes()).unwrap();
            assert_eq!(read.get("main", "settings", at(1)), Some(credentials(life)));
        }
    }

    #[test]
    fn dead_tokens_and_those_of_other_settings_are_not_used() {
        let cache = cache(Some(40));
        assert!(cache.get("main", "settings", at(39)).is_some());
        assert_eq!(cache.get("main", "settings", at(40)), None);
        assert_eq!(cache.get("main", "others", at(1)), None);
        assert_eq!(cache.get("other", "settings", at(1)), None);
    }

    #[test]
    fn only_what_is_new_is_worth_a_write() {
        let mut cache = cache(Some(40));
        assert!(!cache.insert("main".into(), "settings".to_owned(), credentials(Some(40))));
        assert!(cache.insert("main".into(), "settings".to_owned(), credentials(Some(50))));
        assert!(!cache.retain(|name| name == "main"));
        assert!(cache.retain(|_| false) && cache.is_empty());
    }

    #[test]
    fn a_damaged_cache_is_refused_without_showing_what_is_in_it() {
        for text in [
            "",
            "hunter2",
            r#"{"main": {"settings": "s", "auths": {"a.example.com": "hunter2"}}}"#,
            r#"{"main": {"settings": "s", "auths": {}}}"#,
            r#"{"main": {"settings": "s", "auths": {"a b": "QVdTOmh1bnRlcjI="}}}"#,
            r#"{"main": {"settings": "s", "issuedAt": "2026-01-01T00:00:00Z", "auths": {"a": "QVdTOmh1bnRlcjI="}}}"#,
        ] {
            let error = Cache::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_a_password() {
        let shown = format!("{:?}", cache(None));
        assert!(!shown.contains("hunter2") && !shown.contains("QVdTOmh1"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = Cache::parse(text.as_bytes());
        }
    }
}
