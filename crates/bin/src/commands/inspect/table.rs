//! A table of texts.

/// Between two columns.
const GAP: &str = "   ";

/// Rows of texts below their headings, all of the same length.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(headings: Vec<&str>) -> Self {
        Self { rows: vec![headings.into_iter().map(str::to_owned).collect()] }
    }

    pub(super) fn add(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The text, with columns as wide as their widest cell; empty without rows.
    pub(super) fn render(&self) -> String {
        if self.rows.len() == 1 { String::new() } else { lines(&self.rows) }
    }

    /// The text without the headings.
    pub(super) fn body(&self) -> String {
        lines(&self.rows[1..])
    }
}

fn lines(rows: &[Vec<String>]) -> String {
    let mut widths = vec![0; rows.first().map_or(0, Vec::len)];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join(GAP);
        line.trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(vec!["NAME", "LEFT"]);
        assert_eq!((table.render(), table.body()), (String::new(), String::new()));
        table.add(vec!["a".to_owned(), "5h".to_owned()]);
        table.add(vec!["längste".to_owned(), "-".to_owned()]);
        assert_eq!(table.render(), "NAME      LEFT\na         5h\nlängste   -\n");
        assert_eq!(table.body(), "a         5h\nlängste   -\n");
    }
}
