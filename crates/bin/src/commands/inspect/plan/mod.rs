//! `plan`: what a config would write, skip and prune.

mod decide;
mod render;

use ecr_refresher_core::ecr::EcrDefaults;
use ecr_refresher_sync::{desired::settings::PullSecret, report::SecretReport};
use jiff::Timestamp;
use serde::Serialize;

use self::decide::{Content, decide};
use super::{
    Inspection,
    header::Header,
    inspect,
    left::Left,
    listing::counted,
    selection::unselected,
    show::{Rendered, show},
};
use crate::{
    cli::PlanArgs,
    config::{Config, SourceLocation, registries},
    failure::Failure,
    screen::Screen,
    words::nearest,
};

/// Prints what the config would do.
pub(crate) fn plan(args: &PlanArgs) -> Result<(), Failure> {
    let screen = Screen::of_stdout(args.show.color);
    show(&args.inspect, screen, async || {
        let only = args.show.namespace.as_deref();
        let (inspection, cluster) = inspect(&args.inspect, "plan", only).await?;
        inspection.check_secret(args.show.secret.as_deref())?;
        let Plan { at, rows, unmatched } = Plan::of(&inspection);
        // One namespace does not show which patterns match nothing.
        let unmatched = if only.is_none() { unmatched } else { Vec::new() };
        let plan = Plan { at, rows: counted(rows, &args.show), unmatched };
        let header = Header::read((&args.inspect, &args.show), &cluster, at).await;
        let (note, warnings) = (&inspection.note, inspection.config.warnings.warnings());
        Ok(Rendered {
            text: plan.render(&header, args, screen),
            notes: format!("{note}{warnings}{}{}", plan.warnings(), unselected(&inspection)),
            is_good: true,
        })
    })
}

/// The effect of a config.
#[derive(Debug)]
struct Plan {
    at: Timestamp,
    rows: Vec<Row>,
    unmatched: Vec<Unmatched>,
}

/// The action for one copy. The order of the fields is that of the rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    action: Action,
    secret: String,
    namespace: String,
    reason: String,
    #[serde(flatten)]
    left: Left,
}

/// The action for a copy, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
enum Action {
    /// It is ours and no longer wanted, and would be deleted.
    Prune,
    /// It is missing, and would be made.
    Create,
    /// It is ours, and would be written at once.
    Replace,
    /// It is foreign, and would be taken over.
    Adopt,
    /// It is wanted and cannot be written.
    Skip,
    /// It is ours and no longer wanted, and would be kept.
    Leave,
    /// It is ours and works, until the next token replaces it.
    Keep,
}

/// A pattern that matches no namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Unmatched {
    secret: String,
    pattern: String,
    #[serde(flatten)]
    source: SourceLocation,
    /// The namespace that may have been meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<String>,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Adopt => "adopt",
            Self::Prune => "prune",
            Self::Skip => "skip",
            Self::Leave => "leave",
            Self::Keep => "keep",
        }
    }
}

impl Plan {
    fn of(inspection: &Inspection) -> Self {
        let at = inspection.now();
        let prune_after = inspection.config.sync.prune_after;
        let contents = contents(&inspection.config);
        let mut rows: Vec<_> = inspection
            .snapshot
            .copies()
            .filter_map(|view| {
                let (action, reason) = decide(&view, &contents[view.position()], prune_after, at)?;
                let secret = view.secret.name.clone();
                let namespace = view.namespace.to_owned();
                let left = Left::new(view.expires_at(), at);
                Some(Row { action, secret, namespace, reason, left })
            })
            .collect();
        rows.sort();
        let report = inspection.snapshot.report();
        let secrets = report.secrets.iter().enumerate();
        let unmatched =
            secrets.flat_map(|(position, secret)| unmatched(inspection, position, secret));
        Self { at, rows, unmatched: unmatched.collect() }
    }
}

/// The content of each pull Secret, in their order.
fn contents(config: &Config) -> Vec<Content> {
    // The environment of this command is not that of the daemon.
    let registries = registries(&config.registries, &EcrDefaults::default());
    let content = |secret: &PullSecret| {
        let used = registries.iter().filter(|it| secret.registries.contains(&it.name));
        Content { expires: config.expires(secret), registries: used.cloned().collect() }
    };
    config.sync.secrets.iter().map(content).collect()
}

/// The patterns of a pull Secret that match nothing: each is probably a typo.
fn unmatched(inspection: &Inspection, position: usize, secret: &SecretReport) -> Vec<Unmatched> {
    let patterns = secret.patterns.iter().enumerate();
    let unmatched = patterns.filter(|(_, (_, namespaces))| *namespaces == 0);
    unmatched
        .map(|(number, (pattern, _))| {
            let copies = inspection.snapshot.copies();
            let namespaces = copies.filter(|view| view.position() == position);
            let nearest = nearest(pattern, namespaces.map(|view| view.namespace));
            Unmatched {
                secret: secret.name.clone(),
                pattern: pattern.clone(),
                source: inspection.locations.allow(position, number),
                nearest: nearest.map(str::to_owned),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
