//! Reasons in words.

use ecr_refresher_sync::{
    desired::{allow_list::Decision, manifest::SECRET_TYPE},
    report::{
        ConflictReason,
        copy_view::{CopyView, Drift},
    },
};

/// Why a copy that has our annotation is not deleted.
pub(super) const NOT_APPLIED: &str =
    "this release did not apply it: somebody restored or copied it";

/// Why a copy that is ours, and has not expired, is written all the same.
pub(super) fn drift(drift: Drift, managers: &[String]) -> String {
    match drift {
        Drift::Edited if managers.is_empty() => "another client has changed it".to_owned(),
        Drift::Edited => format!("it was changed by {}", managers.join(", ")),
        Drift::Outdated => "the config has other labels or annotations".to_owned(),
    }
}

/// The owner of a Secret that is not ours.
pub(super) fn owner(view: &CopyView<'_>) -> String {
    if view.has_other_type() {
        return format!("{}, and its type is not {SECRET_TYPE}", by(view));
    }
    by(view)
}

fn by(view: &CopyView<'_>) -> String {
    let managers = view.managers();
    if let Some(release) = view.other_release() {
        format!("{}: kept by {release}", ConflictReason::AnotherRelease.as_str())
    } else if managers.is_empty() {
        "a foreign Secret".to_owned()
    } else {
        format!("a foreign Secret, written by {}", managers.join(", "))
    }
}

/// Why a namespace has no copy; `None` if it should have one.
pub(super) fn refusal(view: &CopyView<'_>) -> Option<String> {
    let list = &view.secret.allow_list;
    match view.decision {
        Decision::Allowed(_) if view.terminating => {
            Some("the namespace is being deleted".to_owned())
        }
        Decision::Allowed(_) => None,
        Decision::Denied(pattern) => {
            let pattern = list.deny_patterns().get(pattern).map_or("", String::as_str);
            Some(format!("`{pattern}` denies it"))
        }
        Decision::NotSelected(_) => {
            let unmet = list.unmet(view.labels).join(", ");
            Some(format!("its labels are not as selected: {unmet}"))
        }
        Decision::NotListed => Some("no pattern matches it".to_owned()),
    }
}
