//! What clients of registries find with a docker file, they find with the copy.

use std::{fs, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use ecr_refresher_tests::{
    cluster::{create_namespace, eventually_secret},
    control_plane::ControlPlane,
    daemon::Installation,
    fake_aws::FakeAws,
    image_clients::{IMAGE, ImageClient, push_chart},
    image_registry::ImageRegistry,
    tools::Tool,
};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::{process::FILE_PASSWORD, scenario::Scenario};

const TIMEOUT: Duration = Duration::from_mins(1);
/// The password of `me`, hashed by bcrypt.
const HTPASSWD: &str = "me:$2a$04$0E0m77CGv7ngpW7vp/g1ouvxedmbWRQfkZaVBS6PRfJc8oqQagp3a";

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("crane, helm and skopeo pull with a copy as with the docker file", pull)
            .needing(&[Tool::DockerRegistry, Tool::Skopeo, Tool::Crane, Tool::Helm, Tool::Pause]),
    ]
}

/// Docker config files, for a registry at this address.
fn files(host: &str) -> Vec<Value> {
    let entry = |password: &str| json!({ "auth": STANDARD.encode(format!("me:{password}")) });
    let (right, wrong) = (entry(&format!("{FILE_PASSWORD}-clients")), entry("wrong"));
    let path = |path: &str| format!("{host}/{path}");
    vec![
        json!({ host: right }),
        json!({ host: wrong }),
        json!({ format!("https://{host}/v1/"): right }),
        json!({ format!("http://{host}"): right }),
        json!({ path("team"): right }),
        json!({ path("team/app"): right, host: wrong }),
        json!({ path("other"): right, host: wrong }),
        json!({ host: right, path("other"): wrong, "quay.io": {} }),
        json!({ host: { "username": "me", "password": format!("{FILE_PASSWORD}-clients") } }),
        json!({ "example.com": right }),
    ]
}

async fn pull(control_plane: Arc<ControlPlane>) -> Result<()> {
    let open = ImageRegistry::start().await?;
    open.push_pause(IMAGE).await?;
    push_chart(open.address()).await?;
    let registry = open.with_passwords(HTPASSWD).await?;
    let address = registry.address();

    let client = control_plane.admin_client();
    create_namespace(&client, "pulled-a", &[]).await?;
    let folder = tempfile::tempdir()?;
    let (mut registries, mut secrets, mut documents) = (Vec::new(), Vec::new(), Vec::new());
    for (number, auths) in files(&address.to_string()).into_iter().enumerate() {
        let path = folder.path().join(format!("{number}.json"));
        let document = json!({ "auths": auths }).to_string();
        fs::write(&path, &document)?;
        let (registry, name) = (format!("file-{number}"), format!("pulled-{number}"));
        registries.push(json!({ "name": registry, "file": { "path": path } }));
        secrets.push(json!({ "name": name, "registries": [registry], "namespaces": ["pulled-a"] }));
        documents.push((name, document));
    }
    let config = json!({ "registries": &registries, "secrets": secrets });
    let installation = Installation::new(&control_plane, "pulled", config).await?;
    let aws = FakeAws::start().await?;
    let _daemon = installation.start_ready(&aws).await?;

    let mut pulled = [0; ImageClient::ALL.len()];
    for (name, document) in documents {
        let copy = eventually_secret(&client, "pulled-a", &name, TIMEOUT, |_| Ok(())).await?;
        let data = copy.data.unwrap_or_default();
        let copied = data.get(".dockerconfigjson").map_or(&[][..], |ByteString(bytes)| bytes);
        for (index, image_client) in ImageClient::ALL.into_iter().enumerate() {
            let with_copy = image_client.pulls(address, copied).await?;
            let with_file = image_client.pulls(address, document.as_bytes()).await?;
            ensure!(
                with_copy == with_file,
                "{image_client:?}, {name}: {with_copy} with the copy, {with_file} with the file"
            );
            pulled[index] += usize::from(with_copy);
        }
    }
    // Each client pulls with the first file, and none with the second.
    ensure!(pulled.iter().all(|&count| count > 0 && count < registries.len()), "{pulled:?}");
    Ok(())
}
