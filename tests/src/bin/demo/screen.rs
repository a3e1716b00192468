//! The terminal: a second screen that is drawn over in place, and that goes without a trace.

use std::io::{Stdout, Write, stdout};

use anyhow::{Context, Result};
use rustix::termios::tcgetwinsize;

use super::line::Line;

/// The second screen, empty, without a cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J";
/// Back to the first one, as it was.
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the first row; a terminal that can shows all of the frame at once.
const BEGIN_FRAME: &str = "\x1b[?2026h\x1b[H";
/// Nothing below.
const END_FRAME: &str = "\x1b[J\x1b[?2026l";

/// The size of a terminal that does not report one.
const USUAL_SIZE: Size = Size { columns: 80, rows: 24 };

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// The terminal as long as it is drawn on; dropped, it is as it was before.
pub(crate) struct Screen {
    terminal: Stdout,
    with_colours: bool,
}

impl Screen {
    /// Takes the terminal over.
    pub(crate) fn enter() -> Result<Self> {
        // See https://no-color.org
        let with_colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let mut screen = Self { terminal: stdout(), with_colours };
        screen.write(ENTER)?;
        Ok(screen)
    }

    /// The size, which may change at any time.
    pub(crate) fn size(&self) -> Size {
        match tcgetwinsize(&self.terminal) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                Size { columns: size.ws_col.into(), rows: size.ws_row.into() }
            }
            _ => USUAL_SIZE,
        }
    }

    /// Draws over what is there.
    pub(crate) fn draw(&mut self, lines: &[Line]) -> Result<()> {
        let columns = self.size().columns;
        let painted: Vec<_> =
            lines.iter().map(|line| line.painted(columns, self.with_colours)).collect();
        self.write(&format!("{BEGIN_FRAME}{}{END_FRAME}", painted.join("\r\n")))
    }

    fn write(&mut self, text: &str) -> Result<()> {
        let written = self.terminal.write_all(text.as_bytes());
        written.and_then(|()| self.terminal.flush()).context("writing to the terminal")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = self.write(LEAVE);
    }
}
