//! The state of a registry, as the page, the Lease and the header of a table show it.

use ecr_refresher_core::tokens::TokenState;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::words;

/// The token of a registry, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RegistryStatus {
    pub(crate) name: String,
    /// Whether it has a token, or the entries of a file.
    pub(crate) has_credentials: bool,
    /// In whole seconds; `None` for a file, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Timestamp>,
    /// Why the last attempt to renew it failed, as in the metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

/// The same at one moment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RegistryNow {
    #[serde(flatten)]
    pub(crate) status: RegistryStatus,
    /// Negative once the token has expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds_left: Option<i64>,
    /// The state in words.
    #[serde(skip)]
    pub(crate) words: String,
}

impl From<TokenState<'_>> for RegistryStatus {
    fn from(state: TokenState<'_>) -> Self {
        let in_seconds = |at: Timestamp| Timestamp::from_second(at.as_second()).ok();
        Self {
            name: state.registry.to_owned(),
            has_credentials: state.fetched_at.is_some(),
            expires_at: state.expires_at.and_then(in_seconds),
            failure: state.failure.map(|reason| reason.as_str().to_owned()),
        }
    }
}

impl RegistryStatus {
    pub(crate) fn at(self, now: Timestamp) -> RegistryNow {
        let left = self.expires_at.map(|at| at.duration_since(now));
        let words = match (self.has_credentials, left) {
            (false, _) => "no token".to_owned(),
            (true, None) => "does not expire".to_owned(),
            (true, Some(left)) => format!("token {}", words::left(left)),
        };
        let words = match &self.failure {
            Some(failure) => format!("{words}, last attempt: {failure}"),
            None => words,
        };
        RegistryNow { seconds_left: left.map(|left| left.as_secs()), words, status: self }
    }
}

impl RegistryNow {
    /// Whether somebody should look at it: a copy of it is missing or will be stale.
    pub(crate) fn is_bad(&self) -> bool {
        let is_over = self.seconds_left.is_some_and(|left| left <= 0);
        !self.status.has_credentials || is_over || self.status.failure.is_some()
    }
}

#[cfg(test)]
mod tests {
    use ecr_refresher_core::Reason;

    use super::*;

    #[test]
    fn the_state_of_a_registry_is_said_in_words() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        let now = |fetched: Option<i64>, expires: Option<i64>, failure| {
            let (fetched_at, expires_at) = (fetched.map(at), expires.map(at));
            let state = TokenState { registry: "main", fetched_at, expires_at, failure };
            let now = RegistryStatus::from(state).at(at(0));
            (now.words.clone(), now.is_bad(), now.seconds_left)
        };
        let said = |words: &str, is_bad, left| (words.to_owned(), is_bad, left);
        let denied = Some(Reason::AccessDenied);
        assert_eq!(now(None, None, None), said("no token", true, None));
        assert_eq!(
            now(None, None, denied),
            said("no token, last attempt: access_denied", true, None)
        );
        assert_eq!(now(Some(-1), None, None), said("does not expire", false, None));
        assert_eq!(now(Some(-1), Some(7_200), None), said("token 2h", false, Some(7_200)));
        assert_eq!(now(Some(-1), Some(-60), None), said("token expired 1m ago", true, Some(-60)));
        let words = "token 2h, last attempt: access_denied";
        assert_eq!(now(Some(-1), Some(7_200), denied), said(words, true, Some(7_200)));
    }
}
