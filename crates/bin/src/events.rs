//! Publishes notices as Events.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use ecr_refresher_core::Chain;
use ecr_refresher_sync::{Leadership, MANAGER, Notice};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tracing::debug;

use crate::run::Home;

/// How many notices may wait; more than these are left out.
pub(crate) const WAITING: usize = 100;
/// Not more than ten Events a second: they are for people.
const PACE: Duration = Duration::from_millis(100);
/// How long the API server may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest note that the API takes, in bytes (k8s.io/kubernetes, `pkg/apis/core/validation/events.go`).
const LONGEST_NOTE: usize = 1024;

/// Publishes what it is told, while this process leads.
pub(crate) struct Publisher {
    recorder: Recorder,
    leadership: Leadership,
    notices: mpsc::Receiver<Notice>,
}

impl Publisher {
    /// A publisher for the replica of this identity.
    pub(crate) fn new(
        client: Client,
        identity: String,
        leadership: Leadership,
        notices: mpsc::Receiver<Notice>,
    ) -> Self {
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(identity) };
        Self { recorder: Recorder::new(client, reporter), leadership, notices }
    }

    /// Publishes until there is nobody left to tell anything.
    pub(crate) async fn run(mut self) -> Result<()> {
        loop {
            let notice = self.notices.recv().await.context("there are no notices any more")?;
            if self.leadership.is_held() {
                self.publish(notice).await;
                sleep(PACE).await;
            }
        }
    }

    /// One that cannot be published is left out: the metrics have it, and the log.
    async fn publish(&self, notice: Notice) {
        let Notice { kind, namespace, name, reason, mut note } = notice;
        note.truncate(note.floor_char_boundary(LONGEST_NOTE));
        let regarding = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some(kind.to_owned()),
            namespace: Some(namespace.to_string()),
            name: Some(name),
            ..ObjectReference::default()
        };
        let event = Event {
            type_: EventType::Warning,
            reason: reason.to_owned(),
            note: Some(note),
            action: "Refresh".to_owned(),
            secondary: None,
        };
        match timeout(TIMEOUT, self.recorder.publish(&event, &regarding)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%namespace, "an Event was not published: {}", Chain(&error)),
            Err(_) => debug!(%namespace, "an Event was not published in time"),
        }
    }
}

/// A notice about what belongs to no namespace but home: it is about the Secret of the tokens.
pub(crate) fn about_tokens(home: &Home, reason: &'static str, note: impl Into<String>) -> Notice {
    let namespace: Arc<str> = home.namespace.as_str().into();
    Notice::about_secret(namespace, &home.token_cache(), reason, note)
}
