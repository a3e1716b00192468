//! What standard output can show.

use std::io::{IsTerminal, stdout};

use anstyle::AnsiColor;
use clap::ColorChoice;

use crate::logging::environment_allows_colours;

/// Clears a terminal and goes to its first line.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// How lines are shown; by default as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Screen {
    /// The width of a terminal; longer lines are cut.
    width: Option<usize>,
    has_colours: bool,
    is_terminal: bool,
}

impl Screen {
    /// That of standard output.
    pub(crate) fn of_stdout(colours: ColorChoice) -> Self {
        let is_terminal = stdout().is_terminal();
        let size = rustix::termios::tcgetwinsize(stdout()).ok().filter(|_| is_terminal);
        let width = size.map(|size| usize::from(size.ws_col)).filter(|&width| width > 0);
        let has_colours = match colours {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => is_terminal && environment_allows_colours(),
        };
        Self { width, has_colours, is_terminal }
    }

    /// A line, cut and coloured.
    pub(crate) fn line(self, line: &str, colour: Option<AnsiColor>) -> String {
        let width = self.width.unwrap_or(usize::MAX);
        let line = if line.chars().count() > width {
            line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
        } else {
            line.to_owned()
        };
        match colour.filter(|_| self.has_colours) {
            Some(colour) => {
                let style = colour.on_default();
                format!("{style}{line}{style:#}")
            }
            None => line,
        }
    }

    /// What comes before a text that replaces the one before it.
    pub(crate) fn clear(self) -> &'static str {
        if self.is_terminal { CLEAR } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_the_width_and_then_coloured() {
        let line = |width, has_colours, colour| {
            Screen { width, has_colours, is_terminal: true }.line("für alle", colour)
        };
        assert_eq!(line(None, false, Some(AnsiColor::Red)), "für alle");
        assert_eq!(line(Some(8), false, None), "für alle");
        assert_eq!(line(Some(5), true, None), "für …");
        assert_eq!(line(Some(5), true, Some(AnsiColor::Red)), "\x1b[31mfür …\x1b[0m");
        assert_eq!(line(Some(0), false, None), "…");
    }
}
