//! The binary for the architecture that this machine does not have, in an emulator.

use std::{process::Command, sync::Arc};

use anyhow::{Result, ensure};
use ecr_refresher_tests::{
    architecture::Architecture,
    cluster::{self, create_namespace},
    control_plane::ControlPlane,
    daemon::{Installation, static_program},
    fake_aws::FakeAws,
    tools::Tool,
};
use serde_json::json;

use crate::{rollout::HOST, scenario::Scenario};

const NAME: &str = "emulated";

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("the binary for the other architecture does a pass", a_pass)
            .needing(&[Tool::CrossGcc, Tool::Qemu]),
    ]
}

async fn a_pass(control_plane: Arc<ControlPlane>) -> Result<()> {
    let admin = control_plane.admin_client();
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": "emulated-pull", "namespaces": ["emulated-?"] }],
    });
    for namespace in ["emulated-a", "emulated-b"] {
        create_namespace(&admin, namespace, &[]).await?;
    }
    let installation = Installation::new(&control_plane, NAME, config).await?;
    let aws = FakeAws::start().await?;
    let native = installation.command(&aws)?;
    let passed = tokio::task::spawn_blocking(move || -> Result<_> {
        let mut emulated = Command::new(Tool::Qemu.path()?);
        emulated.arg(static_program(Architecture::OTHER)?).args(native.get_args()).arg("--once");
        for (key, value) in native.get_envs() {
            match value {
                Some(value) => emulated.env(key, value),
                None => emulated.env_remove(key),
            };
        }
        Ok(emulated.output()?)
    });
    let passed = passed.await??;
    let (said, log) =
        (String::from_utf8_lossy(&passed.stdout), String::from_utf8_lossy(&passed.stderr));
    ensure!(passed.status.success() && said.starts_with("2 copies: 2 written"), "{said}{log}");
    let copies = cluster::secrets(&admin, "emulated-pull").await?;
    let password = aws.latest_password();
    ensure!(copies.len() == 2 && password.is_some(), "there are {} copies", copies.len());
    for copy in &copies {
        ensure!(Some(cluster::password(copy, HOST)?) == password, "another password");
    }
    Ok(())
}
