//! How files are read: the config, docker config files.

use std::{fmt, fs, io, path::Path, sync::Arc};

type Read = dyn Fn(&Path) -> io::Result<Vec<u8>> + Send + Sync;

/// Reads files. Clones read the same ones.
#[derive(Clone)]
pub struct Files(Arc<Read>);

impl Files {
    /// The files of this machine.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|path| fs::read(path))
    }

    /// Files with their content from a function.
    pub fn new(read: impl Fn(&Path) -> io::Result<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The whole content of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        (self.0)(path)
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Files")
    }
}
