//! A table of texts.

/// Between two columns.
const GAP: &str = "   ";

/// Rows of `N` texts each below their headings.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(headings: [&str; N]) -> Self {
        Self { rows: vec![headings.map(str::to_owned)] }
    }

    pub(super) fn add(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    /// The text, with columns as wide as their widest cell; empty without rows.
    pub(super) fn render(&self) -> String {
        if self.rows.len() == 1 {
            return String::new();
        }
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |row: &[String; N]| {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join(GAP);
            line.trim_end().to_owned() + "\n"
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["NAME", "LEFT"]);
        assert_eq!(table.render(), "");
        table.add(["a".to_owned(), "5h".to_owned()]);
        table.add(["längste".to_owned(), "-".to_owned()]);
        assert_eq!(table.render(), "NAME      LEFT\na         5h\nlängste   -\n");
    }
}
