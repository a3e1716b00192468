//! What the official SDKs make of the fake.

mod answers;
mod failures;

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ecr::config::Credentials;
use aws_sdk_ecr::config::retry::RetryConfig;
use aws_sdk_ecr::config::timeout::TimeoutConfig;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};

use super::*;

const ROLE: &str = "arn:aws:iam::210987654321:role/teams/puller";
const ROLE_ACCOUNT: &str = "210987654321";

/// A configuration with those credentials, and without retries: each call is one request.
async fn config_with(aws: &FakeAws, region: &str, credentials: Credentials) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(aws.endpoint())
        .region(Region::new(region.to_owned()))
        .credentials_provider(credentials)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_secs(10)).build())
        .load()
        .await
}

async fn config(aws: &FakeAws, key: &str) -> SdkConfig {
    config_with(aws, "eu-west-1", Credentials::new(key, "secret", None, None, "test")).await
}

async fn ecr(aws: &FakeAws) -> aws_sdk_ecr::Client {
    aws_sdk_ecr::Client::new(&config(aws, "AKIA1").await)
}

async fn sts(aws: &FakeAws) -> aws_sdk_sts::Client {
    aws_sdk_sts::Client::new(&config(aws, "AKIA1").await)
}

/// The credentials of a session of [`ROLE`].
async fn assume(aws: &FakeAws, external_id: Option<&str>) -> anyhow::Result<Credentials> {
    let request = sts(aws).await.assume_role().role_arn(ROLE).role_session_name("night");
    let assumed = request.set_external_id(external_id.map(str::to_owned)).send().await?;
    let given = assumed.credentials.context("no credentials")?;
    // The fake decides when the session is over: the SDK does not know.
    let token = Some(given.session_token);
    Ok(Credentials::new(given.access_key_id, given.secret_access_key, token, None, "test"))
}

/// The code and the message of a service's error.
fn refusal<E: ProvideErrorMetadata, R, T>(result: Result<T, SdkError<E, R>>) -> (String, String) {
    let error = result.err().expect("an error");
    let metadata = error.as_service_error().expect("an error of the service").meta();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    (text(metadata.code()), text(metadata.message()))
}
