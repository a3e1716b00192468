//! How long a token lives, and when to replace it. Pure: the time is passed in.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The longest life that ECR gives a token: 12 hours (ECR API reference, `GetAuthorizationToken`).
/// A reply that claims more is refreshed as if it were this.
const LONGEST: SignedDuration = SignedDuration::from_hours(12);

/// When a token was issued and when it expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    issued_at: Timestamp,
    expires_at: Timestamp,
}

/// A token that had no life left when it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it expired at {expires_at}, and by this machine's clock it is {now}: check the clock, and the endpoint that answered"
)]
pub struct AlreadyExpired {
    /// The expiry that came with the token.
    pub expires_at: Timestamp,
    /// The time by which it was judged.
    pub now: Timestamp,
}

impl Lifetime {
    /// The life of a token that arrived at `now`.
    ///
    /// # Errors
    /// When it expires no later than it arrived.
    pub fn starting(now: Timestamp, expires_at: Timestamp) -> Result<Self, AlreadyExpired> {
        if expires_at <= now {
            return Err(AlreadyExpired { expires_at, now });
        }
        Ok(Self { issued_at: now, expires_at })
    }

    /// When the token arrived here.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// From when on the registry refuses the token.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Whether the token is dead at `now`.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }

    /// The remaining life at `now`; zero once it has expired.
    #[must_use]
    pub fn remaining(&self, now: Timestamp) -> SignedDuration {
        self.expires_at.duration_since(now).max(SignedDuration::ZERO)
    }

    /// When to ask for the next token: at `fraction` of the life, and up to a twentieth of that
    /// earlier by `jitter`, so that many clusters do not ask at once. Both are in 0..=1.
    #[must_use]
    pub fn refresh_at(&self, fraction: f64, jitter: f64) -> Timestamp {
        let wait = self.wait(fraction).mul_f64(1.0 - jitter / 20.0);
        self.issued_at.saturating_add(wait).unwrap_or(self.issued_at)
    }

    /// The longest time that [`Lifetime::refresh_at`] is earlier by chance.
    pub(crate) fn jitter(&self, fraction: f64) -> Duration {
        self.wait(fraction) / 20
    }

    fn wait(&self, fraction: f64) -> Duration {
        let life = self.expires_at.duration_since(self.issued_at).min(LONGEST);
        Duration::try_from(life).unwrap_or_default().mul_f64(fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_token_is_refreshed_at_the_fraction_of_its_life() {
        let life = Lifetime::starting(at(0), at(43_200)).unwrap();
        assert_eq!(life.refresh_at(0.5, 0.0), at(21_600));
        assert_eq!(life.refresh_at(0.25, 0.0), at(10_800));
    }

    #[test]
    fn jitter_only_ever_brings_a_refresh_forward() {
        let life = Lifetime::starting(at(0), at(40)).unwrap();
        assert_eq!(life.refresh_at(0.5, 1.0), at(19));
    }

    #[test]
    fn an_implausibly_long_life_is_refreshed_like_twelve_hours() {
        let life = Lifetime::starting(at(0), Timestamp::MAX).unwrap();
        assert_eq!(life.refresh_at(0.5, 0.0), at(21_600));
    }

    #[test]
    fn an_expired_token_is_refused() {
        assert!(Lifetime::starting(at(10), at(10)).is_err());
        let refused = Lifetime::starting(at(10), at(9)).unwrap_err().to_string();
        assert!(refused.contains("check the clock"), "{refused}");
    }

    #[test]
    fn the_remaining_life_is_never_negative() {
        let life = Lifetime::starting(at(0), at(10)).unwrap();
        assert_eq!(life.remaining(at(4)), SignedDuration::from_secs(6));
        assert_eq!(life.remaining(at(11)), SignedDuration::ZERO);
        assert!(!life.is_expired(at(9)) && life.is_expired(at(10)));
    }
}
