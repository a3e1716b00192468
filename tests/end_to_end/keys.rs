//! Keys as people really store them: odd ones, and ones that change.

use std::{fs, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace, eventually_secret},
    control_plane::ControlPlane,
    fake_aws::FakeAws,
    wait::eventually,
};
use serde_json::json;

use crate::{
    identities::{PATIENCE, REGION, failures, host, in_log, install},
    scenario::Scenario,
};

const ACCOUNT: &str = "111111111111";
const USER: &str = "arn:aws:iam::111111111111:user/puller";
const LIFE: Duration = Duration::from_secs(8);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "a key with a line break fails its own registry, and the others go on",
            a_line_break,
        ),
        Scenario::new(
            "new keys in the shared credentials file are used without a restart",
            a_shared_file_that_changes,
        ),
    ]
}

async fn a_line_break(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.add_identity("AKIAGOOD", ACCOUNT, USER);
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("AWS_ACCESS_KEY_ID"), "AKIAGOOD\n")?;
    fs::write(folder.path().join("AWS_SECRET_ACCESS_KEY"), "example\n")?;
    let registries = json!([
        { "name": "main", "ecr": { "region": REGION } },
        { "name": "good", "ecr": { "region": REGION, "credentialsDirectory": folder.path() } },
    ]);
    let client = control_plane.admin_client();
    create_namespace(&client, "linebreak-a", &[]).await?;
    let installation = install(&control_plane, "linebreak", registries).await?;
    let mut command = installation.command(&aws)?;
    command.env("AWS_ACCESS_KEY_ID", "AKIA").env("AWS_SECRET_ACCESS_KEY", "hunter2\nhunter3");
    let daemon = installation.start_command(&command).await?;
    in_log(&daemon, &["no_credentials", "AWS_SECRET_ACCESS_KEY", "has a line break"]).await?;
    let has_host = |copy: &_| cluster::password(copy, &host(ACCOUNT)).map(drop);
    eventually_secret(&client, "linebreak-a", "linebreak-pull", PATIENCE, has_host).await?;
    ensure!(failures(&daemon, "no_credentials").await? >= 1.0);
    ensure!(!daemon.log()?.contains("hunter"), "the log has a part of the key");
    Ok(())
}

async fn a_shared_file_that_changes(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.set_token_life(LIFE);
    for id in ["AKIAOLD", "AKIANEW"] {
        aws.add_identity(id, ACCOUNT, USER);
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("credentials");
    let write = |id: &str| {
        let content =
            format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = example\n");
        fs::write(&file, content)
    };
    write("AKIAOLD")?;
    create_namespace(&control_plane.admin_client(), "sharedfile-a", &[]).await?;
    let registries = json!([{ "name": "main", "ecr": { "region": REGION } }]);
    let installation = install(&control_plane, "sharedfile", registries).await?;
    let mut command = installation.command(&aws)?;
    command
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("AWS_SHARED_CREDENTIALS_FILE", &file);
    let daemon = installation.start_command(&command).await?;
    daemon.ready().await?;
    write("AKIANEW")?;
    eventually("a call with the new keys", PATIENCE, async || {
        ensure!(aws.calls().iter().any(|call| call.access_key_id == "AKIANEW"), "none yet");
        Ok(())
    })
    .await
}
