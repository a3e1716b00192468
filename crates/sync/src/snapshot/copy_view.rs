//! One namespace as one pull Secret sees it, and what follows from that without a token. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    desired::{allow_list::Decision, manifest::owned_fields, settings::PullSecret},
    observed::{
        copy::{ObservedCopy, Ownership},
        metadata::Metadata,
    },
    report::CopyState,
};

/// One namespace as one pull Secret sees it.
#[derive(Debug, Clone, Copy)]
pub struct CopyView<'a> {
    /// The pull Secret's place in the settings.
    pub place: usize,
    /// The pull Secret.
    pub secret: &'a PullSecret,
    /// The namespace.
    pub namespace: &'a str,
    /// Whether the namespace is being deleted.
    pub terminating: bool,
    /// Those of the namespace's labels that any allow-list looks at.
    pub labels: &'a BTreeMap<String, String>,
    /// What the allow-list says.
    pub decision: Decision,
    /// The Secret of that name, if there is one.
    pub observed: Option<ObservedCopy>,
    pub(crate) detail: Option<&'a Detail>,
}

/// What is told of a Secret beside what the index keeps of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detail {
    /// Who has written to it, but for our applies.
    managers: Vec<String>,
    /// Whether it carries the labels and annotations that the config asks for.
    is_as_configured: bool,
}

/// Why a copy that is ours is to be written though it has not expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// It has lost the label that marks it as ours.
    Unlabelled,
    /// Somebody has changed it.
    Edited,
    /// The config asks for other labels or annotations than it carries.
    Outdated,
}

impl Detail {
    pub(crate) fn new(metadata: &Metadata, secret: &PullSecret) -> Self {
        let mut managers = metadata.other_managers.clone();
        managers.sort();
        managers.dedup();
        let holds = |marks: &Option<BTreeMap<_, _>>, wanted: &BTreeMap<String, String>| {
            let holds = |(key, value): (&String, &String)| {
                marks.as_ref().is_some_and(|marks| marks.get(key) == Some(value))
            };
            wanted.iter().all(holds)
        };
        let is_as_configured = holds(&metadata.object.labels, &secret.labels)
            && holds(&metadata.object.annotations, &secret.annotations);
        Self { managers, is_as_configured }
    }
}

impl CopyView<'_> {
    /// Whether a copy is to be there.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        !self.terminating && self.decision.is_allowed()
    }

    /// Whether the Secret that is there is ours.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self.observed, Some(ObservedCopy { ownership: Ownership::Ours { .. }, .. }))
    }

    /// Whether it also carries our label, without which it is not ours to delete.
    #[must_use]
    pub fn is_labelled(&self) -> bool {
        matches!(
            self.observed,
            Some(ObservedCopy { ownership: Ownership::Ours { labelled: true, .. }, .. })
        )
    }

    /// When the copy expires, by what it says.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self.observed?.ownership {
            Ownership::Ours { expires_at, .. } => expires_at,
            Ownership::Foreign => None,
        }
    }

    /// The field managers of the Secret that is there, but for our applies.
    #[must_use]
    pub fn managers(&self) -> &[String] {
        self.detail.map_or(&[], |detail| &detail.managers)
    }

    /// What the copy is to be written for though it has not expired. `expires` says whether the
    /// content of the pull Secret does.
    #[must_use]
    pub fn flaw(&self, expires: bool) -> Option<Drift> {
        let Ownership::Ours { labelled, content, expires_at, owned_fields: owned } =
            self.observed?.ownership
        else {
            return None;
        };
        let is_as_configured = self.detail.is_none_or(|detail| detail.is_as_configured);
        let wanted = owned_fields(self.secret, expires || expires_at.is_some());
        // With fewer fields than wanted, either others have taken some or the config has got more.
        let taken = owned < wanted && (is_as_configured || !self.managers().is_empty());
        if !labelled {
            Some(Drift::Unlabelled)
        } else if content.is_none() || taken {
            Some(Drift::Edited)
        } else if owned != wanted || !is_as_configured {
            Some(Drift::Outdated)
        } else {
            None
        }
    }

    /// The state of the copy, if it is wanted, as far as can be told without a token.
    #[must_use]
    pub fn state(&self, expires: bool, now: Timestamp) -> CopyState {
        match self.observed.map(|observed| observed.ownership) {
            None => CopyState::Missing,
            Some(Ownership::Foreign) => CopyState::Conflict,
            Some(Ownership::Ours { expires_at: Some(at), .. }) if at <= now => CopyState::Expired,
            Some(_) if self.flaw(expires).is_some() => CopyState::Stale,
            Some(_) => CopyState::Fresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Selector;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        CONTENT_HASH, EXPIRES_AT, MANAGED_BY, MANAGER,
        desired::{allow_list::AllowList, settings::OnConflict},
    };

    fn secret(labels: &[(&str, &str)]) -> PullSecret {
        let labels = labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
        PullSecret {
            name: "ecr-pull".to_owned(),
            registries: vec!["main".into()],
            allow_list: AllowList::new(vec!["*".to_owned()], vec![], Selector::default()).unwrap(),
            service_accounts: Vec::new(),
            on_conflict: OnConflict::Skip,
            labels: labels.collect(),
            annotations: BTreeMap::new(),
        }
    }

    /// The metadata of a copy that was applied with the label `tier`, and has been left alone since.
    fn copy() -> Value {
        json!({
            "resourceVersion": "1",
            "labels": { MANAGED_BY: MANAGER, "tier": "prod" },
            "annotations": {
                EXPIRES_AT: "2026-11-23T12:00:00Z",
                CONTENT_HASH: "000000000000000000000000000000ff",
            },
            "managedFields": [{
                "manager": MANAGER, "operation": "Apply", "apiVersion": "v1",
                "fieldsType": "FieldsV1",
                "fieldsV1": {
                    "f:data": { "f:.dockerconfigjson": {} },
                    "f:metadata": {
                        "f:annotations": { format!("f:{CONTENT_HASH}"): {}, format!("f:{EXPIRES_AT}"): {} },
                        "f:labels": { format!("f:{MANAGED_BY}"): {}, "f:tier": {} },
                    },
                    "f:type": {},
                },
            }],
        })
    }

    fn written_by(mut metadata: Value, manager: &str) -> Value {
        let entry = json!({ "manager": manager, "operation": "Update", "apiVersion": "v1" });
        metadata["managedFields"].as_array_mut().unwrap().push(entry);
        metadata
    }

    fn without(mut metadata: Value, kind: &str, key: &str) -> Value {
        metadata[kind].as_object_mut().unwrap().remove(key);
        let fields = &mut metadata["managedFields"][0]["fieldsV1"]["f:metadata"];
        fields[format!("f:{kind}")].as_object_mut().unwrap().remove(&format!("f:{key}"));
        metadata
    }

    /// What is said of a Secret: its state an hour before the token expires, and its flaw.
    fn judge(metadata: Option<Value>, secret: &PullSecret) -> (CopyState, Option<Drift>) {
        let metadata: Option<Metadata> =
            metadata.map(|metadata| serde_json::from_value(metadata).unwrap());
        let detail = metadata.as_ref().map(|metadata| Detail::new(metadata, secret));
        let sighting = CopyView {
            place: 0,
            secret,
            namespace: "team-a",
            terminating: false,
            labels: &BTreeMap::new(),
            decision: Decision::Allowed(0),
            observed: metadata.as_ref().map(ObservedCopy::new),
            detail: detail.as_ref(),
        };
        let now = "2026-11-23T11:00:00Z".parse().unwrap();
        (sighting.state(true, now), sighting.flaw(true))
    }

    #[test]
    fn a_copy_that_was_left_alone_is_fresh() {
        let secret = secret(&[("tier", "prod")]);
        assert_eq!(judge(Some(copy()), &secret), (CopyState::Fresh, None));
        // A tenant's own marks on it are none of our business.
        let annotated = written_by(copy(), "kubectl-annotate");
        assert_eq!(judge(Some(annotated), &secret), (CopyState::Fresh, None));
    }

    #[test]
    fn what_is_not_there_foreign_or_expired_is_told_apart() {
        let secret = secret(&[("tier", "prod")]);
        assert_eq!(judge(None, &secret).0, CopyState::Missing);
        assert_eq!(judge(Some(json!({})), &secret).0, CopyState::Conflict);
        let mut expired = copy();
        expired["annotations"][EXPIRES_AT] = json!("2026-11-23T11:00:00Z");
        assert_eq!(judge(Some(expired), &secret).0, CopyState::Expired);
    }

    #[test]
    fn what_somebody_has_changed_is_stale() {
        let secret = secret(&[("tier", "prod")]);
        let mut taken = written_by(copy(), "kubectl-edit");
        taken["managedFields"][0]["fieldsV1"].as_object_mut().unwrap().remove("f:data");
        for (metadata, flaw) in [
            (without(copy(), "labels", MANAGED_BY), Drift::Unlabelled),
            (without(copy(), "annotations", CONTENT_HASH), Drift::Edited),
            (without(copy(), "annotations", EXPIRES_AT), Drift::Edited),
            (taken, Drift::Edited),
        ] {
            assert_eq!(judge(Some(metadata), &secret), (CopyState::Stale, Some(flaw)));
        }
    }

    #[test]
    fn what_the_config_wants_otherwise_now_is_stale() {
        for labels in [
            &[][..],
            &[("tier", "dev")],
            &[("level", "prod")],
            &[("tier", "prod"), ("team", "platform")],
        ] {
            let judged = judge(Some(copy()), &secret(labels));
            assert_eq!(judged, (CopyState::Stale, Some(Drift::Outdated)), "{labels:?}");
        }
    }
}
