//! The copy in a namespace.

use ecr_refresher_sync::report::{CopyState, UNWANTED, copy_view::CopyView};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::super::{Inspection, left::Left, reasons};
use crate::words;

/// The Secret with the name of a pull Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CopyFound {
    /// The state of a copy; or `unwanted`, `foreign` or `none` where no copy is wanted.
    pub(super) state: &'static str,
    /// What follows from that, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Whether it is ours; `None` if there is no Secret of that name.
    ours: Option<bool>,
    /// The managers that have written to it, other than the applies of releases.
    managers: Vec<String>,
    /// Why it is in conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    conflict: Option<&'static str>,
    /// The other release that keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<String>,
    #[serde(flatten)]
    left: Left,
}

impl CopyFound {
    pub(super) fn of(inspection: &Inspection, view: &CopyView<'_>) -> Self {
        let (state, reason) = if view.decision.is_allowed() {
            wanted(inspection, view)
        } else {
            unwanted(inspection, view)
        };
        Self {
            state,
            reason,
            ours: view.observed.as_ref().map(|_| view.is_ours()),
            managers: view.managers().to_vec(),
            conflict: (state == CopyState::Conflict.as_str())
                .then(|| view.conflict_reason().as_str()),
            release: view.other_release().map(ToString::to_string),
            left: Left::new(view.expires_at(), inspection.now()),
        }
    }

    /// In a line.
    pub(super) fn words(&self, now: Timestamp) -> String {
        let left = self.left.words();
        let is_expired = self.state == CopyState::Expired.as_str();
        let mut parts = vec![if is_expired { left.clone() } else { self.state.to_owned() }];
        if self.ours == Some(true) {
            parts.push("ours".to_owned());
        }
        match self.left.expires_at {
            Some(at) if at > now => parts.push(format!("{left} left")),
            Some(_) if !is_expired => parts.push(left),
            _ => {}
        }
        let expiry = self.left.expires_at.map(|at| format!(" ({at})")).unwrap_or_default();
        let reason = self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        parts.join(", ") + &expiry + &reason
    }
}

fn wanted(inspection: &Inspection, view: &CopyView<'_>) -> (&'static str, Option<String>) {
    let state = inspection.state(view);
    let reason = match state {
        CopyState::Conflict => Some(format!("{}; {}", reasons::owner(view), fate(view))),
        CopyState::Stale => {
            let drift = view.drift(inspection.config.expires(view.secret));
            drift.map(|drift| reasons::drift(drift, view.managers()))
        }
        _ => None,
    };
    (state.as_str(), reason)
}

/// What happens to a Secret that is not ours, where a copy is wanted.
fn fate(view: &CopyView<'_>) -> String {
    if view.has_other_type() {
        return "a type never changes: delete it, and a copy takes its place".to_owned();
    }
    match (view.other_release(), view.is_taken_over()) {
        (Some(release), true) => format!("it will be taken over (`takeOver: [{release}]`)"),
        (Some(release), false) => {
            format!("it is not changed; `takeOver: [{release}]` would take it over")
        }
        (None, true) => "it will be adopted (`onConflict: adopt`)".to_owned(),
        (None, false) => "it is not changed (`onConflict: skip`)".to_owned(),
    }
}

fn unwanted(inspection: &Inspection, view: &CopyView<'_>) -> (&'static str, Option<String>) {
    if view.observed.is_none() {
        return ("none", None);
    }
    if !view.is_ours() {
        return ("foreign", Some(reasons::owner(view)));
    }
    let fate = match inspection.config.sync.prune_after {
        None => "it is kept, because `prune` is off".to_owned(),
        Some(_) if !view.is_deletable() => {
            format!("it is kept, because {}", reasons::NOT_APPLIED)
        }
        Some(after) => {
            let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
            format!("it is deleted once it has been unwanted for {}", words::time(after))
        }
    };
    (UNWANTED, Some(fate))
}
