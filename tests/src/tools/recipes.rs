//! How to get each of the external programs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::go_files::GoFiles;
use super::python::PythonProgram;
use super::{Tool, debian};
use crate::architecture::Architecture;

/// The environment variable that names a folder with Kubernetes programs, as elsewhere in the
/// Kubernetes world.
pub(super) const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// A Go module that pins what is needed, in a folder of its own under `tests/tools`.
pub(super) struct Module {
    pub(super) folder: &'static str,
    /// The dependency that has the version of the module's programs.
    pub(super) main: &'static str,
    /// Whether to link in that version, as Kubernetes' own releases do.
    pub(super) stamped: bool,
}

pub(super) const KUBERNETES: Module =
    Module { folder: "kubernetes", main: "k8s.io/kubernetes", stamped: true };

pub(super) const HELM: Module = Module { folder: "helm", main: "helm.sh/helm/v4", stamped: false };

pub(super) const KUBECTL: Module =
    Module { folder: "kubectl", main: "k8s.io/kubernetes", stamped: true };

pub(super) const CRANE: Module =
    Module { folder: "crane", main: "github.com/google/go-containerregistry", stamped: false };

pub(super) const CONTAINERD: Module =
    Module { folder: "containerd", main: "github.com/containerd/containerd/v2", stamped: false };

pub(super) const PROMETHEUS_OPERATOR: Module = Module {
    folder: "prometheus-operator",
    main: "github.com/prometheus-operator/prometheus-operator",
    stamped: false,
};

pub(super) const EXTERNAL_SECRETS: Module = Module {
    folder: "external-secrets",
    main: "github.com/external-secrets/external-secrets",
    stamped: false,
};

impl Module {
    /// Where its go.mod and go.sum are.
    pub(super) fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tools").join(self.folder)
    }
}

/// How to get one program.
pub(super) struct Recipe {
    pub(super) tool: Tool,
    pub(super) name: &'static str,
    pub(super) source: Source,
}

/// Where a program comes from.
pub(super) enum Source {
    /// Built from a Go module, into the cache.
    Go(GoProgram),
    /// Files of a Go module, as they are.
    GoFiles(GoFiles),
    /// Installed by the system's package manager; of several packages, each by its name.
    Debian { package: &'static str },
    /// Installed into a virtual environment in the cache.
    Python(PythonProgram),
}

/// A program in a Go module.
pub(super) struct GoProgram {
    pub(super) module: &'static Module,
    /// A package of a dependency, or one of the module's own, which begins with `./`.
    pub(super) package: &'static str,
    /// About how long the first build takes on two cores.
    pub(super) first_build: Duration,
    /// Whether the folder of `KUBEBUILDER_ASSETS` may have it.
    pub(super) in_assets: bool,
}

pub(super) const RECIPES: [Recipe; 31] = [
    Recipe {
        tool: Tool::Etcd,
        name: "etcd",
        source: Source::Go(GoProgram {
            module: &KUBERNETES,
            package: "go.etcd.io/etcd/server/v3",
            first_build: Duration::from_mins(1),
            in_assets: true,
        }),
    },
    Recipe {
        tool: Tool::KubeApiServer,
        name: "kube-apiserver",
        source: Source::Go(GoProgram {
            module: &KUBERNETES,
            package: "k8s.io/kubernetes/cmd/kube-apiserver",
            first_build: Duration::from_mins(5),
            in_assets: true,
        }),
    },
    Recipe {
        tool: Tool::KubeControllerManager,
        name: "kube-controller-manager",
        source: Source::Go(GoProgram {
            module: &KUBERNETES,
            package: "k8s.io/kubernetes/cmd/kube-controller-manager",
            first_build: Duration::from_mins(2),
            in_assets: true,
        }),
    },
    Recipe {
        tool: Tool::Helm,
        name: "helm",
        source: Source::Go(GoProgram {
            module: &HELM,
            package: "helm.sh/helm/v4/cmd/helm",
            first_build: Duration::from_secs(30),
            in_assets: false,
        }),
    },
    Recipe {
        tool: Tool::Crane,
        name: "crane",
        source: Source::Go(GoProgram {
            module: &CRANE,
            package: "github.com/google/go-containerregistry/cmd/crane",
            first_build: Duration::from_secs(20),
            in_assets: false,
        }),
    },
    // Once the API server has been built, little is left to compile of the next three.
    Recipe {
        tool: Tool::Keyring,
        name: "keyring",
        source: Source::Go(GoProgram {
            module: &KUBERNETES,
            package: "./keyring",
            first_build: Duration::from_secs(15),
            in_assets: false,
        }),
    },
    Recipe {
        tool: Tool::KubeScheduler,
        name: "kube-scheduler",
        source: Source::Go(GoProgram {
            module: &KUBERNETES,
            package: "k8s.io/kubernetes/cmd/kube-scheduler",
            first_build: Duration::from_secs(30),
            in_assets: false,
        }),
    },
    Recipe {
        tool: Tool::Kubelet,
        name: "kubelet",
        source: Source::Go(GoProgram {
            module: &KUBERNETES,
            package: "k8s.io/kubernetes/cmd/kubelet",
            first_build: Duration::from_secs(30),
            in_assets: false,
        }),
    },
    Recipe {
        tool: Tool::Containerd,
        name: "containerd",
        source: Source::Go(GoProgram {
            module: &CONTAINERD,
            package: "github.com/containerd/containerd/v2/cmd/containerd",
            first_build: Duration::from_mins(1),
            in_assets: false,
        }),
    },
    Recipe {
        tool: Tool::ContainerdShim,
        name: "containerd-shim-runc-v2",
        source: Source::Go(GoProgram {
            module: &CONTAINERD,
            package: "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
            first_build: Duration::from_secs(10),
            in_assets: false,
        }),
    },
    Recipe {
        tool: Tool::Pause,
        name: "pause",
        source: Source::Go(GoProgram {
            module: &CONTAINERD,
            package: "./pause",
            first_build: Duration::from_secs(5),
            in_assets: false,
        }),
    },
    Recipe { tool: Tool::Runc, name: "runc", source: Source::Debian { package: "runc" } },
    Recipe { tool: Tool::Socat, name: "socat", source: Source::Debian { package: "socat" } },
    Recipe {
        tool: Tool::DockerRegistry,
        name: "docker-registry",
        source: Source::Debian { package: "docker-registry" },
    },
    Recipe { tool: Tool::Skopeo, name: "skopeo", source: Source::Debian { package: "skopeo" } },
    Recipe {
        tool: Tool::Faketime,
        name: "faketime",
        source: Source::Debian { package: "faketime" },
    },
    Recipe { tool: Tool::Buildah, name: "buildah", source: Source::Debian { package: "buildah" } },
    Recipe {
        tool: Tool::Kubectl,
        name: "kubectl",
        source: Source::Go(GoProgram {
            module: &KUBECTL,
            package: "k8s.io/kubernetes/cmd/kubectl",
            first_build: Duration::from_secs(90),
            in_assets: true,
        }),
    },
    Recipe { tool: Tool::Jq, name: "jq", source: Source::Debian { package: "jq" } },
    Recipe {
        tool: Tool::MuslGcc,
        name: "musl-gcc",
        source: Source::Debian { package: "musl-tools" },
    },
    Recipe {
        tool: Tool::CrossGcc,
        name: match Architecture::OTHER {
            Architecture::Amd64 => "x86_64-linux-gnu-gcc",
            Architecture::Arm64 => "aarch64-linux-gnu-gcc",
        },
        source: Source::Debian {
            package: match Architecture::OTHER {
                Architecture::Amd64 => "gcc-x86-64-linux-gnu libc6-dev-amd64-cross",
                Architecture::Arm64 => "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
            },
        },
    },
    Recipe {
        tool: Tool::Qemu,
        name: match Architecture::OTHER {
            Architecture::Amd64 => "qemu-x86_64-static",
            Architecture::Arm64 => "qemu-aarch64-static",
        },
        source: Source::Debian { package: "qemu-user-static" },
    },
    Recipe { tool: Tool::Fish, name: "fish", source: Source::Debian { package: "fish" } },
    Recipe { tool: Tool::Zsh, name: "zsh", source: Source::Debian { package: "zsh" } },
    Recipe {
        tool: Tool::Chromium,
        name: "chromium",
        source: Source::Debian { package: "chromium" },
    },
    Recipe {
        tool: Tool::Moto,
        name: "moto_server",
        source: Source::Python(PythonProgram {
            folder: "moto",
            first_install: Duration::from_secs(30),
        }),
    },
    Recipe {
        tool: Tool::Prometheus,
        name: "prometheus",
        source: Source::Debian { package: "prometheus" },
    },
    Recipe {
        tool: Tool::Promtool,
        name: "promtool",
        source: Source::Debian { package: "prometheus" },
    },
    Recipe {
        tool: Tool::PrometheusOperatorKinds,
        name: "prometheus-operator-kinds",
        source: Source::GoFiles(GoFiles {
            module: &PROMETHEUS_OPERATOR,
            folder: "example/prometheus-operator-crd",
        }),
    },
    Recipe {
        tool: Tool::ExternalSecretsKinds,
        name: "external-secrets-kinds",
        source: Source::GoFiles(GoFiles { module: &EXTERNAL_SECRETS, folder: "config/crds/bases" }),
    },
    Recipe {
        tool: Tool::AwsCli,
        name: "aws",
        source: Source::Python(PythonProgram {
            folder: "aws",
            first_install: Duration::from_secs(20),
        }),
    },
];

impl Recipe {
    /// The program where the machine has it already, other than in the cache.
    pub(super) fn found(&self) -> Option<PathBuf> {
        match &self.source {
            Source::Go(program) => {
                let folder = std::env::var_os(ASSETS).filter(|_| program.in_assets)?;
                let path = Path::new(&folder).join(self.name);
                path.is_file().then_some(path)
            }
            Source::Debian { .. } => debian::find(self.name),
            // Another version may be another thing.
            Source::GoFiles(_) | Source::Python(_) => None,
        }
    }
}
