//! All that the fake remembers, and the one step that answers a request from it.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::ecr;
use super::fault::{Fault, FaultPlan};
use super::identity::{Caller, Identities};
use super::metadata;
use super::operation::{Operation, Service};
use super::problem::Problem;
use super::registry::RegistryRequest;
use super::sts;
use super::tokens::TokenTable;
use super::wire::{Answer, Form, Protocol, Reply, Request, request_id};
use super::xml;

/// The life of a real token.
const DEFAULT_TOKEN_LIFE: Duration = Duration::from_hours(12);

/// A page such as a captive portal or a broken proxy gives.
const GARBAGE: &str = "<!doctype html><title>Sign in</title><p>Please sign in & continue";

/// A request that came in, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What was asked for.
    pub operation: Operation,
    /// The caller's account; of a web identity the account of its role; empty for an unknown caller.
    pub account: String,
    /// The caller's ARN; of a web identity its role; empty for an unknown caller.
    pub arn: String,
    /// The region that the request was signed for; empty if it was not signed.
    pub region: String,
    /// The key that it was signed with; empty if it was not signed.
    pub access_key_id: String,
    /// When it came in.
    pub at: Timestamp,
    /// The HTTP status of the answer; none where the fake gave no answer.
    pub status: Option<u16>,
}

/// All that the fake remembers.
pub(super) struct State {
    pub(super) token_life: Duration,
    pub(super) tokens: TokenTable,
    pub(super) identities: Identities,
    pub(super) sts: sts::Settings,
    pub(super) metadata: metadata::Settings,
    pub(super) faults: FaultPlan,
    pub(super) calls: Vec<Call>,
    /// The real registry behind those of the fake.
    pub(super) registry: Option<SocketAddr>,
    pub(super) registry_requests: Vec<RegistryRequest>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            token_life: DEFAULT_TOKEN_LIFE,
            tokens: TokenTable::default(),
            identities: Identities::default(),
            sts: sts::Settings::default(),
            metadata: metadata::Settings::default(),
            faults: FaultPlan::default(),
            calls: Vec::new(),
            registry: None,
            registry_requests: Vec::new(),
        }
    }
}

impl State {
    /// Answers a request and records the call.
    pub(super) fn answer(&mut self, request: &Request, now: Timestamp) -> Answer {
        let form = Form::parse(&request.body);
        let operation = Operation::of(request, &form);
        let protocol = Protocol::of(request);
        let (caller, checked) = self.identities.caller(operation, request, &form, now);
        // A fault goes first: a service that is down checks no signatures.
        let answer = match self.faults.take(operation, &caller) {
            Some(Fault::Hang) => Answer::Silence,
            Some(Fault::Disconnect) => Answer::Disconnect,
            Some(Fault::Garbage) => Answer::Reply(garbage()),
            fault => {
                let refusal = fault.as_ref().and_then(|fault| fault.problem(operation, &caller));
                let body = refusal
                    .map_or(checked, Err)
                    .and_then(|()| self.body(operation, &caller, &form, fault.as_ref(), now));
                let reply = body.unwrap_or_else(|problem| problem.reply(protocol));
                match fault {
                    Some(Fault::Slow(delay)) => Answer::Late(delay, reply),
                    _ => Answer::Reply(reply),
                }
            }
        };
        self.calls.push(Call {
            operation,
            account: caller.identity.account,
            arn: caller.identity.arn,
            region: caller.region,
            access_key_id: caller.access_key_id,
            at: now,
            status: answer.status(),
        });
        answer
    }

    fn body(
        &mut self,
        operation: Operation,
        caller: &Caller,
        form: &Form,
        fault: Option<&Fault>,
        now: Timestamp,
    ) -> Result<Reply, Problem> {
        let request_id = request_id();
        let service = operation.service().ok_or(Problem::UnknownOperation)?;
        let (protocol, body) = if service == Service::Sts {
            let Self { sts, identities, .. } = self;
            let result = sts::result(operation, caller, form, sts, identities, now)?;
            let body = xml::response(operation.name(), &result, &request_id);
            (Protocol::Query, body)
        } else {
            let (tokens, life) = (&mut self.tokens, self.token_life);
            let body = ecr::authorization(tokens, service, caller, fault, now, life);
            (Protocol::Json, body)
        };
        let content_type = protocol.content_type();
        Ok(Reply { status: 200, content_type, retry_after: None, request_id, body })
    }
}

fn garbage() -> Reply {
    Reply {
        status: 200,
        content_type: "text/html",
        retry_after: None,
        request_id: request_id(),
        body: GARBAGE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::Rule;
    use super::super::identity::DEFAULT_ACCOUNT;
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_785_000_000, 0);

    fn ecr_request(service: &str) -> Request {
        Request {
            target: Some("AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken".into()),
            authorization: Some(format!(
                "AWS4-HMAC-SHA256 Credential=AKIA1/20260801/eu-west-1/{service}/aws4_request, \
                 SignedHeaders=host, Signature=0"
            )),
            body: b"{}".to_vec(),
            ..Request::default()
        }
    }

    fn body(answer: Answer) -> String {
        match answer {
            Answer::Reply(reply) => reply.body,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_good_call_is_answered_and_recorded() {
        let mut state = State::default();
        assert_eq!(state.answer(&ecr_request("ecr"), NOW).status(), Some(200));
        let [call] = &state.calls[..] else { panic!("{:?}", state.calls) };
        assert_eq!(call.operation, Operation::GetAuthorizationToken);
        assert_eq!((call.account.as_str(), call.region.as_str()), (DEFAULT_ACCOUNT, "eu-west-1"));
        assert_eq!((call.access_key_id.as_str(), call.at), ("AKIA1", NOW));
        assert_eq!(state.tokens.issued().len(), 1);
    }

    #[test]
    fn a_request_that_is_not_signed_gets_no_token() {
        let mut state = State::default();
        let unsigned = Request { authorization: None, ..ecr_request("ecr") };
        let answer = state.answer(&unsigned, NOW);
        assert_eq!(answer.status(), Some(400));
        assert!(body(answer).contains("MissingAuthenticationTokenException"));
        assert_eq!(state.tokens.issued().len(), 0);
        assert_eq!(state.calls[0].access_key_id, "");
    }

    #[test]
    fn a_signature_for_another_service_gets_no_token() {
        let mut state = State::default();
        assert!(body(state.answer(&ecr_request("sts"), NOW)).contains("InvalidSignatureException"));
        assert_eq!(state.tokens.issued().len(), 0);
    }

    #[test]
    fn a_slow_answer_is_a_good_one() {
        let mut state = State::default();
        state.faults.add(Rule::next(1, Fault::Slow(Duration::from_secs(3))));
        let Answer::Late(delay, reply) = state.answer(&ecr_request("ecr"), NOW) else {
            panic!("it is not late")
        };
        assert_eq!((delay, reply.status), (Duration::from_secs(3), 200));
        assert_eq!(state.tokens.issued().len(), 1);
    }

    #[test]
    fn an_unknown_operation_is_refused_in_its_own_protocol() {
        let mut state = State::default();
        let target = Some("AmazonEC2ContainerRegistry_V20150921.ListImages".into());
        let json = Request { target, ..ecr_request("ecr") };
        assert!(body(state.answer(&json, NOW)).contains("UnknownOperationException"));
        let form = b"Action=GetSessionToken".to_vec();
        let query = Request { target: None, body: form, ..ecr_request("sts") };
        assert!(body(state.answer(&query, NOW)).contains("<Code>InvalidAction</Code>"));
    }

    #[test]
    fn a_fault_befalls_also_a_request_that_would_be_refused() {
        let mut state = State::default();
        state.faults.add(Rule::next(1, Fault::Hang));
        assert_eq!(state.answer(&Request::default(), NOW), Answer::Silence);
        assert_eq!(state.calls[0].status, None);
        assert_eq!(state.answer(&Request::default(), NOW).status(), Some(403));
    }
}
