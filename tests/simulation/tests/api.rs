//! The API server in memory with clients of kube, in virtual time.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are tests")]

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::{Arc, Mutex},
    time::Duration,
};

use ecr_refresher_simulation::{
    api::{
        ApiServer, Faults, Kind, Observer, Partition, Quota, RequestInfo, Silence, Webhook, Write,
    },
    time::TrueTime,
};
use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions},
    core::PartialObjectMeta,
    runtime::watcher::{self, Event, watcher},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

const SOON: Duration = Duration::from_secs(1);

type Events = BoxStream<'static, watcher::Result<Event<PartialObjectMeta<Secret>>>>;

/// The calls of an observer, as lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Lines {
    fn request_started(&mut self, request: &RequestInfo) {
        self.push(format!("{} started {:?} {}", request.id, request.verb, request.name));
    }

    fn stored(&mut self, write: &Write<'_>) {
        let (before, after) = (write.before.is_some(), write.after.is_some());
        self.push(format!("stored {} {before} {after} by {:?}", write.key.name, write.caller));
    }

    fn request_ended(&mut self, request: &RequestInfo, status: Option<u16>) {
        self.push(format!("{} ended {status:?}", request.id));
    }
}

fn server(seed: u64) -> (ApiServer, Client) {
    let api = ApiServer::new(seed, TrueTime::begin());
    {
        let mut server = api.lock();
        for name in ["a", "b"] {
            server.put(Kind::Namespace, "", name, json!({}), "kubectl-create");
        }
    }
    let client = api.client("one", "a");
    (api, client)
}

fn secret(value: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "x" },
        "data": { "key": value } })
}

async fn apply(client: &Client, value: &str) -> Result<Secret, kube::Error> {
    let api = Api::<Secret>::default_namespaced(client.clone());
    api.patch("x", &PatchParams::apply("test").force(), &Patch::Apply(secret(value))).await
}

fn code(result: Result<Secret, kube::Error>) -> u16 {
    match result {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(_) => 0,
    }
}

fn watch(client: &Client) -> Events {
    let config = watcher::Config::default().fields("metadata.name=x").page_size(1);
    watcher(Api::<PartialObjectMeta<Secret>>::all(client.clone()), config).boxed()
}

/// The events of a while, in short.
async fn events(stream: &mut Events, period: Duration) -> Vec<String> {
    let end = Instant::now() + period;
    let mut found = Vec::new();
    while let Ok(Some(event)) = timeout(end - Instant::now(), stream.next()).await {
        let name = |word: &str, object: &PartialObjectMeta<Secret>| {
            format!("{word} {}", object.namespace().unwrap_or_default())
        };
        found.push(match event {
            Ok(Event::Init) => "init".to_owned(),
            Ok(Event::InitApply(object)) => name("listed", &object),
            Ok(Event::InitDone) => "done".to_owned(),
            Ok(Event::Apply(object)) => name("changed", &object),
            Ok(Event::Delete(object)) => name("deleted", &object),
            Err(_) => "error".to_owned(),
        });
    }
    found
}

#[tokio::test(start_paused = true)]
async fn a_watch_lists_in_pages_and_then_shows_changes() {
    let (api, client) = server(1);
    for namespace in ["a", "b"] {
        api.lock().put(Kind::Secret, namespace, "x", secret("MQ=="), "kubectl-create");
    }
    let mut stream = watch(&client);
    assert_eq!(events(&mut stream, SOON).await, ["init", "listed a", "listed b", "done"]);
    apply(&client, "Mg==").await.unwrap();
    api.lock().put(Kind::Secret, "b", "y", secret("MQ=="), "kubectl-create");
    api.lock().remove(Kind::Secret, "b", "x");
    assert_eq!(events(&mut stream, SOON).await, ["changed a", "deleted b"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_resumes_after_a_cut_and_lists_again_after_a_compaction() {
    let (api, client) = server(2);
    apply(&client, "MQ==").await.unwrap();
    let mut stream = watch(&client);
    events(&mut stream, SOON).await;
    {
        let mut server = api.lock();
        server.cut_watches();
        server.put(Kind::Secret, "a", "x", secret("Mg=="), "kubectl-edit");
    }
    assert_eq!(events(&mut stream, SOON).await, ["error", "changed a"]);
    api.lock().compact();
    let found = events(&mut stream, SOON).await;
    assert_eq!(found, ["error", "error", "init", "listed a", "done"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_restore_a_watch_misses_changes_until_the_version_is_as_high_again() {
    let (api, client) = server(3);
    apply(&client, "MQ==").await.unwrap();
    let snapshot = api.lock().snapshot();
    for value in ["Mg==", "Mw==", "NA=="] {
        apply(&client, value).await.unwrap();
    }
    let mut stream = watch(&client);
    events(&mut stream, SOON).await;
    api.lock().restore(&snapshot);
    assert_eq!(api.lock().get(Kind::Secret, "a", "x").unwrap()["data"]["key"], "MQ==");
    assert_eq!(events(&mut stream, SOON).await, ["error"]);
    for value in ["NQ==", "Ng==", "Nw=="] {
        apply(&client, value).await.unwrap();
    }
    assert_eq!(events(&mut stream, SOON).await, [""; 0], "versions that it has seen");
    apply(&client, "OA==").await.unwrap();
    assert_eq!(events(&mut stream, SOON).await, ["changed a"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_has_its_effect_when_the_answer_is_lost_or_the_caller_gives_up() {
    let (api, client) = server(4);
    let lines = Lines::default();
    api.lock().set_observer(Box::new(lines.clone()));
    api.lock().faults.rates.answer_lost = 1_000;
    apply(&client, "MQ==").await.unwrap_err();
    let stored = "stored x false true by Some(\"one\")";
    assert_eq!(lines.take(), ["1 started Some(Apply) x", stored, "1 ended None"]);
    api.lock().faults = Faults::default();
    let hasty = timeout(Duration::from_micros(1), apply(&client, "Mg=="));
    hasty.await.unwrap_err();
    sleep(SOON).await;
    let stored = "stored x true true by Some(\"one\")";
    assert_eq!(lines.take(), ["2 started Some(Apply) x", "2 ended None", stored]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_can_be_cut_off_while_others_go_on() {
    let (api, client) = server(5);
    let other = api.client("two", "a");
    api.lock().faults.partitioned = BTreeMap::from([("one".to_owned(), Partition::Hang)]);
    timeout(Duration::from_hours(1), apply(&client, "MQ==")).await.unwrap_err();
    apply(&other, "MQ==").await.unwrap();
    api.lock().faults.partitioned = BTreeMap::from([("one".to_owned(), Partition::Refuse)]);
    assert_eq!(code(apply(&client, "MQ==").await), 0);
    api.lock().faults.partitioned.clear();
    apply(&client, "MQ==").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn quotas_and_webhooks_are_of_a_namespace() {
    let (api, client) = server(6);
    let quotas = |quota| BTreeMap::from([("a".to_owned(), quota)]);
    api.lock().faults.quotas = quotas(Quota::Exceeded);
    assert_eq!(code(apply(&client, "MQ==").await), 403);
    api.lock().faults.quotas = quotas(Quota::Contended);
    assert_eq!(code(apply(&client, "MQ==").await), 409);
    api.lock().faults.quotas.clear();
    apply(&client, "MQ==").await.unwrap();
    for (webhook, expected) in
        [(Webhook::Deny(403), 403), (Webhook::Deny(400), 400), (Webhook::Fail, 500)]
    {
        api.lock().faults.webhooks.insert("a".to_owned(), webhook);
        assert_eq!(code(apply(&client, "Mg==").await), expected);
    }
    let webhooks = [Webhook::KeepData, Webhook::AddLabel("team".to_owned(), "a".to_owned())];
    for webhook in webhooks {
        api.lock().faults.webhooks.insert("a".to_owned(), webhook);
        apply(&client, "Mg==").await.unwrap();
        let expected =
            if api.lock().get(Kind::Secret, "a", "x").unwrap()["metadata"]["labels"].is_null() {
                "MQ=="
            } else {
                "Mg=="
            };
        assert_eq!(api.lock().get(Kind::Secret, "a", "x").unwrap()["data"]["key"], expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_is_terminating_for_a_while_and_takes_its_contents_along() {
    let (api, client) = server(7);
    apply(&client, "MQ==").await.unwrap();
    let namespaces = Api::<Namespace>::all(client.clone());
    namespaces.delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(code(apply(&client, "Mg==").await), 200, "changes are allowed");
    api.lock().remove(Kind::Secret, "a", "x");
    let Err(kube::Error::Api(status)) = apply(&client, "Mg==").await else { panic!() };
    let cause = status.details.unwrap().causes[0].reason.clone();
    assert_eq!((status.code, cause.as_str()), (403, "NamespaceTerminating"));
    sleep(Duration::from_mins(1)).await;
    assert_eq!(namespaces.get_opt("a").await.unwrap(), None);
    assert_eq!(code(apply(&client, "Mg==").await), 404);
}

#[tokio::test(start_paused = true)]
async fn watches_can_be_late_silent_dead_or_repeat_themselves() {
    let (api, client) = server(8);
    apply(&client, "MQ==").await.unwrap();
    let mut stream = watch(&client);
    events(&mut stream, SOON).await;
    api.lock().faults.watches.duplicates = 1_000;
    apply(&client, "Mg==").await.unwrap();
    assert_eq!(events(&mut stream, SOON).await, ["changed a", "changed a"]);
    api.lock().faults.watches.duplicates = 0;
    api.lock().faults.watches.silence = Some(Silence::Pause);
    apply(&client, "Mw==").await.unwrap();
    assert_eq!(events(&mut stream, Duration::from_hours(1)).await, [""; 0]);
    api.lock().faults.watches.silence = None;
    assert_eq!(events(&mut stream, 2 * SOON).await, ["changed a"]);
    api.lock().faults.watches.silence = Some(Silence::Dead);
    apply(&client, "NA==").await.unwrap();
    sleep(SOON).await;
    api.lock().faults.watches.silence = None;
    assert_eq!(events(&mut stream, SOON).await, ["changed a"], "no watch was open meanwhile");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_with_wrong_preconditions_is_refused() {
    let (api, client) = server(9);
    let secret = apply(&client, "MQ==").await.unwrap();
    let secrets = Api::<Secret>::default_namespaced(client);
    let delete = |version: &str| DeleteParams {
        preconditions: Some(Preconditions {
            uid: secret.uid(),
            resource_version: Some(version.to_owned()),
        }),
        ..DeleteParams::default()
    };
    let refused = secrets.delete("x", &delete("1")).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 409));
    secrets.delete("x", &delete(&secret.resource_version().unwrap())).await.unwrap();
    assert_eq!(api.lock().all(Kind::Secret).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lagging_cache_lists_older_states() {
    let (api, client) = server(10);
    for value in ["MQ==", "Mg==", "Mw=="] {
        apply(&client, value).await.unwrap();
    }
    api.lock().faults.stale_lists = 2;
    let secrets = Api::<Secret>::all(client);
    let mut versions = Vec::new();
    for _ in 0..20 {
        let list = secrets.list(&ListParams::default()).await.unwrap();
        versions.push(list.metadata.resource_version.unwrap());
    }
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), 3);
}

/// One run with all faults, as a hash of what the observer saw.
fn run(seed: u64) -> u64 {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let lines = Lines::default();
    runtime.unwrap().block_on(async {
        let (api, client) = server(seed);
        {
            let mut server = api.lock();
            server.set_observer(Box::new(lines.clone()));
            let rates = &mut server.faults.rates;
            for rate in [
                &mut rates.refused,
                &mut rates.answer_lost,
                &mut rates.hang,
                &mut rates.conflict,
                &mut rates.throttled_with_wait,
                &mut rates.expired_list,
                &mut rates.expired_watch,
                &mut rates.internal_error,
            ] {
                *rate = 50;
            }
            server.faults.watches.lag = 500;
            server.faults.watches.early_ends = 500;
            server.faults.watches.expirations = 200;
        }
        let mut stream = watch(&client);
        for value in 10..30 {
            let _ = timeout(SOON, apply(&client, &format!("MTE{value}="))).await;
            for event in events(&mut stream, SOON).await {
                lines.push(event);
            }
        }
    });
    let mut hasher = DefaultHasher::new();
    lines.take().hash(&mut hasher);
    hasher.finish()
}

#[test]
fn the_same_seed_gives_the_same_history() {
    assert_eq!(run(11), run(11));
    assert_ne!(run(11), run(12));
}
