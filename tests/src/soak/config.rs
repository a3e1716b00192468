//! The config of the daemon in a soak, and its edits.

use std::{collections::BTreeSet, path::Path};

use anyhow::Result;
use serde_json::{Value, json};

use super::fault::Edit;

/// The pull Secrets.
pub(super) const PULL: &str = "soak-pull";
pub(super) const EXTRA: &str = "soak-extra";
pub(super) const SECRETS: [&str; 2] = [PULL, EXTRA];

/// The registries: their names and regions.
pub(super) const REGISTRIES: [(&str, &str); super::plan::REGIONS] =
    [("main", "eu-west-1"), ("second", "us-east-1"), ("third", "eu-central-1")];

/// The registry that an edit drops. One pull Secret alone uses it.
const DROPPED: &str = "second";
/// The label of namespaces that one pull Secret selects.
pub(super) const SELECTED: (&str, &str) = ("tier", "prod");
/// The label that an edit gives to the copies of a pull Secret.
pub(super) const LABEL: (&str, &str) = ("example.com/soak", "edited");

/// The host of a region, as the fake AWS names it.
pub(super) fn host(region: &str) -> String {
    format!("{}.dkr.ecr.{region}.amazonaws.com", crate::fake_aws::DEFAULT_ACCOUNT)
}

/// What the config file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) edit: Option<Edit>,
}

impl Config {
    fn drops_registry(self) -> bool {
        matches!(self.edit, Some(Edit::DropRegistry | Edit::RemoveRegistry))
    }

    fn registries_of(self, secret: &str) -> Vec<&'static str> {
        match secret {
            PULL if self.drops_registry() => vec!["main"],
            PULL => vec!["main", DROPPED],
            _ => vec!["third", "main"],
        }
    }

    /// The hosts in the copies of a pull Secret.
    pub(super) fn hosts(self, secret: &str) -> BTreeSet<String> {
        let used = self.registries_of(secret);
        let regions = REGISTRIES.iter().filter(|(name, _)| used.contains(name));
        regions.map(|(_, region)| host(region)).collect()
    }

    /// Whether the token source of a host is there, so that the host needs no new token.
    pub(super) fn has_source(self, of_host: &str) -> bool {
        let dropped = REGISTRIES.iter().filter(|(name, _)| *name == DROPPED);
        self.edit != Some(Edit::RemoveRegistry)
            || dropped.map(|(_, region)| host(region)).all(|dropped| dropped != of_host)
    }

    /// Whether a namespace gets a copy of a pull Secret.
    pub(super) fn wants(self, secret: &str, namespace: &str, is_selected: bool) -> bool {
        let is_team = namespace.starts_with("soak-team-");
        match secret {
            PULL => {
                is_team || namespace.starts_with("soak-wide-") && self.edit != Some(Edit::Narrow)
            }
            _ => is_team && is_selected,
        }
    }

    /// Whether the copies of a pull Secret have [`LABEL`].
    pub(super) fn labels(self, secret: &str) -> bool {
        secret == PULL && self.edit == Some(Edit::Label)
    }

    /// The file, in JSON: its intended content, or nonsense.
    pub(super) fn text(self) -> String {
        if self.edit == Some(Edit::Break) {
            return "secrets: [".to_owned();
        }
        self.value().to_string()
    }

    /// The config as the chart takes it.
    pub(super) fn value(self) -> Value {
        let kept = |name: &str| !(name == DROPPED && self.edit == Some(Edit::RemoveRegistry));
        let registries: Vec<_> = REGISTRIES
            .iter()
            .filter(|(name, _)| kept(name))
            .map(|(name, region)| json!({ "name": name, "ecr": { "region": region } }))
            .collect();
        let narrow = self.edit == Some(Edit::Narrow);
        let patterns: &[_] =
            if narrow { &["soak-team-*"] } else { &["soak-team-*", "soak-wide-*"] };
        let (label, value) = LABEL;
        let labels = if self.labels(PULL) { json!({ label: value }) } else { json!({}) };
        let (key, selected) = SELECTED;
        json!({
            "registries": registries,
            "secrets": [
                {
                    "name": PULL,
                    "registries": self.registries_of(PULL),
                    "namespaces": patterns,
                    "labels": labels,
                },
                {
                    "name": EXTRA,
                    "registries": self.registries_of(EXTRA),
                    "namespaces": {
                        "allow": ["soak-team-*"],
                        "selector": { "matchLabels": { key: selected } },
                    },
                },
            ],
            "refresh": { "spread": "1s" },
            "prune": { "after": "20s" },
            "leaderElection": {
                "leaseDuration": "6s", "renewDeadline": "4s", "retryPeriod": "1s",
            },
        })
    }

    /// Replaces the file in one step.
    pub(super) fn write(self, path: &Path) -> Result<()> {
        let next = path.with_extension("next");
        std::fs::write(&next, self.text())?;
        Ok(std::fs::rename(next, path)?)
    }
}
