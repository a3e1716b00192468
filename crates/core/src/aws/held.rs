//! Credentials that are held until shortly before they expire.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use tokio::sync::Mutex;

use crate::{FetchError, clock::Clock};

/// How long before they expire credentials are replaced. AWS's own have new ones ready by then.
const MARGIN: Duration = Duration::from_mins(5);

/// Credentials, or none yet. Callers wait while new ones are being fetched.
#[derive(Debug)]
pub(super) struct Held {
    held: Mutex<Option<Credentials>>,
    clock: Clock,
}

impl Held {
    /// No credentials yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self { held: Mutex::default(), clock }
    }

    /// The held credentials, or else those of `fetch`. While that fails, the held ones are used until they
    /// expire.
    ///
    /// # Errors
    /// If no valid credentials are held and `fetch` fails.
    pub(super) async fn get_or(
        &self,
        fetch: impl Future<Output = Result<Credentials, FetchError>>,
    ) -> Result<Credentials, FetchError> {
        let mut held = self.held.lock().await;
        let now = SystemTime::from(self.clock.wall());
        let lives = |credentials: &&Credentials, at: SystemTime| {
            credentials.expiry().is_none_or(|expiry| expiry > at)
        };
        if let Some(held) = held.as_ref().filter(|held| lives(held, now + MARGIN)) {
            return Ok(held.clone());
        }
        match fetch.await {
            Ok(fetched) => Ok(held.insert(fetched).clone()),
            Err(error) => held.as_ref().filter(|held| lives(held, now)).cloned().ok_or(error),
        }
    }

    /// Drops the credentials: where they come from has others.
    pub(super) async fn clear(&self) {
        *self.held.lock().await = None;
    }

    /// Drops these credentials, which AWS has refused.
    pub(super) async fn forget(&self, refused: &Credentials) {
        self.held.lock().await.take_if(|held| is_same(held, refused));
    }
}

/// Whether two credentials are the same for AWS.
pub(super) fn is_same(one: &Credentials, other: &Credentials) -> bool {
    let parts = |c: &Credentials| {
        let session = c.session_token().map(str::to_owned);
        (c.access_key_id().to_owned(), c.secret_access_key().to_owned(), session)
    };
    parts(one) == parts(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    fn clock() -> Clock {
        Clock::new(|| jiff::Timestamp::constant(1_800_000_000, 0), || Duration::ZERO)
    }

    fn credentials(id: &str, life: Option<u64>) -> Credentials {
        let expiry = life.map(|life| SystemTime::from(clock().wall()) + Duration::from_secs(life));
        Credentials::new(id, "secret", None, expiry, "test")
    }

    async fn ask(held: &Held, next: Result<Credentials, FetchError>) -> Result<String, FetchError> {
        held.get_or(async { next }).await.map(|held| held.access_key_id().to_owned())
    }

    fn failure() -> Result<Credentials, FetchError> {
        Err(FetchError::new(Reason::Network, "down"))
    }

    #[tokio::test]
    async fn living_credentials_are_kept_and_expiring_ones_replaced() {
        let held = Held::new(clock());
        assert_eq!(ask(&held, Ok(credentials("one", Some(3_600)))).await.unwrap(), "one");
        assert_eq!(ask(&held, failure()).await.unwrap(), "one");
        let held = Held::new(clock());
        assert_eq!(ask(&held, Ok(credentials("one", Some(60)))).await.unwrap(), "one");
        assert_eq!(ask(&held, Ok(credentials("two", None))).await.unwrap(), "two");
        assert_eq!(ask(&held, failure()).await.unwrap(), "two");
    }

    #[tokio::test]
    async fn while_no_new_session_is_available_the_current_one_is_used() {
        let held = Held::new(clock());
        assert!(ask(&held, failure()).await.is_err());
        ask(&held, Ok(credentials("one", Some(60)))).await.unwrap();
        assert_eq!(ask(&held, failure()).await.unwrap(), "one");
        let held = Held::new(clock());
        ask(&held, Ok(credentials("dead", Some(0)))).await.unwrap();
        assert!(ask(&held, failure()).await.is_err());
    }

    #[tokio::test]
    async fn only_refused_credentials_are_dropped() {
        let held = Held::new(clock());
        ask(&held, Ok(credentials("one", None))).await.unwrap();
        held.forget(&credentials("other", None)).await;
        assert_eq!(ask(&held, failure()).await.unwrap(), "one");
        held.forget(&credentials("one", None)).await;
        assert!(ask(&held, failure()).await.is_err());
    }
}
