//! Starts writes, deletions and changes of ServiceAccounts, and takes in how they end.

use std::{sync::Arc, time::Duration};

use ecr_refresher_core::clock::Now;
use futures::StreamExt;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use super::{Engine, tell::tell_of_success};
use crate::{index::event::Event, job::concurrency::Ordinal, writer};

/// How long writes under way may take to end when the process is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A write that has ended.
pub(super) struct Done {
    kind: Kind,
    /// The name of the pull Secret or ServiceAccount.
    name: String,
    namespace: Arc<str>,
    pub(super) event: Event,
    took: Duration,
    ordinal: Ordinal,
}

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It writes a copy.
    Write,
    /// It changes a ServiceAccount.
    Link,
    /// It deletes a copy.
    Deletion,
}

impl Engine {
    /// Starts what is due, as long as there is room; copies first, and deletions last.
    pub(super) fn start_writes(&mut self) {
        let now = self.clock.now();
        self.metrics.limited_to(self.concurrency.limit());
        while self.term.is_some() && self.writes.len() < self.concurrency.limit() {
            if !self.start_one(now) {
                return;
            }
        }
    }

    /// Starts what is due first, if anything is.
    fn start_one(&mut self, now: Now) -> bool {
        let client = self.client.clone();
        if let Some(write) = self.index.next_write(now) {
            let (name, namespace) = (self.name(write.secret), Arc::clone(&write.namespace));
            self.start(Kind::Write, name, namespace, |name| async move {
                let outcome = writer::write(&client, &name, &write).await;
                Event::Written { write, outcome }
            });
        } else if let Some(link) = self.index.next_link(now) {
            let (name, namespace) = (link.account.clone(), Arc::clone(&link.namespace));
            self.start(Kind::Link, name, namespace, |_| async move {
                let outcome = writer::link(&client, &link).await;
                Event::Linked { link, outcome }
            });
        } else if self.watches.hear_namespaces()
            && let Some(deletion) = self.index.next_deletion(now)
        {
            let (name, namespace) = (self.name(deletion.secret), Arc::clone(&deletion.namespace));
            self.start(Kind::Deletion, name, namespace, |name| async move {
                let failure = writer::delete(&client, &name, &deletion).await;
                Event::Deleted { deletion, failure }
            });
        } else {
            return false;
        }
        true
    }

    /// The name of the pull Secret at a place.
    fn name(&self, place: usize) -> String {
        self.index.secret(place).map(|secret| secret.name.clone()).unwrap_or_default()
    }

    fn start<F: Future<Output = Event> + Send + 'static>(
        &mut self,
        kind: Kind,
        name: String,
        namespace: Arc<str>,
        write: impl FnOnce(String) -> F,
    ) {
        let writing = write(name.clone());
        let ordinal = self.concurrency.start();
        self.writes.push(Box::pin(async move {
            let started = Instant::now();
            let event = writing.await;
            Done { kind, name, namespace, event, took: started.elapsed(), ordinal }
        }));
    }

    /// Takes in how a write ended.
    pub(super) fn take_done(&mut self, done: Done) {
        let Done { kind, name, namespace, event, took, ordinal } = done;
        let Some(ended) = self.index.apply(event, self.clock.now()) else { return };
        let failed = ended.failure.as_ref().map(|setback| setback.failure.reason);
        self.concurrency.ended(ordinal, &namespace, failed);
        match kind {
            Kind::Write => {
                self.metrics.wrote(&name, failed, took);
                if let Some(waited) = ended.waited {
                    self.metrics.served(waited);
                }
            }
            Kind::Link => self.metrics.linked(&name, failed),
            Kind::Deletion => {}
        }
        if let Some(repairs) = ended.contested {
            self.tell_of_contest(&name, &namespace, repairs);
        }
        match &ended.failure {
            Some(setback) => self.tell_of_setback(kind, &name, &namespace, setback),
            None => tell_of_success(kind, &name, &namespace),
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
