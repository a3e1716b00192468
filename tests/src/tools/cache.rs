//! The folder that outlives `cargo clean` and that all checkouts share.

use std::fs::{self, File, TryLockError};
use std::path::PathBuf;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Where tools are kept.
pub(super) fn tools() -> Result<PathBuf> {
    Ok(folder()?.join("tools"))
}

/// One build or installation at a time: two would only be slower, and each uses all cores by itself.
pub(super) fn lock(name: &str) -> Result<File> {
    let folder = folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let path = folder.join("build.lock");
    let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("{name}: waiting for another process that builds");
            file.lock()?;
        }
        Err(TryLockError::Error(error)) => return Err(error).context("locking the cache"),
    }
    Ok(file)
}

/// A name for what is made of these parts, and of no others.
pub(super) fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    let start = std::array::from_fn(|index| digest[index]);
    format!("{:016x}", u64::from_be_bytes(start))
}

fn folder() -> Result<PathBuf> {
    let variable =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let own = || variable("ECR_REFRESHER_CACHE");
    let of_user = || variable("XDG_CACHE_HOME").map(|folder| folder.join("ecr-refresher"));
    let of_home = || variable("HOME").map(|folder| folder.join(".cache/ecr-refresher"));
    own()
        .or_else(of_user)
        .or_else(of_home)
        .context("no place for a cache: set ECR_REFRESHER_CACHE to an absolute path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_parts_end_counts() {
        assert_ne!(hash(["ab", "c"]), hash(["a", "bc"]));
        assert_eq!(hash(["ab", "c"]), hash(["ab", "c"]));
    }
}
