//! The faults of AWS and of the network to it, and the rules for when they occur.

use std::time::Duration;

use super::{
    calls::Call,
    refusal::Refusal,
    request::{Operation, Service},
};

/// A fault of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is refused.
    Down,
    /// No reply ever comes.
    Hanging,
    /// The reply comes later by so much.
    Slow(Duration),
    /// AWS performs the operation, and the connection breaks before the reply.
    ReplyLost,
    /// AWS replies with an error.
    Refused(Refusal),
    /// AWS replies with status 200 and a bad body.
    Mangled(Mangling),
    /// The token in the reply expired a minute ago.
    ExpiredOnArrival,
    /// ECR's reply names the host of another region.
    OtherRegion(String),
    /// ECR's reply names the host of another account.
    OtherAccount(String),
}

/// The fault in the body of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mangling {
    /// It ends too soon, at a random point.
    Truncated,
    /// There is no body.
    EmptyBody,
    /// The body is the page of a captive portal or a proxy.
    HtmlPage,
    /// It has no `authorizationData`; for `AssumeRole`, no credentials.
    NoData,
    /// `authorizationToken` is missing.
    NoToken,
    /// `expiresAt` is missing.
    NoExpiry,
    /// `proxyEndpoint` is missing.
    NoHost,
    /// `authorizationToken` is not base64.
    BadBase64,
    /// The decoded token has no password.
    NoPassword,
    /// `authorizationData` has two elements.
    TwoEntries,
}

impl Fault {
    /// Whether an operation can have this fault. A rule does not apply to any other.
    #[must_use]
    pub fn applies_to(&self, operation: Operation) -> bool {
        let is_private = operation == Operation::GetAuthorizationToken;
        let is_token = is_private || operation == Operation::GetPublicAuthorizationToken;
        match self {
            Self::Down | Self::Hanging | Self::Slow(_) | Self::ReplyLost | Self::Refused(_) => true,
            Self::ExpiredOnArrival => is_token,
            Self::OtherRegion(_) | Self::OtherAccount(_) => is_private,
            Self::Mangled(mangling) => match mangling {
                Mangling::Truncated | Mangling::EmptyBody | Mangling::HtmlPage => true,
                Mangling::NoData => is_token || operation == Operation::AssumeRole,
                Mangling::NoToken
                | Mangling::NoExpiry
                | Mangling::BadBase64
                | Mangling::NoPassword => is_token,
                Mangling::NoHost | Mangling::TwoEntries => is_private,
            },
        }
    }
}

/// A fault, and the calls that it affects. `None` in a field is for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRule {
    /// The fault.
    pub fault: Fault,
    /// How many of 1,000 calls have it; 1,000 or more for all.
    pub per_thousand: u32,
    /// The service.
    pub service: Option<Service>,
    /// The region that the request is signed for.
    pub region: Option<String>,
    /// The account of the access key that signed the request.
    pub account: Option<String>,
    /// The replica.
    pub caller: Option<String>,
}

impl FaultRule {
    /// A fault of every call.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self::sometimes(fault, 1000)
    }

    /// A fault of so many calls in 1,000.
    #[must_use]
    pub fn sometimes(fault: Fault, per_thousand: u32) -> Self {
        Self { fault, per_thousand, service: None, region: None, account: None, caller: None }
    }

    /// The same rule, for one service only.
    #[must_use]
    pub fn of_service(self, service: Service) -> Self {
        Self { service: Some(service), ..self }
    }

    /// The same rule, for one region only.
    #[must_use]
    pub fn in_region(self, region: &str) -> Self {
        Self { region: Some(region.to_owned()), ..self }
    }

    /// The same rule, for the access keys of one account only.
    #[must_use]
    pub fn of_account(self, account: &str) -> Self {
        Self { account: Some(account.to_owned()), ..self }
    }

    /// The same rule, for one replica only.
    #[must_use]
    pub fn for_caller(self, caller: &str) -> Self {
        Self { caller: Some(caller.to_owned()), ..self }
    }

    pub(super) fn covers(&self, call: &Call) -> bool {
        let fits = |wanted: &Option<String>, value: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == value)
        };
        self.fault.applies_to(call.operation)
            && self.service.is_none_or(|service| service == call.operation.service())
            && fits(&self.region, &call.region)
            && fits(&self.account, &call.account)
            && fits(&self.caller, &call.caller)
    }
}
