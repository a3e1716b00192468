//! A line of text with tones, which is coloured only when it is drawn on a terminal.

/// The style of a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Faint,
    Good,
    Warning,
    Bad,
}

impl Tone {
    /// The numbers of the escape sequence that sets it ("select graphic rendition").
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
        }
    }
}

/// One line of pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pieces: Vec<(Tone, String)>,
    is_whole: bool,
}

impl Line {
    /// A line of one piece.
    pub(crate) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self::default().and(tone, text)
    }

    /// Adds a piece.
    pub(crate) fn and(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.pieces.push((tone, text.into()));
        self
    }

    /// Has it go on in the next row where it is too long, rather than be cut: for what is there to
    /// be copied.
    pub(crate) fn whole(mut self) -> Self {
        self.is_whole = true;
        self
    }

    /// The text alone.
    pub(crate) fn plain(&self) -> String {
        let text: String = self.pieces.iter().map(|(_, text)| text.as_str()).collect();
        text.trim_end().to_owned()
    }

    /// How many rows of a terminal it takes.
    pub(crate) fn rows(&self, columns: usize) -> usize {
        if self.is_whole { self.length().div_ceil(columns.max(1)).max(1) } else { 1 }
    }

    /// The text with escape sequences, to be drawn over a row that may have other text.
    pub(crate) fn painted(&self, columns: usize, with_colours: bool) -> String {
        // The last column stays free: there, terminals differ in where the cursor is.
        let mut room = if self.is_whole { usize::MAX } else { columns.saturating_sub(1) };
        let mut painted = String::new();
        for (tone, text) in &self.pieces {
            let text: String = text.chars().take(room).collect();
            room -= text.chars().count();
            if with_colours && *tone != Tone::Plain {
                painted.extend(["\x1b[", tone.code(), "m", &text, "\x1b[0m"]);
            } else {
                painted += &text;
            }
        }
        // For the same reason nothing is cleared behind a full row; and nothing is left there.
        let fills_its_row = self.length() > 0 && self.length().is_multiple_of(columns.max(1));
        if !(self.is_whole && fills_its_row) {
            painted += "\x1b[K";
        }
        painted
    }

    /// In characters, each of which takes one column in the texts of the demo.
    fn length(&self) -> usize {
        self.pieces.iter().map(|(_, text)| text.chars().count()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_across_its_pieces() {
        let line = Line::new(Tone::Strong, "abcd").and(Tone::Plain, "efgh").and(Tone::Bad, "i");
        assert_eq!(line.painted(7, false), "abcdef\x1b[K");
        assert_eq!(line.rows(7), 1);
        assert_eq!(line.plain(), "abcdefghi");
    }

    #[test]
    fn tones_become_colours_only_where_wanted() {
        let line = Line::new(Tone::Good, "yes").and(Tone::Plain, "!");
        assert_eq!(line.painted(80, true), "\x1b[32myes\x1b[0m!\x1b[K");
        assert_eq!(line.painted(80, false), "yes!\x1b[K");
    }

    #[test]
    fn a_whole_line_takes_the_rows_it_needs() {
        let line = Line::new(Tone::Plain, "12345678").whole();
        assert_eq!((line.rows(8), line.rows(7), line.rows(3)), (1, 2, 3));
        assert_eq!(line.painted(5, false), "12345678\x1b[K");
        // Clearing here would take the last character away.
        assert_eq!(line.painted(4, false), "12345678");
    }
}
