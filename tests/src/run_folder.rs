//! The folder of one control plane or node, which goes when it does.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

const PREFIX: &str = "ecr-refresher-run-";

/// Locked as long as the folder is in use: the lock ends with the process, however that ends.
const LOCK: &str = "in-use.lock";

/// Keeps the folder, for inspection.
const KEEP: &str = "ECR_REFRESHER_KEEP";

/// A folder that only its owner can read: it has keys and tokens.
#[derive(Debug)]
pub(crate) struct RunFolder {
    folder: TempDir,
    _lock: Option<File>,
}

impl RunFolder {
    /// Makes a new one, with `of` in its name, and removes those of processes that were killed.
    pub(crate) fn create(of: &str) -> Result<Self> {
        let keep = std::env::var_os(KEEP).is_some();
        remove_abandoned();
        let mut folder = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{of}-"))
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .context("making a temporary folder")?;
        folder.disable_cleanup(keep);
        // A folder without a lock file must not be removed.
        let lock = (!keep).then(|| lock(folder.path())).transpose()?;
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if std::env::var_os(KEEP).is_some() {
            eprintln!("kept the folder {}", self.path().display());
        }
    }
}

/// The file gets its name once it is locked, so that it is never seen unlocked while in use.
fn lock(folder: &Path) -> Result<File> {
    let unnamed = folder.join("new.lock");
    let file = File::create(&unnamed).context("making the lock of a folder")?;
    file.lock().context("locking a folder")?;
    fs::rename(unnamed, folder.join(LOCK)).context("naming the lock of a folder")?;
    Ok(file)
}

/// Tidies up as far as it can: what cannot be removed, such as another user's, is left alone.
fn remove_abandoned() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if ours && is_abandoned(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_abandoned(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_for_its_owner_only_and_goes_when_dropped() {
        let folder = RunFolder::create("test").unwrap();
        let path = folder.path().to_owned();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(folder);
        assert_eq!(path.exists(), std::env::var_os(KEEP).is_some());
    }

    #[test]
    fn a_folder_is_abandoned_once_its_lock_is_free() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_abandoned(folder.path()));
        let lock = lock(folder.path()).unwrap();
        assert!(!is_abandoned(folder.path()));
        // Closing it is not enough here: a program that another test starts has it open for a moment.
        lock.unlock().unwrap();
        assert!(is_abandoned(folder.path()));
    }
}
