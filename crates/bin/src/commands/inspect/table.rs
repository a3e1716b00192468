//! A table of texts.

use anstyle::AnsiColor;

use crate::screen::Screen;

/// Between two columns.
const GAP: &str = "   ";

/// Rows of texts below their headings, all of the same length.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    /// Those of the rows.
    colours: Vec<Option<AnsiColor>>,
}

impl Table {
    pub(super) fn new(headings: Vec<&str>) -> Self {
        let headings = headings.into_iter().map(str::to_owned).collect();
        Self { rows: vec![headings], colours: vec![None] }
    }

    pub(super) fn add(&mut self, row: Vec<String>, colour: Option<AnsiColor>) {
        self.rows.push(row);
        self.colours.push(colour);
    }

    /// The text, with columns as wide as their widest cell; empty without rows.
    pub(super) fn render(&self, screen: Screen) -> String {
        if self.rows.len() == 1 { String::new() } else { self.lines(0, screen) }
    }

    /// The text without the headings.
    pub(super) fn body(&self, screen: Screen) -> String {
        self.lines(1, screen)
    }

    /// The rows from this one on.
    fn lines(&self, first: usize, screen: Screen) -> String {
        let rows = &self.rows[first..];
        let mut widths = vec![0; rows.first().map_or(0, Vec::len)];
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |(row, &colour): (&Vec<String>, &Option<AnsiColor>)| {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join(GAP);
            screen.line(line.trim_end(), colour) + "\n"
        };
        rows.iter().zip(&self.colours[first..]).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(vec!["NAME", "LEFT"]);
        let plain = Screen::default();
        assert_eq!((table.render(plain), table.body(plain)), (String::new(), String::new()));
        table.add(vec!["a".to_owned(), "5h".to_owned()], None);
        table.add(vec!["längste".to_owned(), "-".to_owned()], Some(AnsiColor::Red));
        assert_eq!(table.render(plain), "NAME      LEFT\na         5h\nlängste   -\n");
        assert_eq!(table.body(plain), "a         5h\nlängste   -\n");
    }
}
