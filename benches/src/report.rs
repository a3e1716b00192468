//! All rows together: as a table and as JSON.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{machine::Machine, plot, row::Row};

/// What was measured, and where.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    title: &'static str,
    kubernetes: String,
    machine: Machine,
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(title: &'static str, kubernetes: &str, rows: Vec<Row>) -> Self {
        Self { title, kubernetes: kubernetes.to_owned(), machine: Machine::this(), rows }
    }

    /// Whether all bounds are kept.
    pub(crate) fn passes(&self) -> bool {
        self.rows.iter().all(Row::passes)
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut table = format!(
            "Kubernetes {}, {}.\n\n| namespaces | what | bound | measured | | how |\n\
             |-:|-|-:|-:|-|-|\n",
            self.kubernetes, self.machine
        );
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
        let plot = plot::draw(self.title, &self.rows);
        let name = self.title.to_lowercase().replace(' ', "-");
        for (ending, text) in [("json", json + "\n"), ("svg", plot), ("md", self.table())] {
            fs::write(folder.join(format!("{name}.{ending}")), text).context("writing results")?;
        }
        Ok(())
    }
}
