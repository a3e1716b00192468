//! What kubelet would send to a registry, found by kubelet's own code.

use std::{collections::BTreeMap, fmt, fs, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

use crate::{process::Guarded, tools::Tool};

/// It takes a fraction of a second, unless the machine is very busy.
const DEADLINE: Duration = Duration::from_secs(30);

/// What kubelet tries for an image.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Credential {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
    /// The Secret that has it, as `NAMESPACE/NAME`.
    pub source: String,
}

#[derive(Deserialize)]
struct Answer {
    image: String,
    credentials: Vec<Credential>,
}

/// What kubelet would send for each image, in the order in which it would try it, when a Pod has
/// these pull Secrets and the node has no credentials of its own. Builds the program first where it
/// is missing.
///
/// # Errors
/// When kubelet could not read the Secrets, when an image is none, or when no answer comes in time.
pub async fn credentials(
    secrets: &[Secret],
    images: &[String],
) -> Result<BTreeMap<String, Vec<Credential>>> {
    // A build blocks.
    let program = tokio::task::spawn_blocking(|| Tool::Keyring.path()).await??;
    let folder = TempDir::new()?;
    let [input, output, log] = ["input", "output", "log"].map(|name| folder.path().join(name));
    fs::write(&input, json!({ "secrets": secrets, "images": images }).to_string())?;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"exec "$0" <"$1""#]).arg(program).arg(input);
    let mut process = Guarded::spawn_with_output("keyring", &command, &output, &log)?;
    let status = process.wait(DEADLINE).await?;
    ensure!(status.success(), "it ended with {status}: {}", process.log_tail());
    // Not the parser's own words, which may quote a password.
    let answers: Option<Vec<Answer>> = serde_json::from_slice(&fs::read(output)?).ok();
    let answers = answers.context("the keyring's answer is not as expected")?;
    ensure!(answers.len() == images.len(), "{} answers", answers.len());
    Ok(answers.into_iter().map(|answer| (answer.image, answer.credentials)).collect())
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credential").field("source", &self.source).finish_non_exhaustive()
    }
}
