//! The tokens of one identity in one region, shared by all registries that need them.

use std::sync::Arc;

use aws_config::{Region, SdkConfig};
use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};

use super::reply::{self, ReplyError, Token};
use crate::{
    FetchError, Reason, Schedule,
    aws::{Asked, Caller, Identity},
};

/// The two APIs that give tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Api {
    /// Amazon ECR.
    Private,
    /// Amazon ECR Public.
    Public,
}

impl Api {
    /// Where ECR Public's tokens are had (ECR Public API reference, `GetAuthorizationToken`).
    pub(crate) const PUBLIC_REGION: &str = "us-east-1";
}

/// Who asks for the tokens of one identity in one region, for all.
#[derive(Debug)]
pub(crate) struct SharedTokens {
    api: Api,
    identity: Arc<Identity>,
    endpoint_url: Option<String>,
    /// Locked while a call is under way: who asks meanwhile waits for its answer.
    answers: Mutex<Answers>,
    /// The number of the newest token.
    newest: watch::Sender<u64>,
}

/// What came of a call. Calls are numbered, from 1.
#[derive(Debug, Clone)]
pub(super) struct Answer<T = Result<Token, FetchError>> {
    pub(super) number: u64,
    pub(super) outcome: T,
    /// In which round the call was made.
    round: u64,
}

/// The answers that somebody may not have had yet.
#[derive(Debug, Default)]
struct Answers {
    calls: u64,
    token: Option<Answer<Token>>,
    failure: Option<Answer<Failure>>,
    /// When to call after a failure, for all: the first of many registries to do so by its own dice
    /// would do it far too soon.
    schedule: Schedule,
}

/// A failed call, and when the next one may be made.
#[derive(Debug, Clone)]
struct Failure {
    error: FetchError,
    retry_at: Timestamp,
}

impl Failure {
    /// The error, for who learns of it at `now`.
    fn at(&self, now: Timestamp) -> FetchError {
        let wait = self.retry_at.duration_since(now).max(SignedDuration::ZERO);
        FetchError { retry_after: wait.try_into().ok(), ..self.error.clone() }
    }
}

impl SharedTokens {
    pub(crate) fn new(api: Api, identity: Arc<Identity>, endpoint_url: Option<String>) -> Self {
        let answers = Mutex::default();
        Self { api, identity, endpoint_url, answers, newest: watch::Sender::new(0) }
    }

    /// The region that is asked, if there is one.
    pub(super) fn region(&self) -> Option<&str> {
        self.identity.region().map(Region::as_ref)
    }

    /// As whom tokens are asked for, by AWS's own words.
    pub(super) async fn caller(&self) -> Result<Caller, FetchError> {
        self.identity.caller().await.cloned()
    }

    /// The newest answer of this round, if it has a higher number than `seen`; else calls.
    pub(super) async fn ask(&self, seen: u64, round: u64, now: Timestamp) -> Answer {
        let mut answers = self.answers.lock().await;
        if let Some(answer) = answers.since(seen, round, now) {
            return answer;
        }
        let asked = Instant::now();
        let outcome = self.call(now).await;
        let now = now.saturating_add(asked.elapsed()).unwrap_or(now);
        let answer = answers.take(outcome, round, now, fastrand::f64());
        if answer.outcome.is_ok() {
            self.newest.send_replace(answer.number);
        }
        self.introduce(&answer);
        answer
    }

    /// Waits until there is a token with a higher number than `seen`.
    pub(super) async fn renewed(&self, seen: u64) {
        // The sender is ours, so there will always be one.
        let _ = self.newest.subscribe().wait_for(|number| *number > seen).await;
    }

    /// Has the log tell who asks, once AWS knows it. Nobody waits for that.
    fn introduce(&self, answer: &Answer) {
        let denied = |error: &FetchError| error.reason == Reason::AccessDenied;
        if answer.outcome.as_ref().err().is_none_or(denied) {
            let identity = Arc::clone(&self.identity);
            tokio::spawn(async move { identity.introduce().await });
        }
    }

    async fn call(&self, now: Timestamp) -> Result<Token, FetchError> {
        if self.identity.region().is_none() {
            return Err(no_region());
        }
        self.identity
            .call(|sdk| async move {
                match self.api {
                    Api::Private => self.call_private(&sdk, now).await,
                    Api::Public => self.call_public(&sdk, now).await,
                }
            })
            .await
    }

    /// Never formats the reply: its `Debug` shows the token.
    async fn call_private(&self, sdk: &SdkConfig, now: Timestamp) -> Result<Token, FetchError> {
        let mut config = aws_sdk_ecr::config::Builder::from(sdk);
        if let Some(url) = &self.endpoint_url {
            config = config.endpoint_url(url);
        }
        let client = aws_sdk_ecr::Client::from_conf(config.build());
        let reply = client.get_authorization_token().send().await;
        let reply = reply
            .map_err(|error| self.asked("ECR", "ecr:GetAuthorizationToken").describe(&error))?;
        reply::private(reply.authorization_data.unwrap_or_default(), now).map_err(nonsense)
    }

    /// Never formats the reply: its `Debug` shows the token.
    async fn call_public(&self, sdk: &SdkConfig, now: Timestamp) -> Result<Token, FetchError> {
        let mut config = aws_sdk_ecrpublic::config::Builder::from(sdk);
        if let Some(url) = &self.endpoint_url {
            config = config.endpoint_url(url);
        }
        let client = aws_sdk_ecrpublic::Client::from_conf(config.build());
        let reply = client.get_authorization_token().send().await;
        let actions = "ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken";
        let reply = reply.map_err(|error| self.asked("ECR Public", actions).describe(&error))?;
        reply::public(reply.authorization_data, now).map_err(nonsense)
    }

    fn asked(&self, service: &'static str, actions: &'static str) -> Asked<'_> {
        Asked { service, actions, resource: "*", identity: self.identity.arn() }
    }
}

impl Answers {
    /// A living token that the asker has not had, or else a later failure that it has not had.
    fn since(&self, seen: u64, round: u64, now: Timestamp) -> Option<Answer> {
        let Self { token, failure, .. } = self;
        let token = token.as_ref().filter(|token| {
            token.number > seen && token.round == round && !token.outcome.lifetime.is_expired(now)
        });
        let failure =
            failure.as_ref().filter(|failure| failure.number > seen && failure.round == round);
        let token = token.map(|token| token.clone().map(Ok));
        token.or_else(|| failure.map(|failure| failure.clone().map(|failure| Err(failure.at(now)))))
    }

    /// Keeps what came of a call that ended at `now`. `random` is in 0..1.
    fn take(
        &mut self,
        outcome: Result<Token, FetchError>,
        round: u64,
        now: Timestamp,
        random: f64,
    ) -> Answer {
        self.calls += 1;
        let number = self.calls;
        let outcome = match outcome {
            Ok(token) => {
                self.schedule.succeeded(token.lifetime);
                self.token = Some(Answer { number, outcome: token.clone(), round });
                self.failure = None;
                Ok(token)
            }
            Err(error) => {
                let retry_at = self.schedule.failed(now, error.retry_after, random);
                let failure = Failure { error, retry_at };
                let error = failure.at(now);
                self.failure = Some(Answer { number, outcome: failure, round });
                Err(error)
            }
        };
        Answer { number, outcome, round }
    }
}

impl<T> Answer<T> {
    fn map<U>(self, with: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { number: self.number, outcome: with(self.outcome), round: self.round }
    }
}

fn no_region() -> FetchError {
    FetchError::new(
        Reason::NoRegion,
        "no AWS region: set `ecr.region` for the registry in the config, or AWS_REGION in the environment",
    )
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err calls")]
fn nonsense(error: ReplyError) -> FetchError {
    FetchError::new(
        Reason::BadResponse,
        format!("{error}; check `endpointUrl`, AWS_ENDPOINT_URL and any proxy"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Auth, Lifetime};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn token() -> Token {
        let auth = Auth::from_user_and_password("AWS", "secret").unwrap();
        Token { auth, lifetime: Lifetime::starting(at(0), at(40)).unwrap(), host: None }
    }

    fn failure() -> FetchError {
        FetchError::new(Reason::Throttled, "slow down")
    }

    #[test]
    fn an_answer_is_had_once_and_only_in_its_round() {
        let mut answers = Answers::default();
        assert!(answers.since(0, 0, at(1)).is_none());
        assert_eq!(answers.take(Ok(token()), 0, at(0), 1.0).number, 1);
        assert_eq!(answers.since(0, 0, at(1)).unwrap().number, 1);
        assert!(answers.since(1, 0, at(1)).is_none());
        assert!(answers.since(0, 1, at(1)).is_none());
        assert!(answers.since(0, 0, at(40)).is_none());
    }

    #[test]
    fn a_failure_is_shared_too_so_that_it_is_not_asked_for_again_at_once() {
        let mut answers = Answers::default();
        answers.take(Err(failure()), 0, at(0), 1.0);
        assert!(answers.since(0, 0, at(1)).unwrap().outcome.is_err());
        assert!(answers.since(1, 0, at(1)).is_none());
    }

    #[test]
    fn all_who_share_a_failure_wait_until_the_same_moment() {
        let mut answers = Answers::default();
        let wait = |answer: Answer| answer.outcome.unwrap_err().retry_after.unwrap().as_secs();
        answers.take(Err(failure()), 0, at(0), 1.0);
        assert_eq!(wait(answers.take(Err(failure()), 0, at(10), 1.0)), 2);
        assert_eq!(wait(answers.since(0, 0, at(11)).unwrap()), 1);
        assert_eq!(wait(answers.since(0, 0, at(20)).unwrap()), 0);
    }

    #[test]
    fn who_has_had_nothing_gets_the_living_token_also_while_the_next_one_fails() {
        let mut answers = Answers::default();
        answers.take(Ok(token()), 0, at(0), 1.0);
        answers.take(Err(failure()), 0, at(0), 1.0);
        assert_eq!(answers.since(0, 0, at(1)).unwrap().number, 1);
        assert_eq!(answers.since(1, 0, at(1)).unwrap().number, 2);
        assert!(answers.since(2, 0, at(1)).is_none());
        answers.take(Ok(token()), 0, at(0), 1.0);
        assert_eq!(answers.since(1, 0, at(1)).unwrap().number, 3);
    }
}
