//! The faults that a test can ask for, and which of them a request meets.

use std::time::Duration;

use super::identity::Caller;
use super::operation::{Operation, Service};
use super::problem::Problem;

/// A way to go wrong. Those about tokens befall ECR and ECR Public only, the others STS too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An internal error of that status, such as 500 or 503.
    ServerError(u16),
    /// Status 400, `ThrottlingException`: what the SDK retries.
    Throttled,
    /// Status 400, `ThrottleException`: ECR documents it, and the SDK does not retry it.
    ThrottleException,
    /// Status 429, with `Retry-After` in seconds where given.
    TooManyRequests(Option<u64>),
    /// The request is read and never answered.
    Hang,
    /// The answer is a good one, and comes this much later.
    Slow(Duration),
    /// The connection is closed without an answer.
    Disconnect,
    /// Status 200 with a page that is neither JSON nor the expected XML.
    Garbage,
    /// An answer without `authorizationData`.
    EmptyReply,
    /// An answer with empty `authorizationData`.
    NoEntries,
    /// `authorizationToken` is null.
    NullToken,
    /// `authorizationToken` is not base64.
    BadBase64,
    /// The decoded token has no colon.
    NoColon,
    /// The decoded token ends at the colon.
    NoPassword,
    /// Two entries with two tokens; the second names a host of another account (ECR only: ECR
    /// Public has one entry by its shape).
    TwoEntries,
    /// The host is one of this other region (ECR only).
    OtherRegion(&'static str),
    /// `expiresAt` lies in 2015, and the token is dead.
    AlreadyExpired,
    /// `expiresAt` is left out; the token is good for the usual life.
    MissingExpiry,
    /// The identity may not do this; the message has its ARN.
    AccessDenied,
    /// The caller's session is over.
    ExpiredToken,
    /// The access key does not exist.
    UnrecognizedClient,
}

impl Fault {
    /// The refusal that the fault is; none for one that spoils the answer or the connection.
    pub(super) fn problem(&self, operation: Operation, caller: &Caller) -> Option<Problem> {
        match *self {
            Self::ServerError(status) => Some(Problem::Server(status)),
            Self::Throttled => Some(Problem::Throttled),
            Self::ThrottleException => Some(Problem::ThrottleException),
            Self::TooManyRequests(retry_after) => Some(Problem::TooManyRequests { retry_after }),
            Self::AccessDenied => Some(Problem::AccessDenied {
                arn: caller.identity.arn.clone(),
                action: operation.action(),
                resource: "*".to_owned(),
            }),
            Self::ExpiredToken => Some(Problem::ExpiredToken),
            Self::UnrecognizedClient => Some(Problem::UnrecognizedClient),
            _ => None,
        }
    }

    fn is_about_tokens(&self) -> bool {
        matches!(
            self,
            Self::EmptyReply
                | Self::NoEntries
                | Self::NullToken
                | Self::BadBase64
                | Self::NoColon
                | Self::NoPassword
                | Self::TwoEntries
                | Self::OtherRegion(_)
                | Self::AlreadyExpired
                | Self::MissingExpiry
        )
    }

    fn can_befall(&self, operation: Operation) -> bool {
        match self {
            Self::TwoEntries | Self::OtherRegion(_) => {
                operation == Operation::GetAuthorizationToken
            }
            _ => !self.is_about_tokens() || operation.gives_token(),
        }
    }
}

/// A fault, and which requests it befalls: all of them, unless narrowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    fault: Fault,
    left: Option<usize>,
    service: Option<Service>,
    operation: Option<Operation>,
    account: Option<String>,
    region: Option<String>,
    access_key_id: Option<String>,
}

impl Rule {
    /// The fault for every request until healed.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self {
            fault,
            left: None,
            service: None,
            operation: None,
            account: None,
            region: None,
            access_key_id: None,
        }
    }

    /// The fault for the next `count` requests. Each of an SDK's retries is a request.
    #[must_use]
    pub fn next(count: usize, fault: Fault) -> Self {
        Self { left: Some(count), ..Self::always(fault) }
    }

    /// Only requests for this operation.
    #[must_use]
    pub fn on(self, operation: Operation) -> Self {
        Self { operation: Some(operation), ..self }
    }

    /// Only requests to this service.
    #[must_use]
    pub fn on_service(self, service: Service) -> Self {
        Self { service: Some(service), ..self }
    }

    /// Only callers of this account. The caller of `AssumeRole` is the identity that wants the role.
    #[must_use]
    pub fn for_account(self, account: impl Into<String>) -> Self {
        Self { account: Some(account.into()), ..self }
    }

    /// Only requests that are signed for this region.
    #[must_use]
    pub fn in_region(self, region: impl Into<String>) -> Self {
        Self { region: Some(region.into()), ..self }
    }

    /// Only requests that are signed with this access key.
    #[must_use]
    pub fn for_access_key(self, access_key_id: impl Into<String>) -> Self {
        Self { access_key_id: Some(access_key_id.into()), ..self }
    }

    fn fits(&self, operation: Operation, caller: &Caller) -> bool {
        fn agree<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        self.left != Some(0)
            && self.fault.can_befall(operation)
            && agree(self.service.as_ref(), operation.service().as_ref())
            && agree(self.operation.as_ref(), Some(&operation))
            && agree(self.account.as_ref(), Some(&caller.identity.account))
            && agree(self.region.as_ref(), Some(&caller.region))
            && agree(self.access_key_id.as_ref(), Some(&caller.access_key_id))
    }
}

/// The rules in force. The newest that fits decides.
#[derive(Debug, Default)]
pub(super) struct FaultPlan {
    rules: Vec<Rule>,
}

impl FaultPlan {
    /// Puts a rule before all others.
    pub(super) fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// Ends all rules.
    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The fault that this request meets; a counted one is used up by it.
    pub(super) fn take(&mut self, operation: Operation, caller: &Caller) -> Option<Fault> {
        let rule = self.rules.iter_mut().rev().find(|rule| rule.fits(operation, caller))?;
        rule.left = rule.left.map(|left| left.saturating_sub(1));
        Some(rule.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::identity::Identity;
    use super::*;

    const ECR: Operation = Operation::GetAuthorizationToken;
    const STS: Operation = Operation::GetCallerIdentity;

    fn caller(account: &str, region: &str, key: &str) -> Caller {
        Caller {
            identity: Identity::new(account, format!("arn:aws:iam::{account}:user/a")),
            region: region.into(),
            access_key_id: key.into(),
        }
    }

    fn plan(rules: impl IntoIterator<Item = Rule>) -> FaultPlan {
        let mut plan = FaultPlan::default();
        rules.into_iter().for_each(|rule| plan.add(rule));
        plan
    }

    #[test]
    fn a_counted_fault_is_used_up_and_the_older_one_is_back() {
        let mut plan = plan([Rule::always(Fault::Throttled), Rule::next(2, Fault::Hang)]);
        let met: Vec<_> = (0..4).map(|_| plan.take(ECR, &caller("1", "r", "k"))).collect();
        let expected = [Fault::Hang, Fault::Hang, Fault::Throttled, Fault::Throttled].map(Some);
        assert_eq!(met, expected);
        plan.clear();
        assert_eq!(plan.take(ECR, &caller("1", "r", "k")), None);
    }

    #[test]
    fn a_narrowed_fault_spares_the_others_and_is_not_used_up_by_them() {
        let rule = Rule::next(1, Fault::Hang).for_account("2").in_region("r").for_access_key("k");
        let mut plan = plan([rule.on(ECR)]);
        for spared in [caller("1", "r", "k"), caller("2", "x", "k"), caller("2", "r", "x")] {
            assert_eq!(plan.take(ECR, &spared), None);
        }
        assert_eq!(plan.take(STS, &caller("2", "r", "k")), None);
        assert_eq!(plan.take(ECR, &caller("2", "r", "k")), Some(Fault::Hang));
        assert_eq!(plan.take(ECR, &caller("2", "r", "k")), None);
    }

    #[test]
    fn a_fault_of_a_service_spares_the_others() {
        let mut plan = plan([Rule::always(Fault::ServerError(500)).on_service(Service::Sts)]);
        let caller = caller("1", "r", "k");
        assert_eq!(plan.take(ECR, &caller), None);
        assert_eq!(plan.take(STS, &caller), Some(Fault::ServerError(500)));
    }

    #[test]
    fn a_fault_about_tokens_never_befalls_sts() {
        let caller = caller("1", "r", "k");
        let public = Operation::GetPublicAuthorizationToken;
        let mut nulls = plan([Rule::always(Fault::NullToken)]);
        assert_eq!(nulls.take(STS, &caller), None);
        assert_eq!(nulls.take(public, &caller), Some(Fault::NullToken));
        assert_eq!(plan([Rule::always(Fault::TwoEntries)]).take(public, &caller), None);
    }

    #[test]
    fn access_denied_carries_the_callers_arn() {
        let problem = Fault::AccessDenied.problem(ECR, &caller("7", "r", "k"));
        let Some(Problem::AccessDenied { arn, action, .. }) = problem else {
            panic!("{problem:?}");
        };
        assert_eq!(arn, "arn:aws:iam::7:user/a");
        assert_eq!(action, "ecr:GetAuthorizationToken");
    }
}
