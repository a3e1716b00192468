use std::{
    io,
    sync::{Arc, Mutex},
};

use ecr_refresher_core::{
    Auth, Lifetime,
    ecr::{EcrDefaults, EcrSettings},
    tokens::{Registry, Token},
};
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use kube::client::Body;
use tower::service_fn;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// The log of a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn warnings(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains("WARN")).map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An API server that answers every request with this.
fn server(code: u16, answer: serde_json::Value) -> Client {
    let answer = move |_: Request<Body>| {
        let body = Body::from(answer.to_string().into_bytes());
        let response = Response::builder().status(code).body(body).unwrap();
        async { Ok::<_, io::Error>(response) }
    };
    Client::new(service_fn(answer), "home")
}

/// An API server that refuses every request with this status.
fn refusing(code: u16, message: &str) -> Client {
    let status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "message": message, "reason": "Test",
    });
    server(code, status)
}

fn registry(region: &str) -> Registry {
    let settings = EcrSettings { region: Some(region.to_owned()), ..EcrSettings::default() };
    Registry::ecr(region.into(), settings, &EcrDefaults::default())
}

/// A store with a token that the token cache does not hold.
fn store(random: &Random) -> SharedTokenStore {
    let mut store = TokenStore::new(random.clone());
    let now = clock().now();
    store.want(vec![registry("eu-west-1")], 0.5, now);
    store.begin_term(1, &CacheDocument::default(), now);
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    for ask in store.due(now) {
        let token = Token::Ecr {
            auth: Auth::from_user_and_password("AWS", "hunter2").unwrap(),
            lifetime: Lifetime::starting(NOW, NOW + SignedDuration::from_hours(12)).unwrap(),
            host: Some(ecr_refresher_core::Host::from_endpoint(host).unwrap()),
        };
        store.answered(ask.id, Ok(token), now);
    }
    assert!(store.is_waiting_for_cache());
    SharedTokenStore::new(store)
}

fn clock() -> Clock {
    Clock::new(|| NOW, || Duration::ZERO)
}

fn token_cache(client: &Client) -> TokenCache {
    let home = Home { namespace: "home".to_owned(), name: "refresher".to_owned() };
    let random = Random::from_seed(1);
    let metrics = TokenMetrics::register(&prometheus::Registry::new()).unwrap();
    let restores = watch::channel(0).1;
    TokenCache::new(client, &home, store(&random), restores, clock(), random, metrics)
}

/// The waits after this many writes that the API server refuses with `code`, and what is waiting.
async fn refused(code: u16, writes: usize) -> (Vec<Duration>, SharedTokenStore, Vec<String>) {
    refused_with(code, "refused by the test", writes).await
}

async fn refused_with(
    code: u16,
    message: &str,
    writes: usize,
) -> (Vec<Duration>, SharedTokenStore, Vec<String>) {
    let log = Log::default();
    let output = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || output.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut cache = token_cache(&refusing(code, message));
    let mut waits = Vec::new();
    for _ in 0..writes {
        cache.dirty_since.get_or_insert_with(Instant::now);
        cache.write().await;
        waits.push(cache.not_before.duration_since(Instant::now()));
        sleep_until(cache.not_before).await;
    }
    (waits, cache.store, log.warnings())
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_retried_with_growing_delays_and_logged_ever_more_rarely() {
    let (waits, _, warnings) = refused(500, 9).await;
    let seconds: Vec<_> = waits.iter().map(Duration::as_secs).collect();
    assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    assert_eq!(warnings.len(), 4, "{warnings:#?}");
    for warning in warnings {
        assert!(warning.contains("could not write the token cache; retrying"), "{warning}");
        assert!(warning.contains("refused by the test") && warning.contains("refresher-tokens"));
        assert!(!warning.contains("hunter2"), "{warning}");
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_wait_a_minute_for_a_cache_that_cannot_be_written() {
    let (waits, store, _) = refused(500, 4).await;
    assert!(store.read(TokenStore::is_waiting_for_cache), "after {waits:?}");
    let (waits, store, _) = refused(500, 5).await;
    assert!(!store.read(TokenStore::is_waiting_for_cache), "after {waits:?}");
}

#[tokio::test(start_paused = true)]
async fn tokens_do_not_wait_for_a_cache_that_is_forbidden() {
    let (_, store, warnings) = refused(403, 1).await;
    assert!(!store.read(TokenStore::is_waiting_for_cache));
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
}

#[tokio::test(start_paused = true)]
async fn tokens_do_not_wait_for_a_cache_that_is_too_large_and_the_log_says_how_large() {
    for (code, message) in [
        (422, "data: Too long: may not be more than 1048576 bytes"),
        (500, "etcdserver: request is too large"),
    ] {
        let (waits, store, warnings) = refused_with(code, message, 2).await;
        assert!(!store.read(TokenStore::is_waiting_for_cache));
        assert_eq!(waits, [RETRY, RETRY * 2]);
        let expected = " bytes, a Secret holds 1 MiB: use fewer identities and regions";
        for warning in &warnings {
            assert!(warning.contains("retrying: too_large: the tokens have "), "{warning}");
            assert!(warning.contains(expected) && warning.contains(message), "{warning}");
        }
    }
}

fn secret(version: u64) -> PartialObjectMeta<Secret> {
    let metadata = serde_json::json!({
        "name": "refresher-tokens", "namespace": "home", "resourceVersion": version.to_string(),
    });
    serde_json::from_value(serde_json::json!({ "metadata": metadata })).unwrap()
}

/// A cache that was written at version 7.
async fn written() -> TokenCache {
    let mut cache = token_cache(&server(200, serde_json::to_value(secret(7)).unwrap()));
    cache.write().await;
    assert!(!cache.is_dirty());
    cache
}

#[tokio::test]
async fn a_list_that_began_before_a_write_shows_no_deletion_and_no_change() {
    let mut cache = written().await;
    assert!(!cache.on_change(&Ok(Event::InitApply(secret(6)))));
    assert!(!cache.is_dirty());
    let mut cache = written().await;
    assert!(!cache.on_change(&Ok(Event::InitDone)));
    assert!(!cache.is_dirty());
}

#[tokio::test]
async fn a_list_without_the_secret_shows_its_deletion() {
    let mut cache = written().await;
    assert!(!cache.on_change(&Ok(Event::Init)));
    assert!(cache.on_change(&Ok(Event::InitDone)));
    assert!(cache.is_dirty());
}

#[tokio::test]
async fn a_list_with_the_written_content_is_no_change_and_any_other_is_one() {
    for (version, is_news) in [(7, false), (8, true), (6, true)] {
        let mut cache = written().await;
        assert!(!cache.on_change(&Ok(Event::Init)));
        assert!(!cache.on_change(&Ok(Event::InitApply(secret(version)))));
        assert!(!cache.on_change(&Ok(Event::InitDone)));
        assert_eq!(cache.is_dirty(), is_news, "{version}");
    }
}

#[tokio::test]
async fn a_document_that_is_there_already_is_not_written_again() {
    let mut cache = written().await;
    // As after the start of another term.
    cache.written = None;
    assert!(!cache.is_dirty());
    (cache.written, cache.content) = (None, None);
    assert!(cache.is_dirty());
}

#[tokio::test(start_paused = true)]
async fn a_token_is_written_at_once_unless_others_are_awaited() {
    let mut cache = token_cache(&refusing(500, "no"));
    let started = Instant::now();
    assert!(matches!(cache.next().await, CacheEvent::Due));
    assert!(started.elapsed() < GATHER, "{:?}", started.elapsed());
    let registries = ["eu-west-1", "eu-west-2"].map(registry);
    cache.store.update(|store| {
        store.want(registries.into(), 0.5, clock().now());
        assert_eq!(store.due(clock().now()).len(), 1);
    });
    assert!(matches!(cache.next().await, CacheEvent::Due));
    assert!(started.elapsed() >= GATHER, "{:?}", started.elapsed());
}

#[tokio::test]
async fn without_a_token_no_secret_is_created() {
    let mut cache = token_cache(&refusing(500, "no"));
    assert!(cache.is_dirty());
    let random = Random::from_seed(1);
    cache.store = SharedTokenStore::new(TokenStore::new(random));
    assert!(!cache.is_dirty());
}
