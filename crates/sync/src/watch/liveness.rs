//! Watches that are resumed when their connection falls silent, and when each was last active.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ecr_refresher_core::{Random, clock::Clock};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use http::Request;
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::{
    Api, Client, Resource,
    client::Body,
    runtime::{
        WatchStreamExt,
        watcher::{self, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use tower::{BoxError, service_fn};
use tower_http::timeout::{TimeoutBody, TimeoutError};

use crate::watch::backoff::WatchBackoff;

/// After this many seconds the API server ends a watch, which is then resumed. Bookmarks come once a
/// minute, but not while nothing of the resource has changed since the watch began: in a quiet cluster
/// the end is the only sign of life.
const WATCH_SECONDS: u32 = 60;
/// The objects of one page of a list, all of which are in memory at once.
const PAGE_SIZE: u32 = 500;
/// The longest silence of the API server: by then it has ended a watch, and given up any other
/// request, which it does after 60 s. A second later the watcher would give up without an error.
const READ_TIMEOUT: Duration = Duration::from_secs(64);
/// A watch that is silent for longer without an error is stuck.
const STUCK_AFTER: Duration = Duration::from_mins(5);

/// The last activity of one watch.
#[derive(Debug, Clone)]
pub struct WatchLiveness {
    activity: Arc<Mutex<Activity>>,
    clock: Clock,
    random: Random,
}

#[derive(Debug, Clone, Copy)]
struct Activity {
    /// The last event, bookmark or answer, by the wall clock: for the metric.
    event_at: Timestamp,
    /// The same, by a clock that is never set and stands still in a suspended machine.
    event: Instant,
    /// The last event or error.
    result: Instant,
}

/// The connection is open, and nothing comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the API server has sent nothing for {} s", READ_TIMEOUT.as_secs())]
struct ReadTimeout;

impl WatchLiveness {
    /// The liveness of a watch that starts now.
    #[must_use]
    pub fn start(clock: &Clock, random: &Random) -> Self {
        let now = Instant::now();
        let activity = Activity { event_at: clock.wall(), event: now, result: now };
        let (clock, random) = (clock.clone(), random.clone());
        Self { activity: Arc::new(Mutex::new(activity)), clock, random }
    }

    /// Watches with the API that `api` makes of a client. A watch that fails or falls silent yields the
    /// error and is resumed, with backoff.
    ///
    /// Must be called within a tokio runtime.
    #[must_use]
    pub fn watch<K>(
        &self,
        client: &Client,
        api: impl FnOnce(Client) -> Api<K>,
        config: watcher::Config,
    ) -> BoxStream<'static, watcher::Result<watcher::Event<K>>>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let liveness = self.clone();
        let config = config.timeout(WATCH_SECONDS).page_size(PAGE_SIZE);
        watcher(api(self.client(client)), config)
            .backoff(WatchBackoff::new(self.random.clone()))
            .inspect_err(move |_| liveness.record_error())
            .boxed()
    }

    /// A client over the shared one. It records all that the API server sends, also the bookmarks that
    /// a watcher hides, and fails a request when its answer is silent.
    ///
    /// Not kube's `read_timeout`: it has no hook for the bookmarks.
    fn client(&self, client: &Client) -> Client {
        let namespace = client.default_namespace().to_owned();
        let (client, liveness) = (client.clone(), self.clone());
        let service = service_fn(move |request: Request<Body>| {
            let (client, liveness) = (client.clone(), liveness.clone());
            async move {
                let answer = timeout(READ_TIMEOUT, client.send(request)).await;
                let answer = answer.map_err(|_| ReadTimeout)??;
                liveness.record_event();
                Ok::<_, BoxError>(answer.map(|body| {
                    let body = body.map_err(inner).inspect_frame(move |_| liveness.record_event());
                    TimeoutBody::new(READ_TIMEOUT, body).map_err(read_timeout)
                }))
            }
        });
        Client::new(service, namespace)
    }

    /// The time of the last event.
    pub(crate) fn last_event_at(&self) -> Timestamp {
        self.activity().event_at
    }

    /// The time since the last event.
    pub(crate) fn silence(&self) -> Duration {
        self.activity().event.elapsed()
    }

    /// Whether it is silent for longer than a watch that works.
    pub(crate) fn is_silent(&self) -> bool {
        self.silence() > READ_TIMEOUT
    }

    /// Whether there was neither an event nor an error for longer than is possible.
    pub(crate) fn is_stuck(&self) -> bool {
        self.activity().result.elapsed() > STUCK_AFTER
    }

    fn record_event(&self) {
        let (event_at, now) = (self.clock.wall(), Instant::now());
        self.update(|it| *it = Activity { event_at, event: now, result: now });
    }

    fn record_error(&self) {
        self.update(|activity| activity.result = Instant::now());
    }

    fn update(&self, update: impl FnOnce(&mut Activity)) {
        update(&mut self.activity.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn activity(&self) -> Activity {
        *self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error without the layer that the client of the watch adds.
fn inner(error: kube::Error) -> BoxError {
    match error {
        kube::Error::Service(error) => error,
        error => error.into(),
    }
}

/// The library's error does not name the API server.
fn read_timeout(error: BoxError) -> BoxError {
    if error.is::<TimeoutError>() { ReadTimeout.into() } else { error }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::Response;
    use http_body_util::channel::{Channel, Sender};
    use k8s_openapi::api::core::v1::Namespace;
    use kube::{Api, core::PartialObjectMeta, runtime::watcher::Event};
    use serde_json::json;
    use tokio::{sync::mpsc, time::sleep};

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn now() -> Timestamp {
        // A wall clock that follows the paused one.
        thread_local!(static STARTED: Instant = Instant::now());
        let passed = STARTED.with(Instant::elapsed);
        Timestamp::from_second(1_800_000_000).unwrap() + passed
    }

    fn start() -> WatchLiveness {
        WatchLiveness::start(&Clock::new(now, || Duration::ZERO), &Random::from_seed(1))
    }

    /// An API server that answers when the test wants.
    struct Server {
        requests: mpsc::UnboundedReceiver<(String, mpsc::Sender<Answer>)>,
    }

    type Answer = Response<Channel<Bytes, Infallible>>;

    impl Server {
        fn start() -> (Self, Client) {
            let (asked, requests) = mpsc::unbounded_channel();
            let service = service_fn(move |request: Request<Body>| {
                let (answer, mut answered) = mpsc::channel(1);
                asked.send((request.uri().to_string(), answer)).unwrap();
                async move {
                    match answered.recv().await {
                        Some(answer) => Ok::<_, BoxError>(answer),
                        None => Err("connection reset".into()),
                    }
                }
            });
            (Self { requests }, Client::new(service, "default"))
        }

        /// Answers the next request with headers: what it was, and where the body goes.
        async fn answer(&mut self) -> (String, Sender<Bytes, Infallible>) {
            let (request, answer) = self.requests.recv().await.unwrap();
            let (body, channel) = Channel::new(1);
            answer.send(Response::new(channel)).await.unwrap();
            (request, body)
        }
    }

    async fn send(body: &mut Sender<Bytes, Infallible>, event: &serde_json::Value) {
        body.send_data(format!("{event}\n").into()).await.unwrap();
    }

    fn request() -> Request<Body> {
        Request::get("/api/v1/namespaces?watch=true").body(Body::empty()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_falls_silent_ends_after_64_seconds() {
        let (mut server, client) = Server::start();
        let liveness = start();
        let client = liveness.client(&client);
        let (answer, (_, mut sender)) = tokio::join!(client.send(request()), server.answer());
        let mut body = answer.unwrap().into_body();
        send(&mut sender, &json!({})).await;
        assert!(body.frame().await.unwrap().is_ok());

        let silent_since = Instant::now();
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(silent_since.elapsed(), READ_TIMEOUT);
        let words = error.to_string();
        assert!(words.ends_with("the API server has sent nothing for 64 s"), "{words}");
        assert_eq!(liveness.silence(), READ_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_word_a_minute_keeps_it_open() {
        let (mut server, client) = Server::start();
        let liveness = start();
        let client = liveness.client(&client);
        let (answer, (_, mut sender)) = tokio::join!(client.send(request()), server.answer());
        let mut body = answer.unwrap().into_body();
        let begun = now();
        tokio::spawn(async move {
            for _ in 0..10 {
                sleep(MINUTE).await;
                send(&mut sender, &json!({})).await;
            }
        });
        for minute in 1..=10 {
            assert!(body.frame().await.unwrap().is_ok());
            assert_eq!(liveness.last_event_at(), begun + MINUTE * minute);
        }
        assert!(body.frame().await.is_none(), "it ends as the other side ends it");
    }

    #[tokio::test(start_paused = true)]
    async fn headers_that_never_come_end_it() {
        let (_server, client) = Server::start();
        let liveness = start();
        let started = Instant::now();
        let error = liveness.client(&client).send(request()).await.unwrap_err();
        assert_eq!(started.elapsed(), READ_TIMEOUT);
        assert!(error.to_string().ends_with(&ReadTimeout.to_string()), "{error}");
        assert_eq!(liveness.silence(), READ_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_passed_on_and_is_not_activity() {
        let (mut server, client) = Server::start();
        let liveness = start();
        sleep(MINUTE).await;
        let client = liveness.client(&client);
        let refuse = async { drop(server.requests.recv().await) };
        let (answer, ()) = tokio::join!(client.send(request()), refuse);
        let error = answer.unwrap_err();
        assert_eq!(error.to_string(), "ServiceError: connection reset");
        assert_eq!(liveness.silence(), MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_falls_silent_goes_on_where_it_was() {
        let (mut server, client) = Server::start();
        let liveness = start();
        let namespaces = Api::<PartialObjectMeta<Namespace>>::all;
        let mut watch = liveness.watch(&client, namespaces, watcher::Config::default());
        let failure = tokio::spawn(async move {
            let listed = [watch.next().await, watch.next().await];
            assert!(matches!(listed, [Some(Ok(Event::Init)), Some(Ok(Event::InitDone))]));
            let failure = watch.next().await.unwrap().unwrap_err();
            assert!(matches!(watch.next().await, Some(Ok(Event::Apply(_)))), "it continues");
            failure
        });

        let (list, mut body) = server.answer().await;
        assert!(!list.contains("watch=true"), "{list}");
        let meta = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"resourceVersion": "7"}, "items": []});
        send(&mut body, &meta).await;
        drop(body);
        let (first, mut body) = server.answer().await;
        assert!(first.contains("resourceVersion=7"), "{first}");
        assert!(first.contains("timeoutSeconds=60"), "{first}");
        let object = |version: &str| {
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": {"name": "a", "resourceVersion": version}})
        };
        send(&mut body, &json!({"type": "BOOKMARK", "object": object("9")})).await;
        let silent_since = Instant::now();
        let (second, mut body) = server.answer().await;
        assert!(
            silent_since.elapsed() < READ_TIMEOUT + Duration::from_secs(2),
            "it backs off briefly"
        );
        assert!(second.contains("watch=true") && second.contains("resourceVersion=9"), "{second}");
        send(&mut body, &json!({"type": "MODIFIED", "object": object("11")})).await;
        let failure = failure.await.unwrap();
        let words = ecr_refresher_core::ErrorChain(&failure).to_string();
        assert!(words.ends_with(&ReadTimeout.to_string()), "{words}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_is_stuck_without_events_and_failures() {
        let liveness = start();
        sleep(STUCK_AFTER).await;
        assert!(!liveness.is_stuck());
        sleep(Duration::from_secs(1)).await;
        assert!(liveness.is_stuck(), "there was never an event");
        liveness.record_error();
        assert!(!liveness.is_stuck() && liveness.silence() > STUCK_AFTER, "the API server is away");
        sleep(MINUTE * 6).await;
        assert!(liveness.is_stuck());
        liveness.record_event();
        assert!(!liveness.is_stuck());
    }
}
