//! Starts writes and deletions, and takes in how they end.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::Engine;
use crate::{Event, Setback, WriteReason, writer};

/// How long writes under way may take to end when the process is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A write or a deletion that has ended.
pub(super) struct Done {
    /// The pull Secret's name.
    secret: String,
    namespace: Arc<str>,
    pub(super) event: Event,
    took: Duration,
}

impl Engine {
    /// Starts what is due, as long as there is room; deletions last.
    pub(super) fn start_writes(&mut self) {
        if !self.leads {
            return;
        }
        let now = (self.now)();
        while self.writes.len() < self.settings.concurrency {
            let client = self.client.clone();
            if let Some(write) = self.index.next_write(now) {
                self.start(write.secret, Arc::clone(&write.namespace), move |secret| async move {
                    let outcome = writer::write(&client, &secret, &write).await;
                    Event::Written { write, outcome }
                });
            } else if let Some(deletion) = self.index.next_deletion(now) {
                let namespace = Arc::clone(&deletion.namespace);
                self.start(deletion.secret, namespace, move |secret| async move {
                    let failure = writer::delete(&client, &secret, &deletion).await;
                    Event::Deleted { deletion, failure }
                });
            } else {
                return;
            }
        }
    }

    fn start<F: Future<Output = Event> + Send + 'static>(
        &self,
        place: usize,
        namespace: Arc<str>,
        write: impl FnOnce(String) -> F,
    ) {
        let secret = self.index.secret(place).map(|secret| secret.name.clone()).unwrap_or_default();
        let writing = write(secret.clone());
        self.writes.push(Box::pin(async move {
            let started = Instant::now();
            let event = writing.await;
            Done { secret, namespace, event, took: started.elapsed() }
        }));
    }

    /// Takes in how a write or deletion ended.
    pub(super) fn take_done(&mut self, Done { secret, namespace, event, took }: Done) {
        let is_deletion = matches!(event, Event::Deleted { .. });
        let Some(ended) = self.index.apply(event, (self.now)()) else { return };
        if is_deletion && ended.failure.is_none() {
            info!(secret, %namespace, "deleted the copy, which is wanted no more");
        } else if !is_deletion {
            let failed = ended.failure.as_ref().map(|setback| setback.failure.reason);
            self.metrics.wrote(&secret, failed, took);
            if let Some(waited) = ended.waited {
                self.metrics.served(waited);
            }
            if let Some(repairs) = ended.contested {
                warn!(
                    secret,
                    %namespace,
                    repairs,
                    "somebody keeps changing or deleting the copy: its repairs slow down"
                );
            }
            if failed.is_none() {
                debug!(secret, %namespace, "wrote the copy");
            }
        }
        if let Some(setback) = &ended.failure {
            log_setback(&secret, &namespace, is_deletion, setback);
        }
    }

    /// Lets the writes under way end, each of which is told to `heard`; starts no others.
    pub(super) async fn finish_writes(&mut self, mut heard: impl FnMut(&Done)) {
        let rest = self.writes.len();
        let all = async {
            while let Some(done) = self.writes.next().await {
                heard(&done);
                self.take_done(done);
            }
        };
        if timeout(GRACE, all).await.is_ok() {
            debug!(writes = rest, "the writes under way have ended");
        } else {
            warn!("some writes had not ended after {} s", GRACE.as_secs());
        }
    }
}

fn log_setback(secret: &str, namespace: &str, is_deletion: bool, setback: &Setback) {
    let Setback { failure, count, delay } = setback;
    // It is on its way out, and its watch will tell.
    if failure.reason == WriteReason::NamespaceGone {
        debug!(secret, namespace, "the namespace is gone: {failure}");
        return;
    }
    let what = if is_deletion { "deleted" } else { "written" };
    warn!(
        secret,
        namespace,
        reason = %failure.reason,
        failures = count,
        retry_in_seconds = delay.as_secs_f64(),
        "the copy was not {what}: {failure}"
    );
}
