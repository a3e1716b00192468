//! Failed AWS calls: a reason for the metric, and a message for the operator.

use std::{borrow::Cow, error::Error, time::Duration};

use aws_config::{Region, SdkConfig};
use aws_sdk_ecr::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use super::denial::Denial;
use crate::{ErrorChain, FetchError, Reason, ecr::has_fips, shorten};

/// An AWS call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The short name of the service.
    pub(crate) service: &'static str,
    /// The IAM actions that the call needs.
    pub(crate) actions: &'static str,
    /// The resource of the actions: `*`, or an ARN.
    pub(crate) resource: &'a str,
    /// The ARN of the caller, if it is known.
    pub(crate) identity: Option<&'a str>,
    /// The settings of the client.
    pub(crate) sdk: &'a SdkConfig,
}

impl Asked<'_> {
    /// Describes a failure. It never shows the body of a response.
    pub(crate) fn describe<E>(&self, error: &SdkError<E, HttpResponse>) -> FetchError
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        match error {
            SdkError::ServiceError(failure) => {
                let code = failure.err().code().unwrap_or_default();
                self.refused(code, failure.err().message(), failure.raw())
            }
            SdkError::ResponseError(_) => self.unparseable(),
            SdkError::TimeoutError(_) => self.timed_out(),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => self.timed_out(),
            other => {
                // The first words of the SDK's own error say only that something failed.
                let causes = other.source().map(|cause| shorten(&ErrorChain(cause).to_string()));
                let causes = causes.unwrap_or_else(|| "no answer".to_owned());
                match unsendable(&causes) {
                    Some(reason) => self.failed(reason, &format!("was not called: {causes}")),
                    None => {
                        self.failed(Reason::Network, &format!("could not be reached: {causes}"))
                    }
                }
            }
        }
    }

    /// AWS returned an error.
    fn refused(&self, code: &str, message: Option<&str>, raw: &HttpResponse) -> FetchError {
        if raw.status().is_success() {
            return self.unparseable();
        }
        let status = raw.status().as_u16();
        let reason = reason_of(code, status);
        let said = match message {
            Some(message) => format!("{code} (HTTP {status}): {}", shorten(message)),
            None => format!("{code} (HTTP {status})"),
        };
        let said = format!("returned {}", said.trim_start());
        let retry_after = raw.headers().get("retry-after").and_then(|value| value.parse().ok());
        let error = match reason {
            Reason::AccessDenied => self.denied(&said, message.unwrap_or_default()),
            _ => self.failed(reason, &said),
        };
        FetchError { retry_after: retry_after.map(Duration::from_secs), ..error }
    }

    /// The remedy names the action and the identity in the message of AWS, or else the known ones.
    fn denied(&self, said: &str, message: &str) -> FetchError {
        let denial = Denial::parse(message);
        let identity = denial.as_ref().map(|denial| denial.identity).or(self.identity);
        let actions = denial.as_ref().map_or(self.actions, |denial| denial.action);
        let resource = denial.as_ref().and_then(|denial| denial.resource).unwrap_or(self.resource);
        let identity = identity.unwrap_or("this identity");
        let role = if actions == "sts:AssumeRole" {
            ", have the role's trust policy name it, and check `externalId`"
        } else {
            ""
        };
        let service = self.service;
        let message = format!("{service} {said}; allow {identity} {actions} on {resource}{role}");
        FetchError::new(Reason::AccessDenied, message)
    }

    /// The response has a success status and is unparseable.
    fn unparseable(&self) -> FetchError {
        self.failed(Reason::BadResponse, "returned an unparseable response")
    }

    fn timed_out(&self) -> FetchError {
        self.failed(Reason::Timeout, "did not answer in time")
    }

    fn failed(&self, reason: Reason, what: &str) -> FetchError {
        FetchError::new(reason, format!("{} {what}; {}", self.service, self.remedy(reason)))
    }

    fn remedy(&self, reason: Reason) -> Cow<'static, str> {
        let region = self.sdk.region().map_or("the region", Region::as_ref);
        let text = match reason {
            Reason::Throttled => {
                "retrying with increasing delay; find out what else calls AWS in this account"
            }
            Reason::ExpiredCredentials => {
                "renew the AWS credentials, check the clock, and that the region is enabled for the account"
            }
            Reason::NoRegion => NO_REGION,
            Reason::RegionDisabled => {
                return format!(
                    "enable {region} for the account, or call STS in another region: set \
                     `assumeRole.region`, or AWS_REGION in the environment"
                )
                .into();
            }
            Reason::InvalidEndpoint => {
                "the endpoint is set in several ways: use `endpointUrl` or AWS_ENDPOINT_URL, or else \
                 AWS_USE_FIPS_ENDPOINT or AWS_USE_DUALSTACK_ENDPOINT, and only where the partition has \
                 such endpoints"
            }
            Reason::Network if self.sdk.use_fips() == Some(true) && !has_fips(region) => {
                return format!("{region} has no FIPS endpoint: unset AWS_USE_FIPS_ENDPOINT")
                    .into();
            }
            Reason::Network => "check DNS, egress rules, HTTPS_PROXY and NO_PROXY",
            Reason::Timeout => "retrying; check egress rules and HTTPS_PROXY",
            Reason::Internal => "retrying; report it with the place in the log",
            Reason::ServerError => "retrying; see the AWS Health Dashboard if this lasts",
            _ => "check `endpointUrl`, AWS_ENDPOINT_URL and any proxy",
        };
        text.into()
    }
}

/// The remedy for a missing region.
pub(crate) const NO_REGION: &str =
    "set `ecr.region` for the registry in the config, or AWS_REGION in the environment";

/// Why the SDK sends nothing, by the words of its endpoint rules, which are the same for all services
/// (`config/endpoint.rs` of the SDK's crates), and of its signer, for an endpoint that needs no region.
fn unsendable(causes: &str) -> Option<Reason> {
    let has = |words: &str| causes.contains(words);
    if has("Missing Region") || has("missing signing region") {
        Some(Reason::NoRegion)
    } else if has("custom endpoint") || has("partition does not support") || has("valid URI") {
        Some(Reason::InvalidEndpoint)
    } else {
        None
    }
}

fn reason_of(code: &str, status: u16) -> Reason {
    match code {
        "AccessDeniedException" | "AccessDenied" => Reason::AccessDenied,
        "RegionDisabledException" | "OptInRequired" => Reason::RegionDisabled,
        "ThrottlingException"
        | "ThrottleException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "TooManyRequestsException" => Reason::Throttled,
        "ExpiredTokenException"
        | "ExpiredToken"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "InvalidIdentityToken"
        | "RequestExpired" => Reason::ExpiredCredentials,
        _ if status == 429 => Reason::Throttled,
        _ if status >= 500 => Reason::ServerError,
        _ => Reason::BadResponse,
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    fn ecr(sdk: &SdkConfig) -> Asked<'_> {
        Asked {
            service: "ECR",
            actions: "ecr:GetAuthorizationToken",
            resource: "*",
            identity: Some("arn:aws:iam::123456789012:user/known"),
            sdk,
        }
    }

    fn sdk() -> SdkConfig {
        SdkConfig::builder().region(Region::new("eu-west-1")).build()
    }

    #[test]
    fn every_code_has_its_reason() {
        assert_eq!(reason_of("AccessDeniedException", 400), Reason::AccessDenied);
        assert_eq!(reason_of("ThrottleException", 400), Reason::Throttled);
        assert_eq!(reason_of("", 429), Reason::Throttled);
        assert_eq!(reason_of("ExpiredTokenException", 400), Reason::ExpiredCredentials);
        assert_eq!(reason_of("ServerException", 500), Reason::ServerError);
        assert_eq!(reason_of("InvalidParameterException", 400), Reason::BadResponse);
    }

    #[test]
    fn a_denial_names_the_action_and_the_arn_of_the_caller() {
        let said = "User: arn:aws:iam::123456789012:user/a is not authorized to perform: \
                    ecr:GetAuthorizationToken on resource: * because no policy allows it";
        let message = ecr(&sdk()).denied("answered", said).message;
        assert!(
            message.ends_with(
                "; allow arn:aws:iam::123456789012:user/a ecr:GetAuthorizationToken on *"
            ),
            "{message}"
        );
    }

    #[test]
    fn a_denial_with_another_text_names_the_known_identity() {
        let sdk = sdk();
        let message = ecr(&sdk).denied("answered", "no").message;
        assert!(
            message.ends_with(
                "; allow arn:aws:iam::123456789012:user/known ecr:GetAuthorizationToken on *"
            ),
            "{message}"
        );
        let role = "arn:aws:iam::123456789012:role/r";
        let actions = "sts:AssumeRole";
        let asked = Asked { service: "STS", actions, resource: role, identity: None, sdk: &sdk };
        let message = asked.denied("answered", "").message;
        assert!(
            message.contains("allow this identity sts:AssumeRole on arn:aws:iam::123456789012:role/r, have the role's trust policy"),
            "{message}"
        );
    }

    #[test]
    fn every_reason_has_a_remedy() {
        for &reason in Reason::VARIANTS {
            assert!(!ecr(&sdk()).remedy(reason).is_empty());
        }
    }

    #[test]
    fn a_region_that_is_not_enabled_is_named() {
        assert_eq!(reason_of("RegionDisabledException", 403), Reason::RegionDisabled);
        let remedy = ecr(&sdk()).remedy(Reason::RegionDisabled).into_owned();
        assert!(remedy.starts_with("enable eu-west-1 for the account"), "{remedy}");
        assert!(remedy.contains("`assumeRole.region`"), "{remedy}");
    }

    #[test]
    fn a_fips_endpoint_that_does_not_exist_is_the_cause_of_an_unknown_name() {
        let sdk = sdk().to_builder().use_fips(true).build();
        let remedy = ecr(&sdk).remedy(Reason::Network);
        assert_eq!(remedy, "eu-west-1 has no FIPS endpoint: unset AWS_USE_FIPS_ENDPOINT");
        let sdk = sdk.to_builder().region(Region::new("us-gov-west-1")).build();
        assert!(ecr(&sdk).remedy(Reason::Network).starts_with("check DNS"));
    }

    #[test]
    fn what_the_sdk_does_not_send_is_no_fault_of_the_network() {
        for (causes, expected) in [
            ("Invalid Configuration: Missing Region", Some(Reason::NoRegion)),
            ("missing signing region", Some(Reason::NoRegion)),
            (
                "Invalid Configuration: FIPS and custom endpoint are not supported",
                Some(Reason::InvalidEndpoint),
            ),
            (
                "DualStack is enabled but this partition does not support DualStack",
                Some(Reason::InvalidEndpoint),
            ),
            ("dns error: failed to lookup address information", None),
        ] {
            assert_eq!(unsendable(causes), expected, "{causes}");
        }
    }
}
