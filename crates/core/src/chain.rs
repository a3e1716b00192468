//! An error with all that caused it, in one line.

use std::{error::Error, fmt, iter};

/// Shows an error and its causes, parted by `: `. What a cause says again is said once.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
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
        assert_eq!(Chain(&error).to_string(), "it failed: inside: inside: out of luck");
        let error = over("it failed: out of luck", Layer::Bottom);
        assert_eq!(Chain(&error).to_string(), "it failed: out of luck");
    }
}
