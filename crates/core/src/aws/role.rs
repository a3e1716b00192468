//! Sessions of roles.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;

use super::{RoleSettings, failure::Asked};
use crate::{FetchError, Reason};

/// Begins a session of a role, as the identity of `sdk`. It lives for an hour, unless the role says
/// otherwise; the tokens that it gets outlive it.
///
/// # Errors
/// When STS cannot be reached, refuses, or answers nonsense.
pub(super) async fn assume(
    sdk: &SdkConfig,
    role: &RoleSettings,
) -> Result<Credentials, FetchError> {
    let arn = role.arn.as_str();
    let asked = Asked { service: "STS", actions: "sts:AssumeRole", resource: arn, identity: None };
    let reply = aws_sdk_sts::Client::new(sdk)
        .assume_role()
        .role_arn(arn)
        .role_session_name(&role.session_name)
        .set_external_id(role.external_id.clone())
        .send()
        .await
        .map_err(|error| asked.describe(&error))?;
    let session = reply.credentials.ok_or_else(|| {
        FetchError::new(Reason::BadResponse, "STS's reply holds no session; check AWS_ENDPOINT_URL")
    })?;
    Ok(Credentials::new(
        session.access_key_id,
        session.secret_access_key,
        Some(session.session_token),
        SystemTime::try_from(session.expiration).ok(),
        "assumeRole",
    ))
}
