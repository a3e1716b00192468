//! The asks of the token store, and its results.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::source::TokenSource;
use crate::{Credentials, FetchError, Reason};

/// A token source to ask now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Names the answer.
    pub id: u64,
    /// Where to ask.
    pub source: TokenSource,
}

/// The outcome of an answer for one registry of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The registry's name.
    pub registry: Arc<str>,
    /// The token, or why there is no usable one.
    pub result: Result<Fetched, Failed>,
}

/// A token that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Whether it is another one than before.
    pub is_new: bool,
    /// When it expires; `None` for a file.
    pub expires_at: Option<Timestamp>,
    /// When its source is asked next.
    pub next: Timestamp,
    /// The entries of a file that are left out because nobody can pull with them.
    pub warning: Option<String>,
    /// The last of the failures in a row that it has ended.
    pub ended: Option<Failed>,
}

/// A failure of one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The error.
    pub error: FetchError,
    /// How many times in a row.
    pub failures: u32,
    /// How long until the next attempt.
    pub delay: Duration,
    /// Whether a file, which is read every few seconds, has the same problem as before.
    pub is_repeated: bool,
    /// Whether it is the first, has another reason than the one before, or the last token has expired since.
    pub is_new: bool,
    /// The last token.
    pub last_token: LastToken,
}

/// The last token of a source that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastToken {
    /// There is none, or it does not expire.
    None,
    /// It lives until then.
    Alive(Timestamp),
    /// It has expired.
    Expired(Timestamp),
}

/// The token of a registry, without its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenState<'a> {
    /// The registry's name.
    pub registry: &'a str,
    /// When it was fetched; `None` without one.
    pub fetched_at: Option<Timestamp>,
    /// When it expires; `None` without one, and for a file.
    pub expires_at: Option<Timestamp>,
    /// Why the last attempt to renew it failed; `None` if it did not.
    pub failure: Option<Reason>,
}

/// The credentials of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Its source has neither answered nor failed yet in this term.
    NotYet,
    /// Its source has never given a token that it can use.
    Failed,
    /// Its entries: of the last good token, alive or expired.
    Held(Credentials),
}
