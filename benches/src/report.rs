//! All rows together: as a table and as JSON.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::row::Row;

/// What was measured, and where.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    kubernetes: String,
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(kubernetes: &str, rows: Vec<Row>) -> Self {
        Self { kubernetes: kubernetes.to_owned(), rows }
    }

    /// Whether all bounds are kept.
    pub(crate) fn passes(&self) -> bool {
        self.rows.iter().all(Row::passes)
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from("| namespaces | what | bound | measured | | how |\n|-:|-|-:|-:|-|-|\n");
        for row in &self.rows {
            let namespaces = row.namespaces.map(|count| count.to_string()).unwrap_or_default();
            let kept = if row.passes() { "ok" } else { "**over**" };
            let _ = writeln!(
                table,
                "| {namespaces} | {} | {} | {} | {kept} | {} |",
                row.what,
                row.bound_text(),
                row.measured_text(),
                row.detail,
            );
        }
        table
    }

    /// For programs, and as a plot.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).context("making the folder of the results")?;
        let json = serde_json::to_string_pretty(self)?;
        fs::write(folder.join("results.json"), json + "\n").context("writing the results")
    }
}
