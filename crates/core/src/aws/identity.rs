//! The AWS identity used for calls.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use aws_config::{Region, SdkConfig};
use tokio::sync::OnceCell;
use tracing::{info, warn};

use super::{failure::Asked, principal::Principal, signed};
use crate::{FetchError, Reason};

/// One AWS identity in one region.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The settings that all clients share, with the region, without credentials.
    sdk: SdkConfig,
    /// The same for STS, which may be asked in another region.
    sts: SdkConfig,
    principal: Arc<Principal>,
    introduced: AtomicBool,
    caller: OnceCell<Caller>,
}

/// A principal, as AWS names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its ARN.
    pub arn: String,
    /// Its account: twelve digits.
    pub account: String,
}

impl Caller {
    /// A reply that lacks one of them was cut off, or is not AWS's own.
    fn new(arn: Option<String>, account: Option<String>) -> Result<Self, FetchError> {
        let present = |text: Option<String>| text.filter(|text| !text.is_empty());
        match (present(arn), present(account)) {
            (Some(arn), Some(account)) => Ok(Self { arn, account }),
            _ => Err(FetchError::new(
                Reason::BadResponse,
                "STS returned no ARN or no account for GetCallerIdentity; check AWS_ENDPOINT_URL",
            )),
        }
    }
}

impl Identity {
    pub(super) fn new(sdk: SdkConfig, sts: SdkConfig, principal: Arc<Principal>) -> Self {
        let (introduced, caller) = (AtomicBool::new(false), OnceCell::new());
        Self { sdk, sts, principal, introduced, caller }
    }

    /// The region of the calls; `None` when neither the config nor the AWS SDK's chain has one.
    pub(crate) fn region(&self) -> Option<&Region> {
        self.sdk.region()
    }

    /// The ARN, once AWS has returned it.
    pub(crate) fn arn(&self) -> Option<&str> {
        self.caller.get().map(|caller| caller.arn.as_str())
    }

    /// Calls AWS in the region, with credentials that it accepts as far as there are any.
    ///
    /// # Errors
    /// When there are no credentials, and as `call` does.
    pub(crate) async fn call<T, F>(&self, call: impl Fn(SdkConfig) -> F) -> Result<T, FetchError>
    where
        F: Future<Output = Result<T, FetchError>>,
    {
        self.principal.call(|credentials| call(signed(&self.sdk, credentials))).await
    }

    /// Logs the identity as AWS knows it, once.
    pub(crate) async fn introduce(&self) {
        if self.introduced.swap(true, Ordering::Relaxed) {
            return;
        }
        match self.caller().await {
            Ok(Caller { arn, account }) => {
                let region = self.region().map(Region::as_ref).unwrap_or_default();
                info!(arn, account, region, "AWS calls use this identity");
            }
            Err(error) => warn!(reason = %error.reason, "could not get the AWS identity: {error}"),
        }
    }

    /// The identity as AWS knows it (`GetCallerIdentity`), asked for once.
    ///
    /// # Errors
    /// If AWS cannot be reached, or refuses.
    pub(crate) async fn caller(&self) -> Result<&Caller, FetchError> {
        self.caller.get_or_try_init(|| self.ask_caller()).await
    }

    async fn ask_caller(&self) -> Result<Caller, FetchError> {
        let asked = Asked {
            service: "STS",
            actions: "sts:GetCallerIdentity",
            resource: "*",
            identity: None,
            sdk: &self.sts,
        };
        let call = |credentials| async {
            let sts = aws_sdk_sts::Client::new(&signed(&self.sts, credentials));
            sts.get_caller_identity().send().await.map_err(|error| asked.describe(&error))
        };
        let caller = self.principal.call(call).await?;
        Caller::new(caller.arn, caller.account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_reply_has_no_caller() {
        let text = |text: &str| Some(text.to_owned());
        let caller = Caller::new(text("arn:aws:iam::1:user/a"), text("1")).unwrap();
        assert_eq!((&*caller.arn, &*caller.account), ("arn:aws:iam::1:user/a", "1"));
        for (arn, account) in [
            (None, text("1")),
            (text("arn:aws:iam::1:user/a"), None),
            (text(""), text("1")),
            (text("arn:aws:iam::1:user/a"), text("")),
        ] {
            let error = Caller::new(arn, account).unwrap_err();
            assert_eq!(error.reason, Reason::BadResponse);
            assert!(error.message.contains("AWS_ENDPOINT_URL"), "{error}");
        }
    }
}
