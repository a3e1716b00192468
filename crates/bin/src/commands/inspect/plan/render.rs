//! A plan, as a table or as JSON.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    super::{counts::Counts, table::Table},
    Action, Plan, Row, Unmatched,
};
use crate::cli::TableOutput;

/// All actions, in the order in which they are counted.
const ACTIONS: [&str; 7] = [
    Action::Create.as_str(),
    Action::Replace.as_str(),
    Action::Adopt.as_str(),
    Action::Prune.as_str(),
    Action::Skip.as_str(),
    Action::Leave.as_str(),
    Action::Keep.as_str(),
];

impl Plan {
    /// The plan. Unchanged copies are only counted, unless `all` is set.
    pub(super) fn render(&self, output: TableOutput, all: bool) -> String {
        let rows = self.rows.iter().filter(|row| all || row.action != Action::Keep);
        match output {
            TableOutput::Json => self.json(rows),
            TableOutput::Table => self.table(rows),
        }
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

    fn table<'a>(&self, rows: impl Iterator<Item = &'a Row>) -> String {
        let mut table = Table::new(["SECRET", "NAMESPACE", "ACTION", "WHY"]);
        for Row { action, secret, namespace, reason, .. } in rows {
            let action = action.as_str().to_owned();
            table.add([secret.clone(), namespace.clone(), action, reason.clone()]);
        }
        table.render() + &self.counts().summary()
    }

    fn json<'a>(&self, rows: impl Iterator<Item = &'a Row>) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document<'a> {
            at: Timestamp,
            counts: Counts,
            unmatched_patterns: &'a [Unmatched],
            copies: Vec<&'a Row>,
        }
        let document = Document {
            at: self.at,
            counts: self.counts(),
            unmatched_patterns: &self.unmatched,
            copies: rows.collect(),
        };
        // Plain structs always serialise.
        serde_json::to_string(&document).unwrap_or_default() + "\n"
    }

    fn counts(&self) -> Counts {
        Counts::new(&ACTIONS, self.rows.iter().map(|row| row.action.as_str()))
    }
}
