//! The operations that the fake answers, and how a request names one of them.

use super::wire::{Form, Request};

/// One of the AWS services that the fake speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Private ECR.
    Ecr,
    /// ECR Public.
    EcrPublic,
    /// The Security Token Service.
    Sts,
}

impl Service {
    /// The name in a signature's credential scope and in the names of IAM actions.
    #[must_use]
    pub fn signing_name(self) -> &'static str {
        match self {
            Self::Ecr => "ecr",
            Self::EcrPublic => "ecr-public",
            Self::Sts => "sts",
        }
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// ECR's `GetAuthorizationToken`.
    GetAuthorizationToken,
    /// ECR Public's `GetAuthorizationToken`.
    GetPublicAuthorizationToken,
    /// STS's `GetCallerIdentity`.
    GetCallerIdentity,
    /// STS's `AssumeRole`.
    AssumeRole,
    /// STS's `AssumeRoleWithWebIdentity`, which carries no signature.
    AssumeRoleWithWebIdentity,
    /// Anything else: refused, as the real services do.
    Unknown,
}

impl Operation {
    /// The operation that the request names, in either protocol.
    pub(super) fn of(request: &Request, form: &Form) -> Self {
        match (request.target.as_deref(), form.get("Action")) {
            (Some("AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"), _) => {
                Self::GetAuthorizationToken
            }
            (Some("SpencerFrontendService.GetAuthorizationToken"), _) => {
                Self::GetPublicAuthorizationToken
            }
            (None, Some("GetCallerIdentity")) => Self::GetCallerIdentity,
            (None, Some("AssumeRole")) => Self::AssumeRole,
            (None, Some("AssumeRoleWithWebIdentity")) => Self::AssumeRoleWithWebIdentity,
            _ => Self::Unknown,
        }
    }

    /// The service that has the operation; none for one that is not known.
    #[must_use]
    pub fn service(self) -> Option<Service> {
        match self {
            Self::GetAuthorizationToken => Some(Service::Ecr),
            Self::GetPublicAuthorizationToken => Some(Service::EcrPublic),
            Self::GetCallerIdentity | Self::AssumeRole | Self::AssumeRoleWithWebIdentity => {
                Some(Service::Sts)
            }
            Self::Unknown => None,
        }
    }

    /// Whether the answer carries a registry token.
    pub(super) fn gives_token(self) -> bool {
        matches!(self.service(), Some(Service::Ecr | Service::EcrPublic))
    }

    /// The name in the service's API.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::GetAuthorizationToken | Self::GetPublicAuthorizationToken => {
                "GetAuthorizationToken"
            }
            Self::GetCallerIdentity => "GetCallerIdentity",
            Self::AssumeRole => "AssumeRole",
            Self::AssumeRoleWithWebIdentity => "AssumeRoleWithWebIdentity",
            Self::Unknown => "Unknown",
        }
    }

    /// The action as an IAM policy names it, for error messages.
    pub(super) fn action(self) -> String {
        let service = self.service().map_or("unknown", Service::signing_name);
        format!("{service}:{}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(target: Option<&str>, body: &str) -> Operation {
        let request = Request {
            target: target.map(str::to_owned),
            body: body.as_bytes().to_vec(),
            ..Request::default()
        };
        Operation::of(&request, &Form::parse(&request.body))
    }

    #[test]
    fn a_target_header_names_a_json_operation() {
        let ecr = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
        assert_eq!(operation(Some(ecr), "{}"), Operation::GetAuthorizationToken);
        let public = "SpencerFrontendService.GetAuthorizationToken";
        assert_eq!(operation(Some(public), "{}"), Operation::GetPublicAuthorizationToken);
        let other = "AmazonEC2ContainerRegistry_V20150921.DeleteRepository";
        assert_eq!(operation(Some(other), "{}"), Operation::Unknown);
    }

    #[test]
    fn an_action_in_the_form_names_an_sts_operation() {
        assert_eq!(operation(None, "Action=GetCallerIdentity"), Operation::GetCallerIdentity);
        assert_eq!(operation(None, "Version=2011-06-15&Action=AssumeRole"), Operation::AssumeRole);
        assert_eq!(operation(None, "Action=GetSessionToken"), Operation::Unknown);
        assert_eq!(operation(None, ""), Operation::Unknown);
    }
}
