//! The external programs that tests run: found where the machine has them, else built or installed
//! once.

mod build;
mod cache;
mod debian;
mod go_files;
mod progress;
mod python;
mod recipes;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use self::recipes::{RECIPES, Recipe, Source};

/// An external program, or files of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The store of the control plane.
    Etcd,
    /// The API server.
    KubeApiServer,
    /// The controllers: namespaces, service accounts, quotas, garbage collection.
    KubeControllerManager,
    /// Renders the chart.
    Helm,
    /// A client of registries, on the library that most Go programs use.
    Crane,
    /// Says what kubelet would send to a registry: a program of ours around kubelet's own code.
    Keyring,
    /// Gives Pods their node.
    KubeScheduler,
    /// Runs Pods.
    Kubelet,
    /// Kubelet's container runtime.
    Containerd,
    /// What containerd starts for each Pod.
    ContainerdShim,
    /// Waits for SIGTERM: a program of ours, for images of Pods.
    Pause,
    /// Starts containers.
    Runc,
    /// Passes connections on.
    Socat,
    /// A registry of images.
    DockerRegistry,
    /// Another client of registries.
    Skopeo,
    /// Sets the wall clock of a process.
    Faketime,
    /// Builds images.
    Buildah,
    /// A client of the API server.
    Kubectl,
    /// Formats JSON.
    Jq,
    /// A C compiler for static programs.
    MuslGcc,
    /// A C compiler for the architecture that this machine does not have.
    CrossGcc,
    /// Runs programs for that architecture.
    Qemu,
    /// A shell.
    Fish,
    /// Another shell.
    Zsh,
    /// A browser.
    Chromium,
    /// An independent fake of AWS.
    Moto,
    /// Scrapes metrics and evaluates alerts.
    Prometheus,
    /// Tests alerts.
    Promtool,
    /// The kinds of the Prometheus operator: a folder of their definitions, and no program.
    PrometheusOperatorKinds,
    /// The kinds of External Secrets, likewise.
    ExternalSecretsKinds,
    /// A client of AWS.
    AwsCli,
}

impl Tool {
    /// All of them: what the tests need, in the order in which it is built.
    pub const ALL: [Self; RECIPES.len()] = {
        let mut all = [Self::Etcd; RECIPES.len()];
        let mut index = 0;
        while index < all.len() {
            all[index] = RECIPES[index].tool;
            index += 1;
        }
        all
    };

    /// What the demo needs, in the order in which it is built.
    pub const NEEDED_BY_DEMO: [Self; 4] =
        [Self::Etcd, Self::KubeApiServer, Self::KubeControllerManager, Self::Helm];

    /// What a node of a cluster needs, and the registry that it pulls from.
    pub const NEEDED_BY_NODE: [Self; 9] = [
        Self::KubeScheduler,
        Self::Kubelet,
        Self::Containerd,
        Self::ContainerdShim,
        Self::Pause,
        Self::Runc,
        Self::Socat,
        Self::DockerRegistry,
        Self::Skopeo,
    ];

    /// What the daemon's image is built with.
    pub const NEEDED_BY_IMAGE: [Self; 3] = [Self::Buildah, Self::MuslGcc, Self::CrossGcc];

    /// The tool of that program name.
    ///
    /// # Errors
    /// When there is none; names those there are.
    pub fn named(name: &str) -> Result<Self> {
        let recipe = RECIPES.iter().find(|recipe| recipe.name == name);
        let recipe = recipe.with_context(|| {
            let names = RECIPES.map(|recipe| recipe.name).join(", ");
            format!("there is no tool {name:?}: the tools are {names}")
        })?;
        Ok(recipe.tool)
    }

    /// The program's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.recipe().name
    }

    /// The program's path. One that is built from source is built first where it is neither in the
    /// folder that `KUBEBUILDER_ASSETS` names nor in the cache; a Debian package is installed first
    /// where the machine has no such program and this is root; a Python package goes into the cache;
    /// files of a Go module are downloaded into Go's own. Blocks, possibly for minutes.
    ///
    /// # Errors
    /// When it is not available; names the package to install, if there is one.
    pub fn path(self) -> Result<PathBuf> {
        let recipe = self.recipe();
        if let Some(path) = recipe.found() {
            return Ok(path);
        }
        match &recipe.source {
            Source::Go(program) => build::cached_or_built(recipe.name, program),
            Source::GoFiles(files) => go_files::cached_or_downloaded(recipe.name, files),
            Source::Debian { package } => debian::installed(recipe.name, package),
            Source::Python(program) => python::cached_or_installed(recipe.name, program),
        }
    }

    /// Whether [`Tool::path`] can be expected to work here, without building anything.
    ///
    /// # Errors
    /// When the program is missing and not available; names the package to install.
    pub fn obtainable(self) -> Result<()> {
        if self.is_there()? {
            return Ok(());
        }
        let recipe = self.recipe();
        match &recipe.source {
            Source::Go(program) => build::check_go(recipe.name, program.module, program.in_assets),
            Source::GoFiles(files) => build::check_go(recipe.name, files.module, false),
            Source::Debian { package } => debian::check(recipe.name, package),
            Source::Python(_) => python::check(recipe.name),
        }
    }

    /// About how long [`Tool::path`] will take on two cores; nothing if the program is there.
    ///
    /// # Errors
    /// When there is no place for a cache.
    pub fn build_time(self) -> Result<Option<Duration>> {
        let time = match &self.recipe().source {
            Source::Go(program) => program.first_build,
            Source::GoFiles(_) => go_files::DOWNLOAD_TIME,
            Source::Debian { .. } => debian::INSTALL_TIME,
            Source::Python(program) => program.first_install,
        };
        Ok((!self.is_there()?).then_some(time))
    }

    fn is_there(self) -> Result<bool> {
        let recipe = self.recipe();
        Ok(recipe.found().is_some()
            || match &recipe.source {
                Source::Go(program) => build::is_cached(recipe.name, program)?,
                Source::GoFiles(files) => go_files::is_cached(files),
                Source::Debian { .. } => false,
                Source::Python(program) => python::is_cached(program)?,
            })
    }

    fn recipe(self) -> &'static Recipe {
        // Each tool has its recipe at its own place in the list: a test says so.
        &RECIPES[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_has_its_own_recipe() {
        for recipe in &RECIPES {
            assert_eq!(recipe.tool.name(), recipe.name);
            assert_eq!(Tool::named(recipe.name).unwrap(), recipe.tool);
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let error = Tool::named("kubectx").unwrap_err().to_string();
        assert!(error.contains("kube-apiserver"), "{error}");
    }
}
