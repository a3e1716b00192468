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
use tokio::{sync::Mutex, time::timeout};

use super::{failure::Asked, keys::find_invalid, loader};
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

/// The chain, whose links ask STS in one region. The SDK reads its files once: here the chain is loaded anew
/// when they change.
#[derive(Debug)]
pub(super) struct Chain {
    /// The settings of the process, with the region in which STS is asked.
    sdk: SdkConfig,
    clock: Clock,
    /// Whether it has a fixed provider, and no files.
    is_fixed: bool,
    loaded: Mutex<Option<Loaded>>,
}

#[derive(Debug)]
struct Loaded {
    provider: Option<SharedCredentialsProvider>,
    /// The content of the files that it has read.
    files: u64,
}

impl Chain {
    /// Always the provider of `sdk`.
    pub(super) fn fixed(sdk: SdkConfig, clock: Clock) -> Self {
        let loaded = Loaded { provider: sdk.credentials_provider(), files: 0 };
        Self { sdk, clock, is_fixed: true, loaded: Mutex::new(Some(loaded)) }
    }

    /// The chain of the environment for the region of `sdk`, loaded when it is needed first.
    pub(super) fn of_environment(sdk: SdkConfig, clock: Clock) -> Self {
        Self { sdk, clock, is_fixed: false, loaded: Mutex::default() }
    }

    /// Loads it if its files have changed. Returns whether they have.
    pub(super) async fn follow_files(&self) -> bool {
        if self.is_fixed {
            return false;
        }
        let files = shared_files::content_hash();
        let mut loaded = self.loaded.lock().await;
        if loaded.as_ref().is_some_and(|loaded| loaded.files == files) {
            return false;
        }
        let Some(client) = self.sdk.http_client() else { return false };
        let loading = loader(&self.clock, client).region(self.sdk.region().cloned()).load();
        // Loading holds much, and is rare.
        let provider = Box::pin(loading).await.credentials_provider();
        *loaded = Some(Loaded { provider, files });
        true
    }

    /// Asks the chain, after [`Chain::follow_files`].
    ///
    /// # Errors
    /// If it has no credentials, if what it has cannot be credentials, or if a link of it refuses or does
    /// not answer.
    pub(super) async fn resolve(&self) -> Result<Credentials, FetchError> {
        let is_set = |name: &str| env::var_os(name).is_some();
        let described = |error: &CredentialsError| describe(error, &self.sdk, is_set);
        tokens::check(is_set)?;
        let provider = self.loaded.lock().await.as_ref().and_then(|it| it.provider.clone());
        let Some(provider) = provider else {
            return Err(described(&CredentialsError::not_loaded_no_source()));
        };
        let asked = async { provider.provide_credentials().await.map_err(|it| described(&it)) };
        let Ok(answer) = timeout(PATIENCE, caught(Box::pin(asked))).await else {
            return Err(FetchError::new(
                Reason::Timeout,
                "the AWS SDK's chain of credentials does not answer; off EC2, set \
                 AWS_EC2_METADATA_DISABLED=true",
            ));
        };
        // A key of a profile that assumes a role is used inside the SDK.
        let credentials = answer.map_err(|error| shared_files::find_invalid().unwrap_or(error))?;
        match find_invalid(&credentials) {
            Some((part, text, error)) => Err(shared_files::invalid(part, text, error)),
            None => Ok(credentials),
        }
    }
}

fn describe(
    error: &CredentialsError,
    sdk: &SdkConfig,
    is_set: impl Fn(&str) -> bool,
) -> FetchError {
    let causes =
        || iter::successors(Some(error as &(dyn Error + 'static)), |error| (*error).source());
    // A role of a web identity or of a profile may be refused.
    let refused = causes().find_map(|cause| {
        let web = cause.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError>>();
        let role = cause.downcast_ref::<SdkError<AssumeRoleError>>();
        let asked =
            |actions| Asked { service: "STS", actions, resource: "the role", identity: None, sdk };
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
        let sdk = SdkConfig::builder().build();
        let error = describe(&error, &sdk, |name| name == "AWS_PROFILE");
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
