//! Watches the config file while the daemon runs.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use ecr_refresher_core::Files;
use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use super::{Config, ConfigError, parse_file, read_text};

/// How often the file is read. It is polled because the kubelet swaps a symlink above the file, and
/// editors rename or rewrite it: the kernel's notifications differ for each.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The state of the config file of a daemon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConfigState {
    /// Whether it was valid when it was last read.
    pub(crate) is_valid: bool,
    /// When the config in use was read.
    pub(crate) since: Timestamp,
}

/// Waits for changes of the file.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    files: Files,
    /// The name of the release.
    name: String,
    /// The file as it was last reported, valid or not.
    reported: Reading,
    /// The file at the last poll.
    last: Reading,
}

/// The text of the file, or why it could not be read.
type Reading = Result<String, ConfigError>;

impl Follower {
    /// Follows the file of a release of this name, which holds `text` at the moment.
    #[must_use]
    pub fn new(path: &Path, text: String, files: Files, name: &str) -> Self {
        let (path, name, reading) = (path.to_owned(), name.to_owned(), Ok(text));
        Self { path, files, name, reported: reading.clone(), last: reading }
    }

    /// Waits until the file has changed, and reads it.
    pub(crate) async fn changed(&mut self) -> Result<Config, ConfigError> {
        let mut polls = interval(POLL_INTERVAL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            polls.tick().await;
            if self.poll() {
                let text = self.reported.as_ref().map_err(ConfigError::clone)?;
                return parse_file(&self.path, text, &self.name);
            }
        }
    }

    /// Whether the file differs from the reported one, and did so at the last poll too: it may be written
    /// just now.
    fn poll(&mut self) -> bool {
        let reading = read_text(&self.files, &self.path);
        let settled = reading == self.last;
        self.last = reading;
        if settled && self.last != self.reported {
            self.reported.clone_from(&self.last);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn follower(path: &Path) -> Follower {
        Follower::new(path, fs::read_to_string(path).unwrap(), Files::system(), "ours")
    }

    /// How many of the next polls report a change.
    fn reports(follower: &mut Follower) -> usize {
        (0..4).filter(|_| follower.poll()).count()
    }

    #[test]
    fn an_edit_in_place_is_reported_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, "a").unwrap();
        let mut follower = follower(&path);
        assert_eq!(reports(&mut follower), 0);
        fs::write(&path, "b").unwrap();
        assert_eq!(reports(&mut follower), 1);
        assert_eq!(follower.reported, Ok("b".to_owned()));
    }

    #[test]
    fn the_swap_of_a_symlink_above_the_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        for (version, text) in [("..1", "a"), ("..2", "b")] {
            fs::create_dir(folder.path().join(version)).unwrap();
            fs::write(folder.path().join(version).join("config.yaml"), text).unwrap();
        }
        let (data, next) = (folder.path().join("..data"), folder.path().join("..data_tmp"));
        symlink("..1", &data).unwrap();
        symlink("..data/config.yaml", folder.path().join("config.yaml")).unwrap();
        let mut follower = follower(&folder.path().join("config.yaml"));
        symlink("..2", &next).unwrap();
        fs::rename(&next, &data).unwrap();
        assert_eq!(reports(&mut follower), 1);
        assert_eq!(follower.reported, Ok("b".to_owned()));
    }

    #[test]
    fn a_file_that_changes_between_polls_is_not_read_yet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, "a").unwrap();
        let mut follower = follower(&path);
        fs::write(&path, "half").unwrap();
        assert!(!follower.poll());
        fs::write(&path, "half and half").unwrap();
        assert!(!follower.poll());
        assert!(follower.poll());
    }

    #[test]
    fn a_file_that_vanishes_is_reported_and_so_is_its_return() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, "a").unwrap();
        let mut follower = follower(&path);
        fs::remove_file(&path).unwrap();
        assert_eq!(reports(&mut follower), 1);
        assert!(follower.reported.is_err());
        fs::write(&path, "a").unwrap();
        assert_eq!(reports(&mut follower), 1);
    }
}
