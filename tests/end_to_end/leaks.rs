//! Whatever happens in this suite, no daemon's log shows a password.

use anyhow::Result;
use ecr_refresher_tests::logs;

/// Searches the logs of all daemons for what the fake AWS gave out, and for the passwords in the
/// files of registries. Removes what holds none, unless a test has failed; returns the number of logs.
pub(crate) fn search(has_failed: bool) -> Result<usize> {
    let searched = logs::search_for_passwords(&[crate::process::FILE_PASSWORD])?;
    if has_failed {
        println!("the logs of the daemons are in {}", logs::logs()?.display());
    } else {
        logs::remove()?;
    }
    Ok(searched)
}
