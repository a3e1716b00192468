//! Sessions of roles.

use std::{pin::Pin, sync::Arc, time::SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sdk_sts::types::Credentials as Session;

use super::{RoleSettings, failure::Asked, keys::find_invalid, principal::Principal, signed};
use crate::{FetchError, Reason, clock::Clock};

/// A role, and the principal that assumes it: the base credentials, or the role before it.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) settings: RoleSettings,
    /// The settings of the calls of STS, with their region, without credentials.
    pub(super) sts: SdkConfig,
    pub(super) assumed_by: Arc<Principal>,
    pub(super) clock: Clock,
}

impl Role {
    /// Begins a session. It lives for an hour, unless the role says otherwise; the tokens that it gets
    /// outlive it. Boxed, because a role may be assumed with the session of another one.
    ///
    /// # Errors
    /// When STS cannot be reached, refuses, or returns an unusable reply, and when there are no
    /// credentials to call it with.
    pub(super) fn assume(
        &self,
    ) -> Pin<Box<dyn Future<Output = Result<Credentials, FetchError>> + Send + '_>> {
        Box::pin(self.assumed_by.call(|credentials| self.begin_session(credentials)))
    }

    async fn begin_session(&self, by: Credentials) -> Result<Credentials, FetchError> {
        let Self { settings, sts, clock, .. } = self;
        let (arn, actions) = (settings.arn.as_str(), "sts:AssumeRole");
        let asked = Asked { service: "STS", actions, resource: arn, identity: None, sdk: sts };
        let reply = aws_sdk_sts::Client::new(&signed(sts, by))
            .assume_role()
            .role_arn(arn)
            .role_session_name(&settings.session_name)
            .set_external_id(settings.external_id.clone())
            .send()
            .await
            .map_err(|error| asked.describe(&error))?;
        let session = reply.credentials.ok_or_else(|| unusable("no session"))?;
        credentials(session, clock.wall().into())
    }
}

/// The credentials of a session. The SDK fills in what a reply lacks: empty texts, and 1970.
fn credentials(session: Session, now: SystemTime) -> Result<Credentials, FetchError> {
    let Session { access_key_id, secret_access_key, session_token, expiration, .. } = session;
    let expiry = SystemTime::try_from(expiration).ok().filter(|expiry| *expiry > now);
    let expiry = expiry.ok_or_else(|| unusable("a session that has expired"))?;
    let token = Some(session_token);
    let session =
        Credentials::new(access_key_id, secret_access_key, token, Some(expiry), "assumeRole");
    match find_invalid(&session) {
        Some((part, _, error)) => Err(unusable(&format!("a session whose {part} {error}"))),
        None => Ok(session),
    }
}

fn unusable(what: &str) -> FetchError {
    let message =
        format!("STS returned {what} for AssumeRole; check AWS_ENDPOINT_URL and the clock");
    FetchError::new(Reason::BadResponse, message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_sts::primitives::DateTime;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn session(
        id: &str,
        secret: &str,
        token: &str,
        expiry: u64,
    ) -> Result<Credentials, FetchError> {
        let session = Session::builder()
            .access_key_id(id)
            .secret_access_key(secret)
            .session_token(token)
            .expiration(DateTime::from(SystemTime::UNIX_EPOCH + Duration::from_secs(expiry)))
            .build()
            .unwrap();
        credentials(session, SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
    }

    #[test]
    fn a_whole_session_makes_credentials() {
        let credentials = session("id", "secret", "token", NOW + 3_600).unwrap();
        assert_eq!(credentials.access_key_id(), "id");
        assert_eq!(credentials.secret_access_key(), "secret");
        assert_eq!(credentials.session_token(), Some("token"));
        let life = credentials.expiry().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(life, Duration::from_secs(NOW + 3_600));
    }

    #[test]
    fn a_truncated_session_is_a_bad_response_that_shows_no_secret() {
        let later = NOW + 3_600;
        for error in [
            session("", "hunter2", "hunter2", later),
            session("id", "", "hunter2", later),
            session("id", "hunter2", "", later),
            session("id", "hunter2", "hunter2\n", later),
            session("id", "hunter2", "hunter2", NOW),
            session("id", "hunter2", "hunter2", 0),
        ] {
            let error = error.unwrap_err();
            assert_eq!(error.reason, Reason::BadResponse);
            assert!(error.message.starts_with("STS returned "), "{error}");
            assert!(error.message.contains("AWS_ENDPOINT_URL"), "{error}");
            assert!(!error.message.contains("hunter2"), "{error}");
        }
    }
}
