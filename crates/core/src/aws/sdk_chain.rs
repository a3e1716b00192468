//! The AWS SDK's own chain of credentials, and what it tried when it found none.

mod shared_files;
mod tokens;

use std::{env, error::Error, iter, time::Duration};

use aws_config::SdkConfig;
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError},
};
use aws_sdk_sts::{
    error::SdkError,
    operation::{
        assume_role::AssumeRoleError, assume_role_with_web_identity::AssumeRoleWithWebIdentityError,
    },
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::{sync::Mutex, time::timeout};

use super::{failure::Asked, keys::find_invalid};
use crate::{ErrorChain, FetchError, Reason, caught::caught, clock::Clock, shorten};

/// How long the chain may take. Each of its calls has limits of its own, but it may make several.
const PATIENCE: Duration = Duration::from_secs(20);

/// The variable that names what each link of the chain needs, in the chain's order.
const LINKS: [(&str, &str); 4] = [
    ("environment", "AWS_ACCESS_KEY_ID"),
    ("profile", "AWS_PROFILE"),
    ("web identity", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ("container", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
];

/// The AWS SDK's chain, which reads its files once: here it is loaded anew when they change.
#[derive(Debug)]
pub(super) struct Chain {
    loaded: Mutex<Loaded>,
    /// With what it is loaded; `None` for one that has no files.
    loading: Option<(Clock, SharedHttpClient)>,
}

#[derive(Debug)]
struct Loaded {
    provider: Option<SharedCredentialsProvider>,
    /// The content of the files that it has read.
    files: u64,
}

impl Chain {
    /// The chain of the environment, and the SDK's other settings.
    pub(super) async fn load(clock: Clock, client: SharedHttpClient) -> (Self, SdkConfig) {
        let files = shared_files::content_hash();
        let sdk = super::loader(&clock, client.clone()).load().await;
        let loaded = Mutex::new(Loaded { provider: sdk.credentials_provider(), files });
        (Self { loaded, loading: Some((clock, client)) }, sdk)
    }

    /// Always the same provider.
    pub(super) fn fixed(provider: Option<SharedCredentialsProvider>) -> Self {
        Self { loaded: Mutex::new(Loaded { provider, files: 0 }), loading: None }
    }

    /// Loads it anew if its files have changed. Returns whether they have.
    pub(super) async fn follow_files(&self) -> bool {
        let Some((clock, client)) = &self.loading else { return false };
        let files = shared_files::content_hash();
        let mut loaded = self.loaded.lock().await;
        if loaded.files == files {
            return false;
        }
        // Loading holds much, and is rare.
        let sdk = Box::pin(super::loader(clock, client.clone()).load()).await;
        *loaded = Loaded { provider: sdk.credentials_provider(), files };
        true
    }

    /// Asks the chain.
    ///
    /// # Errors
    /// If it has no credentials, if what it has cannot be credentials, or if a link of it refuses or does
    /// not answer.
    pub(super) async fn resolve(&self) -> Result<Credentials, FetchError> {
        let is_set = |name: &str| env::var_os(name).is_some();
        tokens::check(is_set)?;
        let provider = self.loaded.lock().await.provider.clone();
        let Some(provider) = provider else {
            return Err(describe(&CredentialsError::not_loaded_no_source(), is_set));
        };
        let asked = async { Ok(timeout(PATIENCE, provider.provide_credentials()).await) };
        match caught(asked).await {
            Ok(Ok(Ok(credentials))) => match find_invalid(&credentials) {
                Some((part, text, error)) => Err(shared_files::invalid(part, text, error)),
                None => Ok(credentials),
            },
            // A key of a profile that assumes a role is used inside the SDK.
            Ok(Ok(Err(error))) => {
                Err(shared_files::find_invalid().unwrap_or_else(|| describe(&error, is_set)))
            }
            Err(error) => Err(shared_files::find_invalid().unwrap_or(error)),
            Ok(Err(_)) => Err(FetchError::new(
                Reason::Timeout,
                "the AWS SDK's chain of credentials does not answer; off EC2, set \
                 AWS_EC2_METADATA_DISABLED=true",
            )),
        }
    }
}

fn describe(error: &CredentialsError, is_set: impl Fn(&str) -> bool) -> FetchError {
    let causes =
        || iter::successors(Some(error as &(dyn Error + 'static)), |error| (*error).source());
    // A role of a web identity or of a profile may be refused.
    let refused = causes().find_map(|cause| {
        let web = cause.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError>>();
        let role = cause.downcast_ref::<SdkError<AssumeRoleError>>();
        let asked =
            |actions| Asked { service: "STS", actions, resource: "the role", identity: None };
        web.map(|error| asked("sts:AssumeRoleWithWebIdentity").describe(error))
            .or_else(|| role.map(|error| asked("sts:AssumeRole").describe(error)))
    });
    refused.unwrap_or_else(|| {
        let cause = shorten(&ErrorChain(error).to_string());
        let message = format!(
            "no AWS credentials: {cause}; tried {}; give the ServiceAccount an IAM role, or name a \
             `credentialsDirectory`",
            tried(is_set)
        );
        FetchError::new(Reason::NoCredentials, message)
    })
}

/// The links of the chain in their order, and what each lacked.
fn tried(is_set: impl Fn(&str) -> bool) -> String {
    let links = LINKS.iter().map(|(link, variable)| {
        let state = if is_set(variable) { "set" } else { "not set" };
        format!("{link} ({variable} {state})")
    });
    let off = is_set("AWS_EC2_METADATA_DISABLED");
    let metadata = if off { "AWS_EC2_METADATA_DISABLED set" } else { "no answer" };
    links.chain([format!("instance metadata ({metadata})")]).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_lists_the_providers_that_were_tried() {
        let error = CredentialsError::not_loaded("nothing there");
        let error = describe(&error, |name| name == "AWS_PROFILE");
        assert_eq!(error.reason, Reason::NoCredentials);
        for part in [
            "nothing there",
            "environment (AWS_ACCESS_KEY_ID not set), profile (AWS_PROFILE set)",
            "web identity (AWS_WEB_IDENTITY_TOKEN_FILE not set)",
            "instance metadata (no answer)",
            "give the ServiceAccount an IAM role",
        ] {
            assert!(error.message.contains(part), "{part}: {error}");
        }
    }
}
