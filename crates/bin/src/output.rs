//! Standard output.

use std::io::{ErrorKind, Write, stdout};

use anyhow::Context;
use serde::Serialize;

use crate::{cli::Output, failure::Failure};

/// A document in a format for scripts; `None` for text. A document is a plain struct, which always serialises.
pub(crate) fn document(format: Output, document: &impl Serialize) -> Option<String> {
    match format {
        Output::Text => None,
        Output::Json => Some(serde_json::to_string(document).unwrap_or_default() + "\n"),
        Output::Yaml => Some(serde_saphyr::to_string(document).unwrap_or_default()),
    }
}

/// Prints a result. A reader that closes early, as `head` does, is not a failure.
pub(crate) fn print(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    print_more(text).map(drop)
}

/// As [`print()`]; returns whether somebody still reads.
pub(crate) fn print_more(text: impl AsRef<[u8]>) -> Result<bool, Failure> {
    let mut stdout = stdout().lock();
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")?
        }
        written => Ok(written.is_ok()),
    }
}
