//! Watches that are taken up again when their connection falls silent, and when each was last heard of.

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

/// After how many seconds the API server is to end a watch, which is then taken up again where it
/// was. It sends bookmarks too, one a minute, but none while the resource has not changed since the
/// watch began: in a quiet cluster the end is all there is to hear.
const TERM: u32 = 60;
/// How many objects of a list are asked for at once: while they are taken in, all are in memory.
const PAGE: u32 = 500;
/// How long the API server may be silent. It has ended a watch by then, and given up on any other
/// request, which it does after 60 s. A second later the watcher would give up too, and tell nobody.
const READ_TIMEOUT: Duration = Duration::from_secs(64);
/// A watch that is silent for longer, and has not failed either, is stuck: its silence should have
/// ended it.
const STUCK_AFTER: Duration = Duration::from_mins(5);

/// The signs of life of one watch.
#[derive(Debug, Clone)]
pub struct WatchLiveness {
    signs: Arc<Mutex<Signs>>,
    clock: Clock,
    random: Random,
}

#[derive(Debug, Clone, Copy)]
struct Signs {
    /// When something was last heard, by the wall clock: for others.
    heard_at: Timestamp,
    /// The same, by a clock that nobody sets and that stands still in a suspended machine.
    heard: Instant,
    /// When it last told anything, be it that it failed.
    told: Instant,
}

/// The API server is there, and tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the API server has told nothing for {} s", READ_TIMEOUT.as_secs())]
struct ReadTimeout;

impl WatchLiveness {
    /// The pulse of a watch that starts now.
    #[must_use]
    pub fn start(clock: &Clock, random: &Random) -> Self {
        let started = Instant::now();
        let signs = Signs { heard_at: clock.wall(), heard: started, told: started };
        let (clock, random) = (clock.clone(), random.clone());
        Self { signs: Arc::new(Mutex::new(signs)), clock, random }
    }

    /// Watches what `api` makes of a client. A watch that fails or falls silent is taken up again
    /// from where it was, with backoff; it tells the failure.
    ///
    /// To be called where tokio runs.
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
        let pulse = self.clone();
        watcher(api(self.client(client)), config.timeout(TERM).page_size(PAGE))
            .backoff(WatchBackoff::new(self.random.clone()))
            .inspect_err(move |_| pulse.failed())
            .boxed()
    }

    /// A client over the one that all share. Whatever comes in is a beat of the pulse, bookmarks
    /// included, which a watcher hides; and a request fails whose answer falls silent, for which a
    /// client would wait for ever.
    fn client(&self, client: &Client) -> Client {
        let namespace = client.default_namespace().to_owned();
        let (client, pulse) = (client.clone(), self.clone());
        let service = service_fn(move |request: Request<Body>| {
            let (client, pulse) = (client.clone(), pulse.clone());
            async move {
                let answer = timeout(READ_TIMEOUT, client.send(request))
                    .await
                    .map_err(|_| ReadTimeout)??;
                pulse.beat();
                Ok::<_, BoxError>(answer.map(|body| {
                    let body = body.map_err(inner).inspect_frame(move |_| pulse.beat());
                    TimeoutBody::new(READ_TIMEOUT, body).map_err(silent)
                }))
            }
        });
        Client::new(service, namespace)
    }

    /// When the watch was last heard of.
    pub(crate) fn heard_at(&self) -> Timestamp {
        self.signs().heard_at
    }

    /// For how long the watch has been silent.
    pub(crate) fn silence(&self) -> Duration {
        self.signs().heard.elapsed()
    }

    /// Whether it has been silent for longer than a watch that works.
    pub(crate) fn is_silent(&self) -> bool {
        self.silence() > READ_TIMEOUT
    }

    /// Whether the watch should have told something by now, be it that it failed.
    pub(crate) fn is_stuck(&self) -> bool {
        self.signs().told.elapsed() > STUCK_AFTER
    }

    /// Notes that something was heard.
    fn beat(&self) {
        let heard = Instant::now();
        self.update(|signs| *signs = Signs { heard_at: self.clock.wall(), heard, told: heard });
    }

    /// Notes that the watch has failed, which is a sign of life too.
    fn failed(&self) {
        self.update(|signs| signs.told = Instant::now());
    }

    fn update(&self, update: impl FnOnce(&mut Signs)) {
        update(&mut self.signs.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn signs(&self) -> Signs {
        *self.signs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What went wrong, without the wrapping that the client of the watch gives it anew.
fn inner(error: kube::Error) -> BoxError {
    match error {
        kube::Error::Service(error) => error,
        error => error.into(),
    }
}

/// The library's error does not say who was silent.
fn silent(error: BoxError) -> BoxError {
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

    /// An API server whose answers come when the test says so.
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

    async fn tell(body: &mut Sender<Bytes, Infallible>, event: &serde_json::Value) {
        body.send_data(format!("{event}\n").into()).await.unwrap();
    }

    fn request() -> Request<Body> {
        Request::get("/api/v1/namespaces?watch=true").body(Body::empty()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_falls_silent_ends_after_64_seconds() {
        let (mut server, client) = Server::start();
        let pulse = start();
        let client = pulse.client(&client);
        let (answer, (_, mut sender)) = tokio::join!(client.send(request()), server.answer());
        let mut body = answer.unwrap().into_body();
        tell(&mut sender, &json!({})).await;
        assert!(body.frame().await.unwrap().is_ok());

        let silent_since = Instant::now();
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(silent_since.elapsed(), READ_TIMEOUT);
        let words = error.to_string();
        assert!(words.ends_with("the API server has told nothing for 64 s"), "{words}");
        assert_eq!(pulse.silence(), READ_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_word_a_minute_keeps_it_open() {
        let (mut server, client) = Server::start();
        let pulse = start();
        let client = pulse.client(&client);
        let (answer, (_, mut sender)) = tokio::join!(client.send(request()), server.answer());
        let mut body = answer.unwrap().into_body();
        let begun = now();
        tokio::spawn(async move {
            for _ in 0..10 {
                sleep(MINUTE).await;
                tell(&mut sender, &json!({})).await;
            }
        });
        for minute in 1..=10 {
            assert!(body.frame().await.unwrap().is_ok());
            assert_eq!(pulse.heard_at(), begun + MINUTE * minute);
        }
        assert!(body.frame().await.is_none(), "it ends as the other side ends it");
    }

    #[tokio::test(start_paused = true)]
    async fn headers_that_never_come_end_it() {
        let (_server, client) = Server::start();
        let pulse = start();
        let started = Instant::now();
        let error = pulse.client(&client).send(request()).await.unwrap_err();
        assert_eq!(started.elapsed(), READ_TIMEOUT);
        assert!(error.to_string().ends_with(&ReadTimeout.to_string()), "{error}");
        assert_eq!(pulse.silence(), READ_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_and_is_no_beat() {
        let (mut server, client) = Server::start();
        let pulse = start();
        sleep(MINUTE).await;
        let client = pulse.client(&client);
        let refuse = async { drop(server.requests.recv().await) };
        let (answer, ()) = tokio::join!(client.send(request()), refuse);
        let error = answer.unwrap_err();
        assert_eq!(error.to_string(), "ServiceError: connection reset");
        assert_eq!(pulse.silence(), MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_falls_silent_goes_on_where_it_was() {
        let (mut server, client) = Server::start();
        let pulse = start();
        let namespaces = Api::<PartialObjectMeta<Namespace>>::all;
        let mut watch = pulse.watch(&client, namespaces, watcher::Config::default());
        let told = tokio::spawn(async move {
            let listed = [watch.next().await, watch.next().await];
            assert!(matches!(listed, [Some(Ok(Event::Init)), Some(Ok(Event::InitDone))]));
            let failure = watch.next().await.unwrap().unwrap_err();
            assert!(matches!(watch.next().await, Some(Ok(Event::Apply(_)))), "it goes on");
            failure
        });

        let (list, mut body) = server.answer().await;
        assert!(!list.contains("watch=true"), "{list}");
        let meta = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"resourceVersion": "7"}, "items": []});
        tell(&mut body, &meta).await;
        drop(body);
        let (first, mut body) = server.answer().await;
        assert!(first.contains("resourceVersion=7"), "{first}");
        assert!(first.contains("timeoutSeconds=60"), "{first}");
        let object = |version: &str| {
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": {"name": "a", "resourceVersion": version}})
        };
        tell(&mut body, &json!({"type": "BOOKMARK", "object": object("9")})).await;
        let silent_since = Instant::now();
        let (second, mut body) = server.answer().await;
        assert!(
            silent_since.elapsed() < READ_TIMEOUT + Duration::from_secs(2),
            "it backs off briefly"
        );
        assert!(second.contains("watch=true") && second.contains("resourceVersion=9"), "{second}");
        tell(&mut body, &json!({"type": "MODIFIED", "object": object("11")})).await;
        let failure = told.await.unwrap();
        let words = ecr_refresher_core::Chain(&failure).to_string();
        assert!(words.ends_with(&ReadTimeout.to_string()), "{words}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_hangs_when_it_tells_neither_a_word_nor_a_failure() {
        let pulse = start();
        sleep(STUCK_AFTER).await;
        assert!(!pulse.is_stuck());
        sleep(Duration::from_secs(1)).await;
        assert!(pulse.is_stuck(), "it was never heard of");
        pulse.failed();
        assert!(!pulse.is_stuck() && pulse.silence() > STUCK_AFTER, "the API server is away");
        sleep(MINUTE * 6).await;
        assert!(pulse.is_stuck());
        pulse.beat();
        assert!(!pulse.is_stuck());
    }
}
