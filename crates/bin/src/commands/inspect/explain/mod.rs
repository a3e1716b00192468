//! `explain`: why a namespace has its copies, or has none.

mod copy;
mod event;
mod text;
mod verdict;

use std::collections::BTreeMap;

use clap::ColorChoice;
use ecr_refresher_sync::{
    desired::settings::PullSecret,
    report::{CopyState, copy_view::CopyView},
};
use jiff::Timestamp;
use serde::Serialize;

use self::{
    copy::CopyFound,
    event::{LastEvent, last_event},
    verdict::Verdict,
};
use super::{
    Inspection, inspect,
    show::{Rendered, show},
};
use crate::{cli::ExplainArgs, failure::Failure, output, screen::Screen};

/// Prints the desired copies of a namespace, the reasons, and the observed state.
pub(crate) fn explain(args: &ExplainArgs) -> Result<(), Failure> {
    let namespace = &args.namespace;
    show(&args.inspect, Screen::of_stdout(ColorChoice::Never), async || {
        let (inspection, cluster) = inspect(&args.inspect, "explain", Some(namespace)).await?;
        inspection.check_secret(args.secret.as_deref())?;
        let mut explanation = Explanation::of(&inspection, namespace, args.secret.as_deref());
        for secret in &mut explanation.secrets {
            secret.last_event = last_event(&cluster.client, namespace, &secret.secret).await;
        }
        Ok(Rendered {
            text: output::document(args.output, &explanation).unwrap_or_else(|| explanation.text()),
            notes: inspection.note,
            is_good: explanation.good,
        })
    })
}

/// The explanation of a namespace.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    at: Timestamp,
    namespace: String,
    exists: bool,
    terminating: bool,
    /// Those of its labels that any allow-list looks at.
    labels: BTreeMap<String, String>,
    /// Whether it holds all copies that it is to have, fresh.
    good: bool,
    secrets: Vec<About>,
}

/// The explanation of one pull Secret in the namespace.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct About {
    secret: String,
    wanted: bool,
    config: Verdict,
    /// None when there is no such namespace.
    copy: Option<CopyFound>,
    /// `None` also without the right to read Events.
    last_event: Option<LastEvent>,
}

impl Explanation {
    /// The explanation of all pull Secrets, or of one.
    fn of(inspection: &Inspection, namespace: &str, only: Option<&str>) -> Self {
        let copies = inspection.snapshot.copies();
        let copies: Vec<_> = copies.filter(|view| view.namespace == namespace).collect();
        let first = copies.first();
        let terminating = first.is_some_and(|first| first.terminating);
        let labels = first.map(|first| first.labels.clone()).unwrap_or_default();
        let secrets: Vec<_> = inspection
            .config
            .sync
            .secrets
            .iter()
            .enumerate()
            .filter(|(_, secret)| only.is_none_or(|name| name == secret.name))
            .map(|(position, secret)| {
                let view = copies.iter().find(|view| view.position() == position);
                About::of(inspection, position, secret, namespace, view)
            })
            .collect();
        Self {
            at: inspection.now(),
            namespace: namespace.to_owned(),
            exists: first.is_some(),
            terminating,
            labels,
            good: first.is_some() && !terminating && secrets.iter().all(About::is_good),
            secrets,
        }
    }
}

impl About {
    fn of(
        inspection: &Inspection,
        position: usize,
        secret: &PullSecret,
        namespace: &str,
        view: Option<&CopyView<'_>>,
    ) -> Self {
        let none = BTreeMap::new();
        let labels = view.map_or(&none, |view| view.labels);
        let config = Verdict::of(&inspection.locations, position, secret, namespace, labels);
        Self {
            secret: secret.name.clone(),
            wanted: config.is_wanted(),
            config,
            copy: view.map(|view| CopyFound::of(inspection, view)),
            last_event: None,
        }
    }

    fn is_good(&self) -> bool {
        let is_fresh = |copy: &CopyFound| copy.state == CopyState::Fresh.as_str();
        !self.wanted || self.copy.as_ref().is_some_and(is_fresh)
    }
}

#[cfg(test)]
mod tests;
