//! Tokens from private Amazon ECR.

mod failure;
pub mod reply;

use aws_config::SdkConfig;
use aws_sdk_ecr::Client;
use jiff::Timestamp;

use crate::{Credentials, FetchError, Reason, aws};

/// How to ask one ECR region, and which hosts its token is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EcrSettings {
    /// The region to ask; `None` for the AWS SDK's chain.
    pub region: Option<String>,
    /// The AWS accounts whose hosts are written; empty for the host that ECR returns.
    pub accounts: Vec<String>,
    /// An endpoint to ask in place of the region's own.
    pub endpoint_url: Option<String>,
}

/// One ECR region, asked as one identity.
#[derive(Debug)]
pub struct EcrSource {
    client: Client,
    accounts: Vec<String>,
}

impl EcrSource {
    /// A source that shares the HTTP stack and the credentials of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig, settings: EcrSettings) -> Self {
        let mut builder = aws_sdk_ecr::config::Builder::from(config);
        if let Some(region) = &settings.region {
            builder = builder.region(aws::region(region));
        }
        if let Some(url) = settings.endpoint_url {
            builder = builder.endpoint_url(url);
        }
        Self { client: Client::from_conf(builder.build()), accounts: settings.accounts }
    }

    /// Calls `GetAuthorizationToken` once.
    ///
    /// # Errors
    /// When AWS cannot be reached, refuses, or answers nonsense.
    pub async fn fetch(&self, now: Timestamp) -> Result<Credentials, FetchError> {
        if self.client.config().region().is_none() {
            return Err(no_region());
        }
        // Never format the reply: its `Debug` shows the token.
        let reply = self.client.get_authorization_token().send().await;
        let reply = reply.map_err(|error| failure::describe(&error))?;
        let data = reply.authorization_data.unwrap_or_default();
        reply::parse(data, &self.accounts, now)
            .map_err(|error| FetchError::new(Reason::BadResponse, error.to_string()))
    }
}

fn no_region() -> FetchError {
    FetchError::new(
        Reason::NoRegion,
        "no AWS region: set `ecr.region` for the registry in the config, or AWS_REGION in the environment",
    )
}
