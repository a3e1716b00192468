//! The files that the replicas read: the config, and a docker config file.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use ecr_refresher_core::Files;

/// Files in memory, the same for all replicas.
#[derive(Debug, Clone, Default)]
pub struct SimulatedFiles(Arc<Mutex<BTreeMap<PathBuf, String>>>);

impl SimulatedFiles {
    /// Writes a file.
    pub fn write(&self, path: &str, text: &str) {
        self.0.lock().unwrap().insert(path.into(), text.to_owned());
    }

    /// Removes a file.
    pub fn remove(&self, path: &str) {
        self.0.lock().unwrap().remove(Path::new(path));
    }

    /// The files as the product reads them.
    #[must_use]
    pub fn files(&self) -> Files {
        let files = Arc::clone(&self.0);
        Files::new(move |path| {
            let files = files.lock().unwrap();
            let text = files.get(path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            Ok(text.clone().into_bytes())
        })
    }
}
