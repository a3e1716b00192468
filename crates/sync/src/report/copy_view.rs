//! One pull Secret in one namespace, as far as it is known without a token. Pure.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use crate::{
    REGISTRIES,
    desired::{allow_list::Decision, manifest::owned_fields, settings::PullSecret},
    job::slot::{SecretSlot, Slot},
    observed::{
        copy::{ObservedCopy, Ownership},
        metadata::Metadata,
    },
    report::{ConflictReason, CopyState},
};

/// One pull Secret in one namespace.
#[derive(Debug, Clone)]
pub struct CopyView<'a> {
    pub(crate) slot: SecretSlot,
    /// The pull Secret.
    pub secret: &'a PullSecret,
    /// The namespace.
    pub namespace: &'a str,
    /// Whether the namespace is being deleted.
    pub terminating: bool,
    /// The labels of the namespace that any allow-list selects by.
    pub labels: &'a BTreeMap<String, String>,
    /// The decision of the allow-list.
    pub decision: Decision,
    /// The Secret of that name, if it exists.
    pub observed: Option<ObservedCopy>,
    pub(crate) detail: Option<&'a Detail>,
}

/// Details of a Secret that the index does not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detail {
    /// The field managers other than our applies.
    managers: Vec<String>,
    /// Whether it has the labels and annotations of the config.
    is_as_configured: bool,
    /// The keys of its docker config, as far as its annotation lists them.
    registries: Option<String>,
    /// Whether it has another type than a copy, which never changes.
    pub(crate) has_other_type: bool,
}

/// Why a copy of ours is out of date though it has not expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// Another client has changed it.
    Edited,
    /// The config has other labels or annotations.
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
        let annotations = metadata.object.annotations.as_ref();
        let registries = annotations.and_then(|it| it.get(REGISTRIES)).cloned();
        Self { managers, is_as_configured, registries, has_other_type: false }
    }
}

impl CopyView<'_> {
    /// The position of the pull Secret in the settings.
    #[must_use]
    pub fn position(&self) -> usize {
        self.slot.index()
    }

    /// Whether the copy should exist.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        !self.terminating && self.decision.is_allowed()
    }

    /// Whether the Secret exists and is ours.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.observed.as_ref().is_some_and(ObservedCopy::is_ours)
    }

    /// Whether it would be deleted where it is no longer wanted.
    #[must_use]
    pub fn is_deletable(&self) -> bool {
        self.observed.as_ref().is_some_and(ObservedCopy::is_deletable)
    }

    /// Whether the config says to take over the Secret of another owner.
    #[must_use]
    pub fn is_taken_over(&self) -> bool {
        let may_replace = |it: &ObservedCopy| self.secret.may_replace(&it.ownership);
        self.observed.as_ref().is_some_and(may_replace) && !self.has_other_type()
    }

    /// Whether the Secret has another type than copies have: it can neither be pulled with nor be taken over.
    #[must_use]
    pub fn has_other_type(&self) -> bool {
        self.detail.is_some_and(|detail| detail.has_other_type)
    }

    /// The ID of the other release that keeps the Secret.
    #[must_use]
    pub fn other_release(&self) -> Option<&Arc<String>> {
        self.observed.as_ref().and_then(ObservedCopy::other_release)
    }

    /// Why the Secret is in conflict, if it is.
    #[must_use]
    pub fn conflict_reason(&self) -> ConflictReason {
        if self.has_other_type() {
            ConflictReason::AnotherType
        } else {
            ConflictReason::of(self.other_release())
        }
    }

    /// When the copy expires, by its annotation.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.observed.as_ref()?.expires_at()
    }

    /// The field managers of the Secret other than our applies.
    #[must_use]
    pub fn managers(&self) -> &[String] {
        self.detail.map_or(&[], |detail| &detail.managers)
    }

    /// The keys of its docker config, as its annotation [`REGISTRIES`] lists them.
    #[must_use]
    pub fn registries(&self) -> Option<&str> {
        self.detail?.registries.as_deref()
    }

    /// Why the copy is out of date though it has not expired. `expires` says whether the content of the
    /// pull Secret does.
    #[must_use]
    pub fn drift(&self, expires: bool) -> Option<Drift> {
        let observed = self.observed.as_ref()?;
        let Ownership::Ours { content, expires_at, .. } = observed.ownership else { return None };
        let wanted = owned_fields(self.secret, expires || expires_at.is_some());
        let has_all = content.is_some_and(|content| content.has_fields(wanted));
        if !observed.is_intact() {
            Some(Drift::Edited)
        } else if !has_all || self.detail.is_some_and(|detail| !detail.is_as_configured) {
            Some(Drift::Outdated)
        } else {
            None
        }
    }

    /// The state of the copy, if it is wanted, as far as it is known without a token.
    #[must_use]
    pub fn state(&self, expires: bool, now: Timestamp) -> CopyState {
        if self.has_other_type() {
            return CopyState::Conflict;
        }
        CopyState::of(self.observed.as_ref(), None, || self.drift(expires).is_none(), now)
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Selector;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        CONTENT_HASH, DESCRIPTION, EXPIRES_AT, MANAGED_BY, MANAGER,
        desired::{allow_list::AllowList, settings::OnConflict},
        release::{KEPT_BY, RELEASE, Release},
    };

    fn ours() -> Release {
        Release::new("home", "ours")
    }

    fn secret(labels: &[(&str, &str)]) -> PullSecret {
        let labels = labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
        PullSecret {
            name: "ecr-pull".to_owned(),
            registries: vec!["main".into()],
            allow_list: AllowList::new(vec!["*".to_owned()], vec![], Selector::default()).unwrap(),
            service_accounts: Vec::new(),
            on_conflict: OnConflict::Skip,
            take_over: Vec::new(),
            labels: labels.collect(),
            annotations: BTreeMap::new(),
        }
    }

    /// The metadata of a copy that was applied with the label `tier`, and has been left alone since.
    fn copy() -> Value {
        json!({
            "resourceVersion": "1",
            "labels": { MANAGED_BY: MANAGER, RELEASE: ours().label(), "tier": "prod" },
            "annotations": {
                KEPT_BY: ours().id(),
                EXPIRES_AT: "2026-11-23T12:00:00Z",
                CONTENT_HASH: "000000000000ff0a",
                REGISTRIES: "a.example.com",
                DESCRIPTION: "a copy",
            },
            "managedFields": [{
                "manager": ours().manager(), "operation": "Apply", "apiVersion": "v1",
                "fieldsType": "FieldsV1",
                "fieldsV1": {
                    "f:data": { "f:.dockerconfigjson": {} },
                    "f:metadata": {
                        "f:annotations": {
                            format!("f:{KEPT_BY}"): {},
                            format!("f:{CONTENT_HASH}"): {},
                            format!("f:{EXPIRES_AT}"): {},
                            format!("f:{REGISTRIES}"): {},
                            format!("f:{DESCRIPTION}"): {},
                        },
                        "f:labels": {
                            format!("f:{MANAGED_BY}"): {}, format!("f:{RELEASE}"): {}, "f:tier": {},
                        },
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

    /// The state of a Secret an hour before the token expires, and its drift.
    fn judge(metadata: Option<Value>, secret: &PullSecret) -> (CopyState, Option<Drift>) {
        let metadata: Option<Metadata> =
            metadata.map(|metadata| serde_json::from_value(metadata).unwrap());
        let detail = metadata.as_ref().map(|metadata| Detail::new(metadata, secret));
        let view = CopyView {
            slot: SecretSlot::new(0),
            secret,
            namespace: "team-a",
            terminating: false,
            labels: &BTreeMap::new(),
            decision: Decision::Allowed(0),
            observed: metadata.as_ref().map(|metadata| ObservedCopy::new(metadata, &ours())),
            detail: detail.as_ref(),
        };
        let now = "2026-11-23T11:00:00Z".parse().unwrap();
        (view.state(true, now), view.drift(true))
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
    fn missing_foreign_and_expired_copies_differ() {
        let secret = secret(&[("tier", "prod")]);
        assert_eq!(judge(None, &secret).0, CopyState::Missing);
        assert_eq!(judge(Some(json!({})), &secret).0, CopyState::Conflict);
        let mut expired = copy();
        expired["annotations"][EXPIRES_AT] = json!("2026-11-23T11:00:00Z");
        assert_eq!(judge(Some(expired), &secret).0, CopyState::Expired);
    }

    #[test]
    fn a_copy_that_another_client_has_changed_is_stale() {
        let secret = secret(&[("tier", "prod")]);
        let mut taken = written_by(copy(), "kubectl-edit");
        taken["managedFields"][0]["fieldsV1"].as_object_mut().unwrap().remove("f:data");
        for (metadata, drift) in [
            (without(copy(), "labels", MANAGED_BY), Drift::Edited),
            (without(copy(), "annotations", KEPT_BY), Drift::Edited),
            (without(copy(), "annotations", CONTENT_HASH), Drift::Edited),
            (without(copy(), "annotations", EXPIRES_AT), Drift::Edited),
            (taken, Drift::Edited),
        ] {
            // Whatever the config has by now: also as many fields as are left.
            for secret in [&secret, &self::secret(&[])] {
                let judged = judge(Some(metadata.clone()), secret);
                assert_eq!(judged, (CopyState::Stale, Some(drift)));
            }
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
