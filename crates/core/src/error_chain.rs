//! Errors of libraries, in one line.

use std::{error::Error, fmt, iter};

/// A message from outside is cut to this many characters: it may be anything.
const LONGEST_MESSAGE: usize = 300;

/// Shows an error and its causes, separated by `: `. A repeated cause is shown once.
#[derive(Debug, Clone, Copy)]
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.to_string();
        formatter.write_str(&shown)?;
        for cause in iter::successors(self.0.source(), |error| (*error).source()) {
            let cause = cause.to_string();
            // Many errors show their cause themselves.
            if !shown.ends_with(&cause) {
                write!(formatter, ": {cause}")?;
                shown = cause;
            }
        }
        Ok(())
    }
}

/// A message from outside, cut to a length that a log bears, and without control characters.
#[must_use]
pub fn shorten(message: &str) -> String {
    message.chars().filter(|c| !c.is_control()).take(LONGEST_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layer {
        #[error("{message}")]
        Over { message: &'static str, source: Box<Layer> },
        #[error("out of luck")]
        Bottom,
    }

    fn over(message: &'static str, source: Layer) -> Layer {
        Layer::Over { message, source: Box::new(source) }
    }

    #[test]
    fn every_cause_is_shown_once() {
        let error = over("it failed", over("inside", over("inside: out of luck", Layer::Bottom)));
        assert_eq!(ErrorChain(&error).to_string(), "it failed: inside: inside: out of luck");
        let error = over("it failed: out of luck", Layer::Bottom);
        assert_eq!(ErrorChain(&error).to_string(), "it failed: out of luck");
    }

    #[test]
    fn a_message_is_cut_and_holds_no_control_characters() {
        let message = shorten(&format!("a\nb\u{1b}[31m{}", "x".repeat(1_000)));
        assert!(message.starts_with("ab[31m") && message.len() == LONGEST_MESSAGE);
    }
}
