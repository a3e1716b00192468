//! The daemon's image, built from its Dockerfile as `make image` does it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::architecture::Architecture;
use crate::authorities;
use crate::program;
use crate::tools::Tool;

const DOCKERFILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../Dockerfile");

/// An image as an OCI layout, in a folder that goes with it.
pub struct DaemonImage {
    folder: TempDir,
}

impl DaemonImage {
    /// Builds it for an architecture, around a static binary in the profile of these tests. Blocks, the first
    /// time for minutes.
    ///
    /// # Errors
    /// When the binary or the image cannot be built.
    pub fn build(architecture: Architecture) -> Result<Self> {
        let folder = TempDir::new()?;
        let context = folder.path().join("context");
        write_context(&context, architecture)?;
        let image = Self { folder };
        let version = concat!("VERSION=", env!("CARGO_PKG_VERSION"));
        // It is TARGETARCH too.
        let platform = format!("linux/{}", architecture.image_name());
        let mut build = image.buildah()?;
        build.args(["build", "--quiet", "--tag", "ecr-refresher"]);
        build.args(["--platform", &platform, "--build-arg", version]).arg(&context);
        run(&mut build)?;
        let layout = format!("oci:{}", image.layout().display());
        run(image.buildah()?.args(["push", "ecr-refresher", &layout]))?;
        Ok(image)
    }

    /// The folder of the OCI layout.
    #[must_use]
    pub fn layout(&self) -> PathBuf {
        self.folder.path().join("layout")
    }

    /// buildah, with storage of its own.
    fn buildah(&self) -> Result<Command> {
        let mut command = Command::new(Tool::Buildah.path()?);
        command
            .arg("--root")
            .arg(self.folder.path().join("storage"))
            .arg("--runroot")
            .arg(self.folder.path().join("run"))
            .args(["--storage-driver", "vfs"])
            .env("HOME", self.folder.path());
        Ok(command)
    }
}

/// What the Dockerfile copies, and the Dockerfile itself.
fn write_context(context: &Path, architecture: Architecture) -> Result<()> {
    let of_architecture = context.join("dist").join(architecture.image_name());
    fs::create_dir_all(&of_architecture)?;
    fs::copy(DOCKERFILE, context.join("Dockerfile")).context("copying the Dockerfile")?;
    fs::write(context.join("dist/ca-certificates.crt"), authorities::pem())?;
    let program = program::static_program(architecture)?;
    // With what is for debuggers it is six times as large.
    let is_own = architecture == Architecture::OWN;
    let of_other = || format!("{}-linux-gnu-strip", architecture.name());
    let mut strip = Command::new(if is_own { "strip".to_owned() } else { of_other() });
    run(strip.arg("-o").arg(of_architecture.join("ecr-refresher")).arg(program))
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("starting {name}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {}", errors.trim());
    Ok(())
}
