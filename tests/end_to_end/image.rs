//! What is in the daemon's image.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{architecture::Architecture, daemon_image::DaemonImage, tools::Tool};
use serde_json::{Value, json};

use crate::scenario::Scenario;

const PROGRAM: &str = "ecr-refresher";
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::apart(
            "the image of each architecture holds one static binary and certificates, for a user that is not root",
            contents,
        )
        .needing(&Tool::NEEDED_BY_IMAGE),
    ]
}

async fn contents() -> Result<()> {
    for (architecture, machine) in [(Architecture::Amd64, 0x3e), (Architecture::Arm64, 0xb7)] {
        let image = tokio::task::spawn_blocking(move || DaemonImage::build(architecture)).await??;
        check(&image.layout(), architecture, machine)?;
    }
    Ok(())
}

/// Checks an image; `machine` is the number of its architecture in ELF files.
fn check(layout: &Path, architecture: Architecture, machine: u8) -> Result<()> {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    let manifest = read(layout, &index["manifests"][0])?;
    let manifest: Value = serde_json::from_slice(&manifest)?;
    let config: Value = serde_json::from_slice(&read(layout, &manifest["config"])?)?;
    ensure!(config["architecture"] == architecture.image_name(), "{config}");
    ensure!(config["config"]["User"] == "65532:65532", "{}", config["config"]);
    ensure!(config["config"]["Entrypoint"] == json!(["/ecr-refresher"]), "{}", config["config"]);
    let version = &config["config"]["Labels"]["org.opencontainers.image.version"];
    ensure!(version == env!("CARGO_PKG_VERSION"), "its version is {version}");

    let root = tempfile::tempdir()?;
    for layer in manifest["layers"].as_array().context("it has no layers")? {
        let mut tar = Command::new("tar");
        tar.arg("-xf").arg(blob(layout, layer)?).arg("-C").arg(root.path());
        ensure!(tar.status()?.success(), "tar cannot read a layer");
    }
    let files = files_under(root.path(), root.path())?;
    ensure!(files.keys().eq([PROGRAM, AUTHORITIES]), "it has {:?}", files.keys());
    ensure!(files[PROGRAM].get(0x12) == Some(&machine), "it is for another architecture");
    ensure!(needs_no_libraries(&files[PROGRAM])?, "the binary is not static");
    ensure!(files[AUTHORITIES].starts_with(b"-----BEGIN CERTIFICATE-----"));
    Ok(())
}

fn read(layout: &Path, descriptor: &Value) -> Result<Vec<u8>> {
    Ok(fs::read(blob(layout, descriptor)?)?)
}

/// The file of a blob, by its descriptor.
fn blob(layout: &Path, descriptor: &Value) -> Result<PathBuf> {
    let digest = descriptor["digest"].as_str().context("a descriptor without a digest")?;
    let (algorithm, digest) = digest.split_once(':').context("a digest without an algorithm")?;
    Ok(layout.join("blobs").join(algorithm).join(digest))
}

/// All files, by their paths from `root`; everybody may read them, and run the program.
fn files_under(folder: &Path, root: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_dir() {
            files.extend(files_under(&path, root)?);
            continue;
        }
        let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
        let wanted = if name == PROGRAM { 0o555 } else { 0o444 };
        ensure!(metadata.is_file(), "{name} is not a file");
        ensure!(metadata.permissions().mode() & wanted == wanted, "{name} cannot be used by all");
        files.insert(name, fs::read(path)?);
    }
    Ok(files)
}

/// Whether a 64-bit ELF file asks for no dynamic loader: no program header of type `PT_INTERP`.
fn needs_no_libraries(program: &[u8]) -> Result<bool> {
    const INTERPRETER: u32 = 3;
    ensure!(program.starts_with(b"\x7fELF\x02\x01"), "it is not a 64-bit, little-endian ELF file");
    let number = |at: usize, size: usize| -> Result<u64> {
        let bytes = program.get(at..at + size).context("the file is cut off")?;
        Ok(bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    };
    let (start, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
    for header in 0..count {
        let at = usize::try_from(start + header * size)?;
        if number(at, 4)? == u64::from(INTERPRETER) {
            return Ok(false);
        }
    }
    Ok(true)
}
