//! Images of one static program each, as OCI layouts.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::architecture::Architecture;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Writes an OCI layout into `folder`: an image that runs `program` and has nothing else in it.
///
/// # Errors
/// When the program cannot be read or the layout not be written.
pub fn write_layout(folder: &Path, program: &Path) -> Result<()> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let bytes = fs::read(program).with_context(|| format!("reading {}", program.display()))?;
    let layer = archive("program", &bytes)?;
    let layer_digest = digest(&layer);
    let config = json!({
        "architecture": Architecture::OWN.image_name(),
        "os": "linux",
        "config": { "Entrypoint": ["/program"], "User": "65532:65532" },
        "rootfs": { "type": "layers", "diff_ids": [layer_digest] },
    });
    let layer = blob(&blobs, LAYER, &layer)?;
    let config = blob(&blobs, CONFIG, config.to_string().as_bytes())?;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer],
    });
    let manifest = blob(&blobs, MANIFEST, manifest.to_string().as_bytes())?;
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest] });
    fs::write(folder.join("index.json"), index.to_string())?;
    fs::write(folder.join("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }).to_string())?;
    Ok(())
}

/// Writes a blob and returns its descriptor.
fn blob(blobs: &Path, media_type: &str, content: &[u8]) -> Result<Value> {
    let digest = digest(content);
    let name = digest.trim_start_matches("sha256:");
    fs::write(blobs.join(name), content)?;
    Ok(json!({ "mediaType": media_type, "digest": digest, "size": content.len() }))
}

fn digest(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// A tar archive of one program that everyone may run.
fn archive(name: &str, content: &[u8]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len().try_into()?);
    header.set_mode(0o755);
    archive.append_data(&mut header, name, content)?;
    Ok(archive.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_names_its_blobs_by_their_digests() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("source");
        fs::write(&program, "#!program").unwrap();
        write_layout(folder.path(), &program).unwrap();
        let read = |descriptor: &Value| {
            let digest_of_it = descriptor["digest"].as_str().unwrap().to_owned();
            let name = digest_of_it.trim_start_matches("sha256:");
            let content = fs::read(folder.path().join("blobs/sha256").join(name)).unwrap();
            assert_eq!(digest(&content), digest_of_it);
            content
        };
        let index: Value =
            serde_json::from_slice(&fs::read(folder.path().join("index.json")).unwrap()).unwrap();
        let manifest: Value = serde_json::from_slice(&read(&index["manifests"][0])).unwrap();
        let config: Value = serde_json::from_slice(&read(&manifest["config"])).unwrap();
        let layer = read(&manifest["layers"][0]);
        assert_eq!(config["rootfs"]["diff_ids"][0], digest(&layer));
        let mut archive = tar::Archive::new(&*layer);
        let paths: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().into_owned())
            .collect();
        assert_eq!(paths, [Path::new("program")]);
    }
}
