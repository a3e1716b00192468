//! The page at `/`, in a real browser.

use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow, ensure};
use ecr_refresher_tests::{
    cluster::create_namespace,
    control_plane::ControlPlane,
    daemon::{Daemon, Installation},
    fake_aws::FakeAws,
    http_client,
    tools::Tool,
    wait::eventually,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::PostParams};
use serde_json::{Value, json};
use zune_png::{PngDecoder, zune_core::bytestream::ZCursor};

use crate::scenario::Scenario;

const PATIENCE: Duration = Duration::from_secs(30);
/// The sizes of a desktop's window and of a phone, in CSS pixels, and whether the colours are dark.
const SCREENS: [(&str, bool); 3] = [("1000,900", false), ("390,844", false), ("390,844", true)];
/// Keeps the pictures, for a look at them.
const PICTURES: &str = "ECR_REFRESHER_PICTURES";
/// An empty page is a few thousand bytes of PNG.
const LEAST_PICTURE: usize = 20_000;

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "a browser shows the page of the leader, which loads and runs nothing",
            shown,
        )
        .needing(&[Tool::Chromium]),
        Scenario::new("the page of a follower says who leads", follower),
    ]
}

async fn start(control_plane: &Arc<ControlPlane>, name: &str) -> Result<(Installation, FakeAws)> {
    let client = control_plane.admin_client();
    for letter in ["a", "b", "c"] {
        create_namespace(&client, &format!("{name}-{letter}"), &[]).await?;
    }
    let secret = format!("{name}-pull");
    let foreign = json!({ "metadata": { "name": secret }, "stringData": { "a": "b" } });
    let secrets: Api<Secret> = Api::namespaced(client, &format!("{name}-c"));
    secrets.create(&PostParams::default(), &serde_json::from_value(foreign)?).await?;
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": secret, "namespaces": [format!("{name}-?")] }],
    });
    Ok((Installation::new(control_plane, name, config).await?, FakeAws::start().await?))
}

async fn status(daemon: &Daemon) -> Result<Value> {
    let (code, body) = http_client::get(daemon.address(), "/status.json").await?;
    ensure!(code == 200, "{code}: {body}");
    Ok(serde_json::from_str(&body)?)
}

async fn shown(control_plane: Arc<ControlPlane>) -> Result<()> {
    let (installation, aws) = start(&control_plane, "page").await?;
    let daemon = installation.start_ready(&aws).await?;
    let document = eventually("the copies to be fresh", PATIENCE, async || {
        let document = status(&daemon).await?;
        ensure!(document["wanted"] == 3 && document["fresh"] == 2, "{document}");
        Ok(document)
    })
    .await?;
    ensure!(document["leads"] == true && document["config"]["accepted"] == true, "{document}");
    ensure!(!aws.latest_password().is_some_and(|it| document.to_string().contains(&it)));

    let folder = tempfile::tempdir()?;
    let url = format!("http://{}/", daemon.address());
    let browser = Tool::Chromium;
    let program = tokio::task::spawn_blocking(move || browser.path()).await??;
    for (number, (size, is_dark)) in SCREENS.into_iter().enumerate() {
        let picture = folder.path().join(format!("page-{number}.png"));
        let mut command = Command::new(&program);
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
            .args(["--enable-logging=stderr", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg(format!("--window-size={size}"))
            // Of its scheme of colours, 0 is the dark one.
            .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!is_dark)))
            .arg(format!("--screenshot={}", picture.display()))
            .arg(&url);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let words = String::from_utf8_lossy(&output.stderr);
        // The browser says what the policy of the page forbids.
        ensure!(!words.contains("Content Security Policy"), "{words}");
        let bytes = fs::read(&picture).with_context(|| format!("no picture: {words}"))?;
        ensure!(bytes.len() > LEAST_PICTURE, "the picture has {} bytes", bytes.len());
        let corner = corner(&bytes)?;
        let is_as_wanted = |light: &u8| if is_dark { *light < 64 } else { *light > 192 };
        ensure!(corner.iter().all(is_as_wanted), "the background is {corner:?}");
        keep(&picture)?;
    }
    let (_, page) = http_client::get(daemon.address(), "/").await?;
    ensure!(
        page.contains("2 of 3 copies are fresh") && page.contains("a foreign Secret"),
        "{page}"
    );
    Ok(())
}

/// The colour of the first pixel of a PNG.
fn corner(picture: &[u8]) -> Result<[u8; 3]> {
    let pixels = PngDecoder::new(ZCursor::new(picture)).decode_raw();
    let pixels = pixels.map_err(|error| anyhow!("{error:?}"))?;
    Ok(pixels.get(..3).context("it has no pixels")?.try_into()?)
}

/// Keeps a picture where the environment says so.
fn keep(picture: &Path) -> Result<()> {
    if let Some(folder) = std::env::var_os(PICTURES) {
        fs::create_dir_all(&folder)?;
        fs::copy(picture, Path::new(&folder).join(picture.file_name().context("no name")?))?;
    }
    Ok(())
}

async fn follower(control_plane: Arc<ControlPlane>) -> Result<()> {
    let (installation, aws) = start(&control_plane, "pages").await?;
    let leader = installation.start_ready(&aws).await?;
    let follower = installation.start_replica("pages-follower", &aws).await?;
    let name = status(&leader).await?["replica"].clone();
    eventually("the follower to know who leads", PATIENCE, async || {
        let document = status(&follower).await?;
        ensure!(document["leads"] == false && document["leader"] == name, "{document}");
        Ok(())
    })
    .await
}
