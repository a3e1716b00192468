mod operations;
mod real_time;
mod refusals;
mod replies;
mod rules;

use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_ecr::{
    operation::get_authorization_token::{
        GetAuthorizationTokenError as EcrError, GetAuthorizationTokenOutput as EcrOutput,
    },
    types::AuthorizationData,
};
use aws_sdk_ecrpublic::operation::get_authorization_token::{
    GetAuthorizationTokenError as PublicError, GetAuthorizationTokenOutput as PublicOutput,
};
use aws_smithy_async::time::StaticTimeSource;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;

const REGION: &str = "eu-west-1";
const READ_TIMEOUT: Duration = Duration::from_secs(10);

type SdkResult<T, E> = Result<T, SdkError<E, HttpResponse>>;

fn aws() -> SimulatedAws {
    SimulatedAws::new(7, TrueTime::begin())
}

fn aws_with(rule: FaultRule) -> SimulatedAws {
    let aws = aws();
    aws.lock().faults.push(rule);
    aws
}

fn keys(id: &str) -> Credentials {
    Credentials::new(id, "secret", None, None, "test")
}

/// What the daemon builds, with a clock that stands still at the start of the run.
fn sdk(aws: &SimulatedAws, keys: Credentials, region: &str) -> SdkConfig {
    let start = SystemTime::from(TrueTime::begin().now());
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .http_client(aws.http_client("replica-0"))
        .time_source(StaticTimeSource::new(start))
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().read_timeout(READ_TIMEOUT).build())
        .build()
}

async fn ask_ecr_with(sdk: &SdkConfig) -> SdkResult<EcrOutput, EcrError> {
    aws_sdk_ecr::Client::new(sdk).get_authorization_token().send().await
}

async fn ask_ecr(aws: &SimulatedAws) -> SdkResult<EcrOutput, EcrError> {
    ask_ecr_with(&sdk(aws, keys("AKIA1"), REGION)).await
}

async fn ask_public(aws: &SimulatedAws) -> SdkResult<PublicOutput, PublicError> {
    let sdk = sdk(aws, keys("AKIA1"), "us-east-1");
    aws_sdk_ecrpublic::Client::new(&sdk).get_authorization_token().send().await
}

fn sts(aws: &SimulatedAws, keys: Credentials) -> aws_sdk_sts::Client {
    aws_sdk_sts::Client::new(&sdk(aws, keys, REGION))
}

async fn assume(
    aws: &SimulatedAws,
    role: &str,
) -> SdkResult<
    aws_sdk_sts::operation::assume_role::AssumeRoleOutput,
    aws_sdk_sts::operation::assume_role::AssumeRoleError,
> {
    sts(aws, keys("AKIA1")).assume_role().role_arn(role).role_session_name("night").send().await
}

/// The one element of a good reply.
fn only(output: EcrOutput) -> AuthorizationData {
    let [entry] = output.authorization_data.unwrap().try_into().unwrap();
    entry
}

fn password(encoded: Option<&str>) -> String {
    let plain = String::from_utf8(STANDARD.decode(encoded.unwrap()).unwrap()).unwrap();
    plain.strip_prefix("AWS:").unwrap().to_owned()
}
