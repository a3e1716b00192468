//! The external programs that tests run: found where the machine has them, else built once.

mod build;
mod progress;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

/// The environment variable that names a folder with Kubernetes programs, as elsewhere in the
/// Kubernetes world.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// An external program.
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
    /// Says what kubelet would send to a registry: a program of ours around kubelet's own code.
    Keyring,
}

/// A Go module with `tool` directives, in a folder of its own under `tests/tools`.
struct Module {
    folder: &'static str,
    /// The dependency whose version is the version of the module's programs.
    main: &'static str,
    /// Whether that version is to be linked in, as Kubernetes' own releases do.
    stamped: bool,
}

const KUBERNETES: Module =
    Module { folder: "kubernetes", main: "k8s.io/kubernetes", stamped: true };

const HELM: Module = Module { folder: "helm", main: "helm.sh/helm/v4", stamped: false };

/// How to get one program.
struct Recipe {
    tool: Tool,
    name: &'static str,
    module: &'static Module,
    /// A package of a dependency, or one of the module's own, which begins with `./`.
    package: &'static str,
    /// About how long the first build takes on two cores.
    first_build: Duration,
    /// Whether the folder of `KUBEBUILDER_ASSETS` may have it.
    in_assets: bool,
}

const RECIPES: [Recipe; 5] = [
    Recipe {
        tool: Tool::Etcd,
        name: "etcd",
        module: &KUBERNETES,
        package: "go.etcd.io/etcd/server/v3",
        first_build: Duration::from_mins(1),
        in_assets: true,
    },
    Recipe {
        tool: Tool::KubeApiServer,
        name: "kube-apiserver",
        module: &KUBERNETES,
        package: "k8s.io/kubernetes/cmd/kube-apiserver",
        first_build: Duration::from_mins(5),
        in_assets: true,
    },
    Recipe {
        tool: Tool::KubeControllerManager,
        name: "kube-controller-manager",
        module: &KUBERNETES,
        package: "k8s.io/kubernetes/cmd/kube-controller-manager",
        first_build: Duration::from_mins(2),
        in_assets: true,
    },
    Recipe {
        tool: Tool::Helm,
        name: "helm",
        module: &HELM,
        package: "helm.sh/helm/v4/cmd/helm",
        first_build: Duration::from_secs(30),
        in_assets: false,
    },
    Recipe {
        tool: Tool::Keyring,
        name: "keyring",
        module: &KUBERNETES,
        package: "./keyring",
        // Once the API server has been built, little is left to compile.
        first_build: Duration::from_secs(15),
        in_assets: false,
    },
];

impl Tool {
    /// What the demo needs, in the order in which it is built.
    pub const NEEDED_BY_DEMO: [Self; 4] =
        [Self::Etcd, Self::KubeApiServer, Self::KubeControllerManager, Self::Helm];

    /// What the tests need, in the order in which it is built.
    pub const NEEDED_BY_TESTS: [Self; 5] =
        [Self::Etcd, Self::KubeApiServer, Self::KubeControllerManager, Self::Helm, Self::Keyring];

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

    /// The program's path; builds it first where it is neither in the folder that
    /// `KUBEBUILDER_ASSETS` names nor in the cache. Blocks, possibly for minutes.
    ///
    /// # Errors
    /// When it cannot be built; says what to install if that is why.
    pub fn path(self) -> Result<PathBuf> {
        let recipe = self.recipe();
        match recipe.in_assets_folder() {
            Some(path) => Ok(path),
            None => build::cached_or_built(recipe),
        }
    }

    /// Whether [`Tool::path`] can be expected to work here, without building anything.
    ///
    /// # Errors
    /// When the program is not there and cannot be built; says what to install.
    pub fn obtainable(self) -> Result<()> {
        let recipe = self.recipe();
        if recipe.in_assets_folder().is_some() || build::is_cached(recipe)? {
            return Ok(());
        }
        build::check_go(recipe)
    }

    /// About how long [`Tool::path`] will build it on two cores; nothing if it is there.
    ///
    /// # Errors
    /// When there is no place for a cache.
    pub fn build_time(self) -> Result<Option<Duration>> {
        let recipe = self.recipe();
        let is_there = recipe.in_assets_folder().is_some() || build::is_cached(recipe)?;
        Ok((!is_there).then_some(recipe.first_build))
    }

    fn recipe(self) -> &'static Recipe {
        // Each tool has its recipe at its own place in the list: a test says so.
        &RECIPES[self as usize]
    }
}

impl Recipe {
    fn in_assets_folder(&self) -> Option<PathBuf> {
        let folder = std::env::var_os(ASSETS).filter(|_| self.in_assets)?;
        let path = Path::new(&folder).join(self.name);
        path.is_file().then_some(path)
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
        let error = Tool::named("kubectl").unwrap_err().to_string();
        assert!(error.contains("kube-apiserver"), "{error}");
    }
}
