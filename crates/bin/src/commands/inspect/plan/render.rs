//! A plan, as a table or as JSON.

use anstyle::AnsiColor;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    super::{
        counts::Counts,
        header::Header,
        left::Left,
        listing::{Listed, render},
    },
    Action, Plan, Row, Unmatched,
};
use crate::{cli::PlanArgs, screen::Screen};

/// All actions, in the order in which they are counted.
const ACTIONS: [&str; 7] = [
    Action::Prune.as_str(),
    Action::Create.as_str(),
    Action::Replace.as_str(),
    Action::Adopt.as_str(),
    Action::Skip.as_str(),
    Action::Leave.as_str(),
    Action::Keep.as_str(),
];

impl Plan {
    /// The plan. Unchanged copies are only counted, unless all are asked for.
    pub(super) fn render(&self, header: &Header, args: &PlanArgs, screen: Screen) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document<'a> {
            at: Timestamp,
            #[serde(flatten)]
            header: &'a Header,
            counts: Counts,
            unmatched_patterns: &'a [Unmatched],
            copies: Vec<&'a Row>,
        }
        let is_shown = |row: &&Row| args.all || row.action != Action::Keep;
        let rows: Vec<_> = self.rows.iter().filter(is_shown).collect();
        let document = Document {
            at: self.at,
            header,
            counts: self.counts(),
            unmatched_patterns: &self.unmatched,
            copies: rows.clone(),
        };
        render(&rows, &document, (&header.text(), &self.counts().summary()), &args.show, screen)
    }

    /// A line for each pattern that matches nothing.
    pub(super) fn warnings(&self) -> String {
        let warning = |Unmatched { secret, pattern, source, nearest }: &Unmatched| {
            let nearest = nearest.as_ref();
            let help = nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            format!("warning: {source}: no namespace matches `{pattern}` of {secret}{help}\n")
        };
        self.unmatched.iter().map(warning).collect()
    }

    fn counts(&self) -> Counts {
        Counts::new(&ACTIONS, self.rows.iter().map(|row| row.action.as_str()))
    }
}

impl Listed for Row {
    const HEADINGS: (&'static [&'static str], &'static [&'static str]) =
        (&["SECRET", "NAMESPACE", "ACTION", "WHY"], &["LEFT"]);

    fn id(&self) -> (&str, &str) {
        (&self.namespace, &self.secret)
    }

    fn left(&self) -> Left {
        self.left
    }

    fn colour(&self) -> Option<AnsiColor> {
        match self.action {
            Action::Prune => Some(AnsiColor::Red),
            Action::Create | Action::Replace | Action::Adopt => Some(AnsiColor::Yellow),
            Action::Skip | Action::Leave | Action::Keep => None,
        }
    }

    fn cells(&self) -> Vec<String> {
        let Self { action, secret, namespace, reason, left } = self;
        let action = action.as_str().to_owned();
        vec![secret.clone(), namespace.clone(), action, reason.clone(), left.words()]
    }
}
