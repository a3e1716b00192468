//! The time that a token has left.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::words;

/// When a copy expires, and how long that is from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Left {
    /// `None` without a copy, or without the annotation.
    pub(super) expires_at: Option<Timestamp>,
    /// Negative once it has expired.
    pub(super) seconds_left: Option<i64>,
}

impl Left {
    pub(super) fn new(expires_at: Option<Timestamp>, now: Timestamp) -> Self {
        let seconds_left = expires_at.map(|at| at.duration_since(now).as_secs());
        Self { expires_at, seconds_left }
    }

    /// As `5h 12m`, `expired 3m ago` or `-`.
    pub(super) fn words(self) -> String {
        let left = self.seconds_left.map(SignedDuration::from_secs);
        left.map_or_else(|| "-".to_owned(), words::left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_in_words_and_seconds() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let left = |seconds: i64| {
            let at = Timestamp::from_second(1_800_000_000 + seconds).unwrap();
            Left::new(Some(at), now)
        };
        assert_eq!(left(18_720).words(), "5h 12m");
        assert_eq!(left(-180).words(), "expired 3m ago");
        assert_eq!(left(0).words(), "expired 0s ago");
        assert_eq!(left(-180).seconds_left, Some(-180));
        assert_eq!(Left::new(None, now).words(), "-");
        let json = serde_json::to_value(left(60)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({ "expiresAt": "2027-01-15T08:01:00Z", "secondsLeft": 60 })
        );
    }
}
