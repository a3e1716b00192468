//! Calls ECR for a token.

use aws_config::SdkConfig;

use super::reply::{self, ReplyError};
use crate::{
    FetchError, Reason,
    aws::{Asked, Identity, NO_REGION},
    clock::Clock,
    tokens::{Api, AwsSource, Token},
};

/// Gets a new token.
///
/// # Errors
/// When AWS cannot be reached, refuses, or returns an unusable reply.
pub(crate) async fn fetch(
    source: &AwsSource,
    identity: &Identity,
    clock: &Clock,
) -> Result<Token, FetchError> {
    if identity.region().is_none() {
        return Err(no_region());
    }
    identity
        .call(|sdk| async move {
            match source.api {
                Api::Ecr => private(source, identity, &sdk, clock).await,
                Api::EcrPublic => public(source, identity, &sdk, clock).await,
            }
        })
        .await
}

/// Never formats the reply: its `Debug` shows the token.
async fn private(
    source: &AwsSource,
    identity: &Identity,
    sdk: &SdkConfig,
    clock: &Clock,
) -> Result<Token, FetchError> {
    let mut config = aws_sdk_ecr::config::Builder::from(sdk);
    if let Some(url) = &source.endpoint_url {
        config = config.endpoint_url(url);
    }
    let client = aws_sdk_ecr::Client::from_conf(config.build());
    let actions = "ecr:GetAuthorizationToken";
    let asked = Asked { service: "ECR", actions, resource: "*", identity: identity.arn(), sdk };
    let reply = client.get_authorization_token().send().await;
    let reply = reply.map_err(|error| asked.describe(&error))?;
    let data = reply.authorization_data.unwrap_or_default();
    reply::private(data, clock.wall()).map_err(unusable)
}

/// Never formats the reply: its `Debug` shows the token.
async fn public(
    source: &AwsSource,
    identity: &Identity,
    sdk: &SdkConfig,
    clock: &Clock,
) -> Result<Token, FetchError> {
    let mut config = aws_sdk_ecrpublic::config::Builder::from(sdk);
    if let Some(url) = &source.endpoint_url {
        config = config.endpoint_url(url);
    }
    let client = aws_sdk_ecrpublic::Client::from_conf(config.build());
    let actions = "ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken";
    let asked =
        Asked { service: "ECR Public", actions, resource: "*", identity: identity.arn(), sdk };
    let reply = client.get_authorization_token().send().await;
    let reply = reply.map_err(|error| asked.describe(&error))?;
    reply::public(reply.authorization_data, clock.wall()).map_err(unusable)
}

fn no_region() -> FetchError {
    FetchError::new(Reason::NoRegion, format!("no AWS region; {NO_REGION}"))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err calls")]
fn unusable(error: ReplyError) -> FetchError {
    FetchError::new(
        Reason::BadResponse,
        format!("{error}; check `endpointUrl`, AWS_ENDPOINT_URL and any proxy"),
    )
}
