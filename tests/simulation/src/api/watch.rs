//! Watches.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, stream};
use http_body::Frame;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tower::BoxError;

use super::{
    answer::{Answer, view},
    faults::{Partition, Silence},
    kind::Kind,
    request::Request,
    selector::Selector,
    status::Status,
    store::{Entry, Server, Stored},
};

/// How often a silent watch is looked at again.
const SILENCE_INTERVAL: Duration = Duration::from_secs(1);

/// The stream of events of one watch.
pub(super) struct WatchStream {
    server: Arc<Mutex<Server>>,
    caller: Arc<str>,
    kind: Kind,
    selector: Selector,
    metadata_only: bool,
    /// Events up to this version were sent.
    version: u64,
    /// Lines to send before anything else.
    pending: Vec<u8>,
    has_sent: bool,
    changed: watch::Receiver<()>,
    epoch: u64,
    end: Instant,
    last_event: LastEvent,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing comes any more, not even the end.
    Dead,
    Ended,
}

/// The last event of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastEvent {
    Nothing,
    Bookmark,
    Expired,
}

/// The next step of a watch.
enum Step {
    Send,
    Late(Duration),
    Wait,
    Silent,
    Break,
}

impl Server {
    /// GET with `watch=true`.
    pub(super) fn watch(&mut self, request: &Request) -> Result<Answer, Status> {
        let selector = Selector::new(request)?;
        let query = &request.query;
        let version: u64 = match query.resource_version.as_str() {
            "" => 0,
            text => text.parse().map_err(|_| {
                Status::bad_request(format!("resourceVersion: Invalid value: {text:?}"))
            })?,
        };
        let starts_with_state = version == 0 || query.send_initial_events;
        let compacted = self.log(request.kind).compacted;
        if !starts_with_state && version < compacted {
            return Ok(expired_watch(version, compacted));
        }
        let mut pending = Vec::new();
        if starts_with_state {
            self.write_initial_events(request, &selector, &mut pending);
        }
        let seconds = query.timeout_seconds.unwrap_or_else(|| self.rng.u64(1_800..3_600));
        let mut end = Instant::now() + Duration::from_secs(seconds);
        let faults = self.faults.watches;
        let expires = self.rng.u32(0..1_000) < faults.expirations;
        let ends_early = self.rng.u32(0..1_000) < faults.early_ends;
        if expires || ends_early {
            end = Instant::now() + Duration::from_millis(self.rng.u64(0..=seconds * 1_000));
        }
        let server = self.this.upgrade();
        let server = server.ok_or_else(|| Status::new(500, "", "the server is being stopped"))?;
        Ok(Answer::Watch(Box::new(WatchStream {
            server,
            caller: Arc::clone(&request.caller),
            kind: request.kind,
            selector,
            metadata_only: request.metadata_only,
            version: if starts_with_state { self.version } else { version },
            pending,
            has_sent: false,
            changed: self.log(request.kind).subscribe(),
            epoch: self.epoch,
            end,
            last_event: match (expires, query.bookmarks) {
                (true, _) => LastEvent::Expired,
                (false, true) => LastEvent::Bookmark,
                (false, false) => LastEvent::Nothing,
            },
            state: State::Open,
        })))
    }

    fn write_initial_events(&self, request: &Request, selector: &Selector, lines: &mut Vec<u8>) {
        let mut objects: Vec<_> = self
            .all(request.kind)
            .filter(|(key, object)| selector.selects(key, object))
            .map(|(key, object)| (key.sort_key(), object))
            .collect();
        objects.sort_by(|one, other| one.0.cmp(&other.0));
        for (_, object) in objects {
            write_event(lines, "ADDED", &view(object, request.metadata_only));
        }
        if request.query.send_initial_events {
            let mut bookmark = self.bookmark(request.kind, request.metadata_only);
            bookmark["metadata"]["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
            write_event(lines, "BOOKMARK", &bookmark);
        }
    }

    fn bookmark(&self, kind: Kind, metadata_only: bool) -> Value {
        let object = json!({ "kind": kind.name(), "apiVersion": kind.api_version(),
            "metadata": { "resourceVersion": self.version.to_string() } });
        view(&object, metadata_only)
    }
}

impl WatchStream {
    pub(super) fn into_frames(self) -> impl Stream<Item = Result<Frame<Bytes>, BoxError>> {
        stream::unfold(self, |mut watch| async move {
            let lines = watch.next().await?;
            Some((lines.map(|lines| Frame::data(Bytes::from(lines))), watch))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn next(&mut self) -> Option<Result<Vec<u8>, BoxError>> {
        let mut is_late = false;
        loop {
            match self.state {
                State::Open => {}
                State::Dead => std::future::pending().await,
                State::Ended => return None,
            }
            self.changed.borrow_and_update();
            match self.step(is_late) {
                Step::Break => {
                    self.state = State::Ended;
                    return Some(Err("the connection was reset".into()));
                }
                Step::Silent => sleep(SILENCE_INTERVAL).await,
                Step::Late(lag) => {
                    sleep(lag).await;
                    is_late = true;
                }
                Step::Send => {
                    let lines = self.take_lines();
                    if !lines.is_empty() {
                        self.has_sent = true;
                        return Some(Ok(lines));
                    }
                }
                Step::Wait => {
                    tokio::select! {
                        biased;
                        _ = self.changed.changed() => {}
                        () = sleep_until(self.end) => return self.finish(),
                    }
                }
            }
        }
    }

    fn step(&mut self, is_late: bool) -> Step {
        let server = Arc::clone(&self.server);
        let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
        if server.epoch != self.epoch {
            return Step::Break;
        }
        match server.faults.partitioned.get(&*self.caller) {
            Some(Partition::Refuse) => return Step::Break,
            None if server.faults.down => return Step::Break,
            Some(Partition::Hang) => return Step::Silent,
            None => {}
        }
        match server.faults.watches.silence {
            Some(Silence::Pause) => return Step::Silent,
            Some(Silence::Dead) => {
                self.state = State::Dead;
                return Step::Silent;
            }
            None => {}
        }
        if !self.pending.is_empty() {
            return Step::Send;
        }
        if server.log(self.kind).since(self.version).next().is_none() {
            return Step::Wait;
        }
        let lag = server.faults.watches.lag;
        if lag > 0 && !is_late {
            return Step::Late(Duration::from_millis(server.rng.u64(0..=lag)));
        }
        Step::Send
    }

    fn take_lines(&mut self) -> Vec<u8> {
        let mut lines = std::mem::take(&mut self.pending);
        let server = Arc::clone(&self.server);
        let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
        let duplicates = server.faults.watches.duplicates;
        let mut repeated = Vec::new();
        if duplicates > 0 {
            let count = server.log(self.kind).since(self.version).count();
            repeated.extend((0..count).map(|_| server.rng.u32(0..1_000) < duplicates));
        }
        for (index, entry) in server.log(self.kind).since(self.version).enumerate() {
            let Some((name, object)) = event(entry, &self.selector) else { continue };
            let object = view(&object, self.metadata_only);
            write_event(&mut lines, name, &object);
            if repeated.get(index) == Some(&true) {
                write_event(&mut lines, name, &object);
            }
        }
        self.version = self.version.max(server.version);
        lines
    }

    /// The end of its time.
    fn finish(&mut self) -> Option<Result<Vec<u8>, BoxError>> {
        self.state = State::Ended;
        let mut lines = Vec::new();
        let server = self.lock();
        match self.last_event {
            LastEvent::Expired => {
                let message = format!("too old resource version: {}", self.version);
                write_event(&mut lines, "ERROR", &Status::expired(message).json());
            }
            // As with kube-apiserver, a watch without events ends without a bookmark.
            LastEvent::Bookmark if self.has_sent => {
                let bookmark = server.bookmark(self.kind, self.metadata_only);
                write_event(&mut lines, "BOOKMARK", &bookmark);
            }
            LastEvent::Bookmark | LastEvent::Nothing => {}
        }
        (!lines.is_empty()).then_some(Ok(lines))
    }
}

/// The event of a change for a watch with a selector.
fn event(entry: &Entry, selector: &Selector) -> Option<(&'static str, Arc<Value>)> {
    let selected = |stored: &Option<Arc<Stored>>| {
        let object = &stored.as_ref()?.shown;
        selector.selects(&entry.key, object).then(|| Arc::clone(object))
    };
    match (selected(&entry.before), selected(&entry.after)) {
        (None, None) => None,
        (None, Some(object)) => Some(("ADDED", object)),
        (Some(_), Some(object)) => Some(("MODIFIED", object)),
        // It is gone, or not selected any more.
        (Some(before), None) => {
            let mut object = Value::clone(&before);
            object["metadata"]["resourceVersion"] = json!(entry.version.to_string());
            Some(("DELETED", Arc::new(object)))
        }
    }
}

fn write_event(lines: &mut Vec<u8>, name: &str, object: &Value) {
    let event = json!({ "type": name, "object": object });
    lines.extend(event.to_string().into_bytes());
    lines.push(b'\n');
}

/// A watch that cannot begin: the answer is a stream with one event.
pub(super) fn expired_watch(version: u64, compacted: u64) -> Answer {
    let message = format!("too old resource version: {version} ({compacted})");
    let event = json!({ "type": "ERROR", "object": Status::expired(message).json() });
    Answer::Json(200, event)
}
