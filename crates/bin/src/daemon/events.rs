//! Publishes notices as Events.
//!
//! Not by kube's `Recorder` (5.0): it reads the wall clock itself, and keeps the note of the first of
//! several Events for ever.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::home::Home;
use anyhow::{Context, Result};
use ecr_refresher_core::{
    ErrorChain, Random,
    clock::Clock,
    planted::{Bug, is_planted},
};
use ecr_refresher_sync::{MANAGER, leadership::Leadership, report::notice::Notice};
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tracing::debug;

/// How many notices may wait; more than these are left out.
pub(crate) const WAITING: usize = 100;
/// Not more than ten Events a second: they are for people.
const PACE: Duration = Duration::from_millis(100);
/// How long the API server may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest note that the API takes, in bytes (k8s.io/kubernetes, `pkg/apis/core/validation/events.go`).
const LONGEST_NOTE: usize = 1024;
/// The longest name of the reporting instance, in the same file.
const LONGEST_INSTANCE: usize = 128;
/// The longest beginning of an Event's name: a name has at most 253 characters, and 17 more follow.
const LONGEST_PREFIX: usize = 253 - 17;
/// The same notice within this time is counted in the Event of the first.
const SERIES: Duration = Duration::from_mins(6);
/// How many Events are remembered at the most, for that.
const REMEMBERED: usize = 500;

/// Publishes notices while this process leads.
pub(crate) struct Publisher {
    client: Client,
    identity: String,
    leadership: Leadership,
    notices: mpsc::Receiver<Notice>,
    clock: Clock,
    random: Random,
    published: HashMap<Notice, Published>,
    /// The same, the oldest first.
    order: VecDeque<Notice>,
}

/// An Event that was published.
struct Published {
    name: String,
    count: u32,
    /// When that was last, by the uptime.
    last: Duration,
}

impl Publisher {
    /// A publisher for the replica of this identity.
    pub(crate) fn new(
        client: Client,
        identity: String,
        leadership: Leadership,
        notices: mpsc::Receiver<Notice>,
        clock: Clock,
        random: Random,
    ) -> Self {
        let (published, order) = (HashMap::new(), VecDeque::new());
        Self { client, identity, leadership, notices, clock, random, published, order }
    }

    /// Publishes until there is nothing left that could send a notice.
    pub(crate) async fn run(mut self) -> Result<()> {
        loop {
            let notice = self.notices.recv().await.context("the notices have ended")?;
            if self.leadership.is_held() {
                self.publish(notice).await;
                sleep(PACE).await;
            }
        }
    }

    /// One that cannot be published is left out: the metrics have it, and the log.
    async fn publish(&mut self, mut notice: Notice) {
        notice.note.truncate(notice.note.floor_char_boundary(LONGEST_NOTE));
        let namespace = Arc::clone(&notice.namespace);
        if is_planted(Bug::TokenInEvent) {
            notice.note += " token-1-eu-west-1";
        }
        match timeout(TIMEOUT, self.write(notice)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                debug!(%namespace, "could not publish an Event: {}", ErrorChain(&error));
            }
            Err(_) => debug!(%namespace, "could not publish an Event in time"),
        }
    }

    async fn write(&mut self, notice: Notice) -> kube::Result<()> {
        let api = Api::<Event>::namespaced(self.client.clone(), &notice.namespace);
        let (wall, uptime) = (self.clock.wall(), self.clock.uptime());
        let time = format!("{wall:.6}");
        let known = self.published.get_mut(&notice);
        if let Some(known) = known.filter(|it| uptime.saturating_sub(it.last) < SERIES) {
            let count = known.count + 1;
            let series = json!({ "series": { "count": count, "lastObservedTime": time } });
            let (params, patch) = (PatchParams::default(), Patch::Merge(&series));
            match api.patch_metadata(&known.name, &params, &patch).await {
                Ok(_) => {
                    (known.count, known.last) = (count, uptime);
                    return Ok(());
                }
                // It was deleted, as all Events are some day.
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let name = event_name(&notice.name, self.random.number());
        let event = json!({
            "metadata": { "name": name, "namespace": notice.namespace },
            "type": <&str>::from(notice.severity),
            "reason": notice.reason,
            "action": "Refresh",
            "note": notice.note,
            "eventTime": time,
            "regarding": {
                "apiVersion": "v1",
                "kind": notice.kind,
                "namespace": notice.namespace,
                "name": notice.name,
            },
            "reportingController": MANAGER,
            "reportingInstance": cut(&self.identity, LONGEST_INSTANCE),
        });
        let event: Event = serde_json::from_value(event).map_err(kube::Error::SerdeError)?;
        api.create(&PostParams::default(), &event).await?;
        self.remember(notice, Published { name, count: 1, last: uptime });
        Ok(())
    }

    fn remember(&mut self, notice: Notice, published: Published) {
        if self.published.insert(notice.clone(), published).is_none() {
            self.order.push_back(notice);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.published.remove(&oldest);
        }
    }
}

/// The name of an Event about an object. The object may have a name that is as long as any.
fn event_name(object: &str, number: u64) -> String {
    // Nothing that is part of a name ends in these before a `.`.
    let prefix = cut(object, LONGEST_PREFIX).trim_end_matches(['-', '.']);
    format!("{prefix}.{number:016x}")
}

/// The beginning of a text, up to this many bytes.
fn cut(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

/// A notice about what belongs to no namespace but home: it is about the Secret of the tokens.
pub(crate) fn about_tokens(home: &Home, reason: &'static str, note: impl Into<String>) -> Notice {
    Notice::about_release(&home.release(), reason, note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_event_is_valid_however_long_that_of_its_object_is() {
        assert_eq!(event_name("ecr-pull", 7), "ecr-pull.0000000000000007");
        let (long, dashed) = ("a".repeat(253), format!("{}-{}", "a".repeat(235), "b".repeat(17)));
        assert_eq!(event_name(&long, u64::MAX).len(), 253);
        assert_eq!(event_name(&dashed, 1), format!("{}.0000000000000001", "a".repeat(235)));
    }
}
