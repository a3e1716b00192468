//! Helm as an operator runs it, against one cluster: real releases of the chart.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::chart::{self, CHART};
use crate::tools::Tool;

/// The Helm of one administrator: nothing of the machine's own is read or changed.
pub struct Helm {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: TempDir,
}

/// Which release is meant.
#[derive(Clone, Copy, Debug)]
pub struct Release<'a> {
    /// Its name.
    pub name: &'a str,
    /// The namespace that it is in.
    pub namespace: &'a str,
}

/// What Helm has installed, or would.
#[derive(Debug)]
pub struct Installed {
    /// All objects.
    pub objects: Vec<Value>,
    /// Its notes.
    pub notes: String,
}

impl Helm {
    /// Helm with this kubeconfig. Builds it first where it is missing.
    ///
    /// # Errors
    /// When it cannot be built.
    pub async fn new(kubeconfig: &Path) -> Result<Self> {
        let program = tokio::task::spawn_blocking(|| Tool::Helm.path()).await??;
        Ok(Self { program, kubeconfig: kubeconfig.to_owned(), home: TempDir::new()? })
    }

    /// Installs the chart as a new release, and makes its namespace if need be. It does not wait
    /// for Pods: there may be no node.
    ///
    /// # Errors
    /// When Helm or the API server refuses: its words are in the error.
    pub async fn install(&self, release: Release<'_>, values: &Value) -> Result<Installed> {
        let file = chart::values_file(values)?;
        self.roll_out("install", release, file.path(), &["--create-namespace"]).await
    }

    /// What [`Helm::install`] would do with the values in a file, by the word of the API server.
    ///
    /// # Errors
    /// As for it.
    pub async fn try_out(&self, release: Release<'_>, values: &Path) -> Result<Installed> {
        self.roll_out("install", release, values, &["--dry-run=server"]).await
    }

    /// Gives the release other values.
    ///
    /// # Errors
    /// When Helm or the API server refuses.
    pub async fn upgrade(&self, release: Release<'_>, values: &Value) -> Result<Installed> {
        let file = chart::values_file(values)?;
        self.roll_out("upgrade", release, file.path(), &[]).await
    }

    /// Goes back to an earlier revision; the first is 1.
    ///
    /// # Errors
    /// When Helm or the API server refuses.
    pub async fn roll_back(&self, release: Release<'_>, revision: u32) -> Result<()> {
        let revision = revision.to_string();
        self.run(&["rollback", release.name, &revision, "--namespace", release.namespace]).await?;
        Ok(())
    }

    /// Takes the release away.
    ///
    /// # Errors
    /// When Helm or the API server refuses.
    pub async fn uninstall(&self, release: Release<'_>) -> Result<()> {
        self.run(&["uninstall", release.name, "--namespace", release.namespace]).await?;
        Ok(())
    }

    /// The notes of the release.
    ///
    /// # Errors
    /// When there is no such release.
    pub async fn notes(&self, release: Release<'_>) -> Result<String> {
        self.run(&["get", "notes", release.name, "--namespace", release.namespace]).await
    }

    async fn roll_out(
        &self,
        command: &str,
        release: Release<'_>,
        values: &Path,
        more: &[&str],
    ) -> Result<Installed> {
        let values = values.to_str().context("the path is not UTF-8")?;
        let mut arguments = vec![command, release.name, CHART, "--namespace", release.namespace];
        arguments.extend(["--values", values, "--output", "json"]);
        arguments.extend(more);
        let release: Value = serde_json::from_str(&self.run(&arguments).await?)?;
        let manifest = release["manifest"].as_str().context("helm returns no manifest")?;
        let notes = release["info"]["notes"].as_str().context("helm returns no notes")?;
        Ok(Installed { objects: chart::documents(manifest)?, notes: notes.to_owned() })
    }

    /// Runs Helm with these arguments, and returns what it prints.
    ///
    /// # Errors
    /// When it fails: its words are in the error.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--kubeconfig").arg(&self.kubeconfig);
        // Its folders for caches, configuration and data are all under the home folder.
        command.env_clear().env("HOME", self.home.path());
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await?.context("starting helm")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "helm {} failed: {errors}", arguments[0]);
        String::from_utf8(output.stdout).context("helm's output is not UTF-8")
    }
}
