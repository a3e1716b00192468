//! The newest Event about a copy, if the user may read Events.

use std::time::Duration;

use ecr_refresher_core::shorten;
use ecr_refresher_sync::MANAGER;
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::{Api, Client, api::ListParams};
use serde::Serialize;
use tokio::time::timeout;

use crate::words;

/// How long the API server may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The newest Event about a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LastEvent {
    r#type: String,
    reason: String,
    note: String,
    at: Option<Timestamp>,
}

/// The newest of our Events about a copy, if there is one that can be read.
pub(super) async fn last_event(
    client: &Client,
    namespace: &str,
    secret: &str,
) -> Option<LastEvent> {
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let about = format!("regarding.kind=Secret,regarding.name={secret}");
    let about = ListParams::default().fields(&about);
    // Without the right to read Events, the rest is still shown.
    let listed = timeout(TIMEOUT, events.list(&about)).await.ok()?.ok()?;
    newest(listed.items)
}

fn newest(events: Vec<Event>) -> Option<LastEvent> {
    let ours = |event: &Event| event.reporting_controller.as_deref() == Some(MANAGER);
    let event = events.into_iter().filter(ours).max_by_key(time)?;
    let text = |text: &Option<String>| shorten(text.as_deref().unwrap_or_default());
    Some(LastEvent {
        at: time(&event),
        r#type: text(&event.type_),
        reason: text(&event.reason),
        note: text(&event.note),
    })
}

/// When it happened, for the last time so far.
fn time(event: &Event) -> Option<Timestamp> {
    let again = event.series.as_ref().map(|series| series.last_observed_time.0);
    let first = event.event_time.as_ref().map(|time| time.0);
    let made = event.metadata.creation_timestamp.as_ref().map(|time| time.0);
    again.max(first).or(made)
}

impl LastEvent {
    /// In a line.
    pub(super) fn words(&self, now: Timestamp) -> String {
        let Self { r#type, reason, note, at } = self;
        let ago = at.map(|at| format!(", {} ago", words::time(now.duration_since(at))));
        format!("{} {reason}{}: {note}", r#type, ago.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(controller: &str, reason: &str, time: &str, again: Option<&str>) -> Event {
        let series = again.map(|again| json!({ "count": 2, "lastObservedTime": again }));
        serde_json::from_value(json!({
            "metadata": { "name": reason, "creationTimestamp": "2026-11-23T09:00:00Z" },
            "eventTime": time,
            "series": series,
            "reportingController": controller,
            "type": "Warning", "reason": reason, "note": "a\nnote",
        }))
        .unwrap()
    }

    #[test]
    fn the_newest_of_our_events_is_shown() {
        let events = vec![
            event("ecr-refresher", "Old", "2026-11-23T10:30:00.000000Z", None),
            event(
                "ecr-refresher",
                "Again",
                "2026-11-23T10:00:00.000000Z",
                Some("2026-11-23T10:57:00.000000Z"),
            ),
            event("kubelet", "Theirs", "2026-11-23T10:59:00.000000Z", None),
        ];
        let newest = newest(events).unwrap();
        let now = "2026-11-23T11:00:00Z".parse().unwrap();
        assert_eq!(newest.words(now), "Warning Again, 3m ago: anote");
    }

    #[test]
    fn without_events_nothing_is_shown() {
        assert_eq!(newest(vec![]), None);
        let theirs = event("kubelet", "Theirs", "2026-11-23T10:59:00.000000Z", None);
        assert_eq!(newest(vec![theirs]), None);
    }
}
