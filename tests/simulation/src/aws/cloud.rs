//! The state of AWS, and how it answers a request.

use std::{ops::RangeInclusive, time::Duration};

use aws_smithy_runtime_api::{
    client::orchestrator::HttpResponse,
    http::{HttpError, StatusCode},
};
use aws_smithy_types::body::SdkBody;
use jiff::{SignedDuration, Timestamp};

use super::{
    calls::{Call, Calls},
    ecr,
    faults::{Fault, FaultRule, Mangling},
    identities::{Caller, Identities},
    refusal::Refusal,
    request::{Operation, Protocol, Request},
    sts,
    tokens::{NewToken, Tokens},
};
use crate::time::TrueTime;

/// An AWS. Settings and faults may change at any time; they count for calls that begin later.
#[derive(Debug)]
pub struct Cloud {
    /// The rules for faults. The first one that applies to a call decides its fault; delays of
    /// [`Fault::Slow`] add up, and leave the fault to a later rule.
    pub faults: Vec<FaultRule>,
    /// How far AWS's clock is ahead of true time. It shifts every expiry that AWS states.
    pub clock_ahead: SignedDuration,
    /// The life of new tokens: 12 hours, as in the real ECR.
    pub token_life: SignedDuration,
    /// The life of new sessions: an hour, as STS has it by default.
    pub session_life: SignedDuration,
    /// How long a request and its reply take together.
    pub latency: RangeInclusive<Duration>,
    /// The greatest difference between a request's date and AWS's clock. The real AWS refuses a
    /// request with more than five minutes; `None` for no check.
    pub date_tolerance: Option<SignedDuration>,
    /// The access keys, and the sessions that STS began.
    pub identities: Identities,
    /// All tokens that were ever issued.
    pub tokens: Tokens,
    /// The calls so far.
    pub calls: Calls,
    time: TrueTime,
    random: fastrand::Rng,
}

/// What happens to one request.
#[derive(Debug)]
pub(super) struct Course {
    /// How long the request takes to AWS.
    pub(super) there: Duration,
    /// How long AWS waits before it answers.
    pub(super) delay: Duration,
    /// How long the reply takes.
    pub(super) back: Duration,
    pub(super) fault: Option<Fault>,
}

/// A reply, and the number of the token that it delivers.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) token: Option<u64>,
}

/// An HTTP reply.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) retry_after: Option<u64>,
    pub(super) body: String,
}

impl Cloud {
    pub(super) fn new(seed: u64, time: TrueTime) -> Self {
        Self {
            faults: Vec::new(),
            clock_ahead: SignedDuration::ZERO,
            token_life: SignedDuration::from_hours(12),
            session_life: SignedDuration::from_hours(1),
            latency: Duration::from_millis(10)..=Duration::from_millis(100),
            date_tolerance: None,
            identities: Identities::default(),
            tokens: Tokens::default(),
            calls: Calls::default(),
            time,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Records a call, and decides what happens to it.
    pub(super) fn receive(&mut self, caller: &str, request: &Request) -> Course {
        let call = Call {
            at: self.time.elapsed(),
            caller: caller.to_owned(),
            operation: request.operation,
            account: self.identities.of(request).identity.account,
            region: request.region.clone(),
        };
        let (mut fault, mut delay) = (None, Duration::ZERO);
        for rule in &self.faults {
            if !rule.covers(&call) || !is_hit(&mut self.random, rule.per_thousand) {
                continue;
            }
            match &rule.fault {
                Fault::Slow(by) => delay += *by,
                other => {
                    fault = Some(other.clone());
                    break;
                }
            }
        }
        self.calls.record(call);
        let there = self.half_latency();
        let back = self.half_latency();
        Course { there, delay, back, fault }
    }

    /// Answers a request that has arrived.
    pub(super) fn answer(
        &mut self,
        caller: &str,
        request: &Request,
        fault: Option<&Fault>,
    ) -> Answer {
        let client = self.identities.of(request);
        let refusal = match fault {
            Some(Fault::Refused(refusal)) => Some(refusal.clone()),
            _ => self.refusal(request, &client),
        };
        let answered = match refusal {
            Some(refusal) => Err(refusal),
            None => self.perform(caller, request, &client, fault),
        };
        let mut answer = answered.unwrap_or_else(|refusal| {
            let action = request.operation.action();
            let resource = request.field("RoleArn").unwrap_or("*");
            let reply = refusal.reply(request.protocol, &client.identity.arn, action, resource);
            Answer { reply, token: None }
        });
        if let Some(Fault::Mangled(mangling)) = fault {
            answer.reply = mangle(answer.reply, *mangling, &mut self.random);
        }
        if fault.is_some() {
            answer.token = None;
        }
        answer
    }

    /// Why AWS itself refuses a request.
    fn refusal(&self, request: &Request, client: &Caller) -> Option<Refusal> {
        if let Some(refusal) = &client.refusal {
            return Some(refusal.clone());
        }
        let clock = self.clock();
        if client.expires_at.is_some_and(|expiry| expiry <= self.time.now()) {
            return Some(Refusal::ExpiredCredentials);
        }
        let (tolerance, date) = (self.date_tolerance?, request.date?);
        let off = clock.duration_since(date);
        (off.abs() > tolerance).then_some(Refusal::WrongDate { date, clock, tolerance })
    }

    fn perform(
        &mut self,
        caller: &str,
        request: &Request,
        client: &Caller,
        fault: Option<&Fault>,
    ) -> Result<Answer, Refusal> {
        let body = match request.operation {
            Operation::GetAuthorizationToken | Operation::GetPublicAuthorizationToken => {
                return Ok(self.issue(caller, request, client, fault));
            }
            Operation::GetCallerIdentity => sts::caller_identity(&client.identity),
            Operation::AssumeRole => {
                let stated = whole_seconds(self.clock() + self.session_life);
                let role = request.field("RoleArn").unwrap_or_default();
                let name = request.field("RoleSessionName").unwrap_or_default();
                let expiry = stated - self.clock_ahead;
                let session = self.identities.begin_session(role, name, expiry)?;
                sts::assumed_role(&session, stated, fault)
            }
            Operation::Other => return Err(Refusal::UnknownOperation),
        };
        Ok(Answer { reply: Reply::new(request.protocol, 200, body), token: None })
    }

    fn issue(
        &mut self,
        caller: &str,
        request: &Request,
        client: &Caller,
        fault: Option<&Fault>,
    ) -> Answer {
        let life = match fault {
            Some(Fault::ExpiredOnArrival) => -SignedDuration::from_mins(1),
            _ => self.token_life,
        };
        // The real ECR states milliseconds, or whole seconds: a client must cope with both.
        let expiry = self.clock() + life;
        let stated_expiry =
            if self.random.bool() { whole_seconds(expiry) } else { whole_milliseconds(expiry) };
        let token = self.tokens.issue(NewToken {
            service: request.operation.service(),
            account: client.identity.account.clone(),
            region: request.region.clone(),
            caller: caller.to_owned(),
            issued_at: self.time.now(),
            expires_at: stated_expiry - self.clock_ahead,
            stated_expiry,
        });
        let body = ecr::authorization(token, fault);
        let reply = Reply::new(request.protocol, 200, body);
        Answer { reply, token: Some(token.number) }
    }

    /// The time by AWS's clock.
    fn clock(&self) -> Timestamp {
        self.time.now() + self.clock_ahead
    }

    fn half_latency(&mut self) -> Duration {
        let micros =
            |duration: &Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX) / 2;
        let (least, most) = (micros(self.latency.start()), micros(self.latency.end()));
        Duration::from_micros(self.random.u64(least..=most.max(least)))
    }
}

impl Reply {
    pub(super) fn new(protocol: Protocol, status: u16, body: String) -> Self {
        Self { status, content_type: protocol.content_type(), retry_after: None, body }
    }

    pub(super) fn into_http(self) -> Result<HttpResponse, HttpError> {
        let status = StatusCode::try_from(self.status)?;
        let mut response = HttpResponse::new(status, SdkBody::from(self.body));
        response.headers_mut().insert("content-type", self.content_type);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert("retry-after", seconds.to_string());
        }
        Ok(response)
    }
}

/// Whether a call is one of so many in 1,000. Draws nothing when that is certain.
fn is_hit(random: &mut fastrand::Rng, per_thousand: u32) -> bool {
    per_thousand >= 1000 || (per_thousand > 0 && random.u32(0..1000) < per_thousand)
}

/// Replaces the body of a reply as a whole, where the fault is of that sort.
fn mangle(reply: Reply, mangling: Mangling, random: &mut fastrand::Rng) -> Reply {
    match mangling {
        Mangling::Truncated => {
            let length = random.usize(1..reply.body.chars().count().max(2));
            Reply { body: reply.body.chars().take(length).collect(), ..reply }
        }
        Mangling::EmptyBody => Reply { body: String::new(), ..reply },
        Mangling::HtmlPage => Reply {
            status: 200,
            content_type: "text/html",
            body: "<!DOCTYPE html><html><body>Sign in to the network</body></html>".to_owned(),
            ..reply
        },
        _ => reply,
    }
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn whole_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}
