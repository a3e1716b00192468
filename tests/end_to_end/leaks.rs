//! Whatever happens in this suite, no daemon's log shows a password.

use anyhow::{Context, Result, bail};
use ecr_refresher_tests::{daemon, fake_aws::leaks_password};

/// Searches the logs of all daemons for what the fake AWS gave out, and for the passwords in the
/// files of registries. Removes what holds none; returns the number of logs.
pub(crate) fn search() -> Result<usize> {
    let mut searched = 0;
    for entry in std::fs::read_dir(daemon::logs()?).context("reading the folder of logs")? {
        let path = entry?.path();
        let log = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        for (index, line) in log.lines().enumerate() {
            if leaks_password(line) || line.contains(crate::process::FILE_PASSWORD) {
                bail!("line {} of the log {} shows a password", index + 1, path.display());
            }
        }
        searched += 1;
    }
    std::fs::remove_dir_all(daemon::logs()?).context("removing the folder of logs")?;
    Ok(searched)
}
