//! AWS in memory, behind the HTTP client of the AWS SDK: ECR, ECR Public and STS.
//!
//! AWS's clock is true time. All waiting is on tokio's clock, and everything random comes from one
//! seeded generator, so the same calls give the same replies.

mod calls;
mod cloud;
mod ecr;
mod faults;
mod identities;
mod refusal;
mod request;
mod sts;
#[cfg(test)]
mod tests;
mod tokens;

use std::{
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use tokio::time::{sleep, timeout};

use self::request::Request;
pub use self::{
    calls::{Call, Calls},
    cloud::Cloud,
    faults::{Fault, FaultRule, Mangling},
    identities::{ACCOUNT, Identities, Identity, USER_ARN},
    refusal::Refusal,
    request::{Operation, Service},
    tokens::{IssuedToken, Tokens},
};
use crate::time::TrueTime;

/// An AWS in memory. Clones share it.
#[derive(Clone, Debug)]
pub struct SimulatedAws(Arc<Mutex<Cloud>>);

impl SimulatedAws {
    /// An AWS without faults, in which every access key is a user's of [`ACCOUNT`].
    #[must_use]
    pub fn new(seed: u64, time: TrueTime) -> Self {
        Self(Arc::new(Mutex::new(Cloud::new(seed, time))))
    }

    /// The HTTP client of one replica, for the AWS SDK. `caller` is the replica's name.
    #[must_use]
    pub fn http_client(&self, caller: &str) -> SharedHttpClient {
        SharedHttpClient::new(Client { aws: self.clone(), caller: caller.into() })
    }

    /// The state of this AWS: its faults and settings, its tokens, and the calls to it. No call is
    /// answered while the guard lives.
    pub fn lock(&self) -> MutexGuard<'_, Cloud> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request, its way to AWS, and the way of the reply.
    async fn send(&self, caller: &str, request: &Request) -> Result<HttpResponse, ConnectorError> {
        let course = self.lock().receive(caller, request);
        sleep(course.there).await;
        match course.fault {
            Some(Fault::Down) => return Err(ConnectorError::io("connection refused".into())),
            Some(Fault::Hanging) => pending().await,
            _ => {}
        }
        sleep(course.delay).await;
        let answer = self.lock().answer(caller, request, course.fault.as_ref());
        sleep(course.back).await;
        if course.fault == Some(Fault::ReplyLost) {
            return Err(ConnectorError::io("connection reset by peer".into()));
        }
        if let Some(number) = answer.token {
            self.lock().tokens.deliver(number);
        }
        answer.reply.into_http().map_err(|error| ConnectorError::other(error.into(), None))
    }
}

/// The HTTP client of one replica.
#[derive(Clone, Debug)]
struct Client {
    aws: SimulatedAws,
    caller: Arc<str>,
}

impl HttpClient for Client {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let read_timeout = settings.read_timeout();
        SharedHttpConnector::new(Connector { client: self.clone(), read_timeout })
    }
}

/// Connections with the timeouts of one SDK client.
#[derive(Debug)]
struct Connector {
    client: Client,
    read_timeout: Option<Duration>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Client { aws, caller } = self.client.clone();
        let request = Request::parse(&request);
        let limit = self.read_timeout;
        HttpConnectorFuture::new(async move {
            let reply = aws.send(&caller, &request);
            match limit {
                Some(limit) => timeout(limit, reply).await.unwrap_or_else(|elapsed| {
                    let message = format!("no reply within {limit:?}: {elapsed}");
                    Err(ConnectorError::timeout(message.into()))
                }),
                None => reply.await,
            }
        })
    }
}
