//! A wall clock of a process that a test can set, by libfaketime. It needs a dynamically linked program.

use std::{path::PathBuf, process::Command};

use anyhow::Result;
use tempfile::TempDir;

use crate::tools::Tool;

/// The wall clock of the processes that it is applied to. Their uptime is not changed.
pub struct WallClock {
    folder: TempDir,
}

/// The library of the program `faketime`, as it passes it on itself: the loader fills in `$LIB`.
const LIBRARY: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

impl WallClock {
    /// A clock that shows the real time.
    ///
    /// # Errors
    /// When libfaketime cannot be installed.
    pub fn new() -> Result<Self> {
        Tool::Faketime.path()?;
        let clock = Self { folder: TempDir::new()? };
        clock.set_offset(0)?;
        Ok(clock)
    }

    /// Steps the clock to this many seconds beside the real time.
    ///
    /// # Errors
    /// When the file with the offset cannot be written.
    pub fn set_offset(&self, seconds: i64) -> Result<()> {
        let next = self.folder.path().join("next");
        std::fs::write(&next, format!("{seconds:+}\n"))?;
        Ok(std::fs::rename(next, self.file())?)
    }

    /// Has a process use this clock.
    pub fn apply(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", LIBRARY)
            .env("FAKETIME_TIMESTAMP_FILE", self.file())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}
