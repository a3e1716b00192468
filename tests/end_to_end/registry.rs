//! A real client pulls from a real registry with what a copy holds.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use ecr_refresher_tests::{
    cluster::{self, secret},
    control_plane::ControlPlane,
    fake_aws::{FakeAws, Verdict},
    image_registry::{ImageRegistry, Skopeo},
    tools::Tool,
    wait::eventually,
};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use serde_json::json;

use crate::{
    identities::{REGION, start},
    rollout::HOST,
    scenario::Scenario,
};

const ROTATIONS: usize = 10;
const LIFE: Duration = Duration::from_secs(10);
const IMAGE: &str = "team/app:1";

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "skopeo reads and copies an image with a copy's token over 10 rotations, and not with the one before the last",
            ten_rotations,
        )
        .needing(&[Tool::DockerRegistry, Tool::Skopeo, Tool::Pause]),
    ]
}

/// What a copy held when it was looked at.
struct Held {
    document: Vec<u8>,
    password: String,
}

async fn ten_rotations(control_plane: Arc<ControlPlane>) -> Result<()> {
    let registry = ImageRegistry::start().await?;
    registry.push_pause(IMAGE).await?;
    let aws = FakeAws::start().await?;
    aws.front(registry.address());
    aws.set_token_life(LIFE);
    let registries = json!([{ "name": "main", "ecr": { "region": REGION } }]);
    let (_installation, _daemon) = start(&control_plane, &aws, "skopeo", registries).await?;

    let client = control_plane.admin_client();
    let (mut held, mut pulled) = (Vec::<Held>::new(), 0);
    while held.len() <= ROTATIONS {
        let copy = secret(&client, "skopeo-a", "skopeo-pull").await?.context("the copy is gone")?;
        let now = held_by(&copy)?;
        pulled += usize::from(pulls(&aws, &now).await?);
        if held.last().is_none_or(|last| last.password != now.password) {
            held.push(now);
            if let [.., before_last, _, _] = &*held {
                is_refused(&aws, before_last).await?;
            }
        }
    }
    ensure!(pulled > ROTATIONS, "only {pulled} pulls ended before their token did");
    let requests = aws.registry_requests();
    let foreign = requests.iter().find(|request| request.host != HOST);
    ensure!(foreign.is_none(), "{foreign:?}");
    let stray = requests
        .iter()
        .find(|request| matches!(request.verdict, Some(Verdict::Unknown | Verdict::WrongAccount)));
    ensure!(stray.is_none(), "{stray:?}");
    Ok(())
}

/// Reads and copies the image. Whether that ended while the token lived: a slow machine may fail
/// later, which is not a fault.
async fn pulls(aws: &FakeAws, held: &Held) -> Result<bool> {
    let image = format!("{HOST}/{IMAGE}");
    let pull = async {
        let skopeo = Skopeo::new().await?.with_credentials(&held.document, &aws.endpoint())?;
        let manifest = skopeo.inspect(&image).await?;
        ensure!(manifest.contains("layers"), "the manifest is {manifest}");
        let folder = tempfile::tempdir()?;
        let skopeo = Skopeo::new().await?.with_credentials(&held.document, &aws.endpoint())?;
        skopeo.copy(&image, folder.path()).await?;
        let blobs = std::fs::read_dir(folder.path())?.count();
        ensure!(blobs >= 4, "only {blobs} files were copied");
        Ok(())
    };
    let pulled = pull.await;
    let lives = aws.accepts(&held.password);
    if lives {
        pulled.context("with the copy's own token")?;
    }
    Ok(lives)
}

/// Waits until the token is over, and then fails to pull with it.
async fn is_refused(aws: &FakeAws, held: &Held) -> Result<()> {
    eventually("the token before the last to be over", LIFE, async || {
        ensure!(!aws.accepts(&held.password), "it is still good");
        Ok(())
    })
    .await?;
    let skopeo = Skopeo::new().await?.with_credentials(&held.document, &aws.endpoint())?;
    match skopeo.inspect(&format!("{HOST}/{IMAGE}")).await {
        Ok(_) => bail!("a token that is over was good enough"),
        Err(error) => {
            let text = error.to_string();
            ensure!(text.contains("Your authorization token has expired"), "{text}");
            Ok(())
        }
    }
}

fn held_by(copy: &Secret) -> Result<Held> {
    let data = copy.data.as_ref().and_then(|data| data.get(".dockerconfigjson"));
    let ByteString(document) = data.context("the copy is empty")?;
    Ok(Held { document: document.clone(), password: cluster::password(copy, HOST)? })
}
