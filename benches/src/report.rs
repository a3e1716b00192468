//! All rows together: as a table and as JSON.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{
    machine::Machine,
    plot,
    row::{Bound, Row},
};

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
        let Self { title, kubernetes, machine, rows } = self;
        let mut table = format!(
            "# {title}\n\nKubernetes {kubernetes} on {machine}. What the rows mean: \
             [README.md](README.md).\n\n\
             | namespaces | what | bound | measured | | how |\n|-:|-|-:|-:|-|-|\n",
        );
        table.extend(rows.iter().map(line));
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

/// A line of the table.
pub(crate) fn line(row: &Row) -> String {
    let namespaces = row.namespaces.map(|count| count.to_string()).unwrap_or_default();
    let kept = match row.bound {
        Bound::None => "",
        _ if row.passes() => "ok",
        _ => "**over**",
    };
    let Row { what, detail, .. } = row;
    let (bound, measured) = (row.bound_text(), row.measured_text());
    format!("| {namespaces} | {what} | {bound} | {measured} | {kept} | {detail} |\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Unit;

    #[test]
    fn a_line_says_whether_the_bound_is_kept() {
        let (what, detail) = ("memory".to_owned(), "at rest".to_owned());
        let (unit, bound) = (Unit::Mebibytes, Bound::AtMost(16.0));
        let mut row = Row { namespaces: Some(10), what, unit, bound, measured: 15.0, detail };
        assert_eq!(line(&row), "| 10 | memory | ≤ 16.0 MiB | 15.0 MiB | ok | at rest |\n");
        row.measured = 17.0;
        assert!(line(&row).contains("**over**"));
        row.bound = Bound::None;
        assert!(line(&row).contains("| 17.0 MiB |  |"));
    }
}
