//! The document of the token cache, with which a restart makes no call. Pure.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    registry::Registry,
    source::{FileEntries, SourceKey, Token, TokenSource},
    state::Held,
};
use crate::{Auth, Entry, Host, Lifetime};

/// The version of the form in which the document is written.
const VERSION: u32 = 3;

/// The last good token of each token source, each once, and the registries that use them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheDocument {
    pub(super) tokens: BTreeMap<SourceKey, (TokenSource, Held)>,
    pub(super) registries: BTreeMap<Arc<str>, Registry>,
}

/// A document that cannot be read. Never shows its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    /// It is not of the form that this version writes.
    #[error("it is not valid at line {line}, column {column}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// Another version of the program has written it.
    #[error("it has the version {0}, and this program reads {VERSION}")]
    Version(u32),
    /// A token in it is not valid.
    #[error("a token in it is not valid: {0}")]
    BadToken(String),
}

/// The form in which it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    #[serde(default)]
    tokens: Vec<WrittenToken>,
    #[serde(default)]
    registries: Vec<Registry>,
}

/// The part that all versions of the format have.
#[derive(Deserialize)]
struct Versioned {
    #[serde(default)]
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenToken {
    source: TokenSource,
    generation: u64,
    #[serde(flatten)]
    content: Content,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", untagged)]
enum Content {
    #[serde(rename_all = "camelCase")]
    Ecr {
        auth: Zeroizing<String>,
        issued_at: Timestamp,
        expires_at: Timestamp,
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
    },
    File {
        entries: BTreeMap<String, Map<String, Value>>,
    },
}

impl CacheDocument {
    /// Reads what [`CacheDocument::render`] wrote.
    ///
    /// # Errors
    /// When it is damaged or of another version: then nothing of it is used.
    pub fn parse(text: &[u8]) -> Result<Self, CacheError> {
        // Not the parser's own words, which may quote a secret.
        let malformed = |error: serde_json::Error| CacheError::Malformed {
            line: error.line(),
            column: error.column(),
        };
        let Versioned { version } = serde_json::from_slice(text).map_err(malformed)?;
        if version != VERSION {
            return Err(CacheError::Version(version));
        }
        let written: Written = serde_json::from_slice(text).map_err(malformed)?;
        let tokens = written.tokens.into_iter().map(|written| {
            let WrittenToken { source, generation, content } = written;
            let token = content.parse().map_err(CacheError::BadToken)?;
            Ok((source.key(), (source, Held { token, generation })))
        });
        let registries = written.registries.into_iter();
        Ok(Self {
            tokens: tokens.collect::<Result<_, CacheError>>()?,
            registries: registries.map(|it| (Arc::clone(&it.name), it)).collect(),
        })
    }

    /// The document as one line of JSON.
    #[must_use]
    pub fn render(&self) -> Zeroizing<String> {
        let tokens = self.tokens.values().map(|(source, held)| WrittenToken {
            source: source.clone(),
            generation: held.generation,
            content: Content::new(&held.token),
        });
        let written = Written {
            version: VERSION,
            tokens: tokens.collect(),
            registries: self.registries.values().cloned().collect(),
        };
        // Maps and lists of texts always serialise.
        Zeroizing::new(serde_json::to_string(&written).unwrap_or_default())
    }

    /// Whether there is no token in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

impl Content {
    fn new(token: &Token) -> Self {
        let text = |auth: &Auth| Zeroizing::new(auth.expose().to_owned());
        match token {
            Token::Ecr { auth, lifetime, host } => Self::Ecr {
                auth: text(auth),
                issued_at: lifetime.issued_at(),
                expires_at: lifetime.expires_at(),
                host: host.as_ref().map(ToString::to_string),
            },
            Token::File(FileEntries { usable, .. }) => {
                // An entry is a JSON object.
                let object =
                    |entry: &Entry| serde_json::from_str(entry.expose()).unwrap_or_default();
                let entries = usable.iter().map(|(key, entry)| (key.clone(), object(entry)));
                Self::File { entries: entries.collect() }
            }
        }
    }

    fn parse(self) -> Result<Token, String> {
        let host = |text: String| Host::from_endpoint(&text).map_err(|error| error.to_string());
        let auth = |text: Zeroizing<String>| {
            Auth::from_encoded((*text).clone()).map_err(|error| error.to_string())
        };
        match self {
            Self::Ecr { auth: text, issued_at, expires_at, host: name } => Ok(Token::Ecr {
                auth: auth(text)?,
                lifetime: Lifetime::starting(issued_at, expires_at)
                    .map_err(|_| "it expires before it was issued")?,
                host: name.map(host).transpose()?,
            }),
            Self::File { entries } => {
                let parse = |(key, object): (String, Map<String, Value>)| {
                    let entry = Entry::verbatim(&object).map_err(|error| error.to_string())?;
                    Ok::<_, String>((key, entry))
                };
                let usable = entries.into_iter().map(parse).collect::<Result<_, _>>()?;
                Ok(Token::File(FileEntries { usable, ..FileEntries::default() }))
            }
        }
    }
}
