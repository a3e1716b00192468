//! What would be done about one copy.

use std::time::Duration;

use ecr_refresher_core::tokens::Registry;
use ecr_refresher_sync::report::{CopyState, copy_view::CopyView};
use jiff::{SignedDuration, Timestamp};

use super::{
    super::{left::Left, reasons},
    Action,
};
use crate::words;

/// The content of a pull Secret, by the config.
pub(super) struct Content {
    /// Whether it expires.
    pub(super) expires: bool,
    /// Where it is from.
    pub(super) registries: Vec<Registry>,
}

/// The decision and its reason; `None` where no copy is wanted and none of ours exists.
pub(super) fn decide(
    view: &CopyView<'_>,
    content: &Content,
    prune_after: Option<Duration>,
    now: Timestamp,
) -> Option<(Action, String)> {
    if let Some(refusal) = reasons::refusal(view) {
        return unwanted(view, prune_after, refusal);
    }
    let (expires, change) = (content.expires, content.change(view));
    let left = || Left::new(view.expires_at(), now).words();
    Some(match view.state(expires, now) {
        CopyState::Missing => (Action::Create, "it is missing".to_owned()),
        CopyState::Conflict => {
            let action = if view.is_taken_over() { Action::Adopt } else { Action::Skip };
            (action, reasons::owner(view))
        }
        CopyState::Expired => (Action::Replace, left()),
        CopyState::Fresh if change.is_some() => (Action::Replace, change.unwrap_or_default()),
        CopyState::Fresh if view.expires_at().is_none() => {
            (Action::Keep, "it does not expire".to_owned())
        }
        CopyState::Fresh => (Action::Keep, format!("{} left", left())),
        CopyState::Stale | CopyState::Failed => {
            let drift = view.drift(expires);
            let reason = drift.map(|drift| reasons::drift(drift, view.managers()));
            (Action::Replace, reason.unwrap_or_default())
        }
    })
}

impl Content {
    /// How the keys of a copy differ from those of the config, as far as both are known.
    fn change(&self, view: &CopyView<'_>) -> Option<String> {
        let listed = view.registries().filter(|listed| !listed.contains(", and "))?;
        let there: Vec<_> = listed.split(", ").collect();
        let removed = there.iter().find(|key| !self.registries.iter().any(|it| it.may_have(key)));
        let added = self.registries.iter().filter_map(|it| it.missing_key(&there)).min();
        match (added, removed) {
            (Some(key), _) => Some(format!("its registries change: {key} is added")),
            (None, Some(key)) => Some(format!("its registries change: {key} is removed")),
            (None, None) => None,
        }
    }
}

/// The decision where no copy is wanted.
fn unwanted(
    view: &CopyView<'_>,
    prune_after: Option<Duration>,
    refusal: String,
) -> Option<(Action, String)> {
    if view.terminating {
        // The Secret is deleted with the namespace.
        return view.decision.is_allowed().then_some((Action::Skip, refusal));
    }
    if !view.is_ours() {
        return None;
    }
    Some(match prune_after {
        None => (Action::Leave, format!("{refusal}; `prune` is off")),
        Some(_) if !view.is_deletable() => {
            (Action::Leave, format!("{refusal}; {}", reasons::NOT_APPLIED))
        }
        Some(after) => {
            let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
            (Action::Prune, format!("{refusal}; after {}", words::time(after)))
        }
    })
}
