//! One pass, as a `CronJob` does it.

use std::{
    ffi::OsStr,
    fs::File,
    io::Read,
    os::unix::ffi::OsStrExt,
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace},
    control_plane::{ControlPlane, Filter},
    daemon::Installation,
    fake_aws::{FakeAws, Fault, Operation},
    wait::eventually,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::PostParams};
use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use serde_json::{Value, json};

use crate::{rollout::HOST, scenario::Scenario};

const PATIENCE: Duration = Duration::from_secs(30);
const BAR: &str = "copies are up to date";
const LOG: &str = "ecr_refresher=debug";
/// The source of a log line.
const LOGGED: &str = "ecr_refresher";

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("one pass writes what is missing, and the next has nothing to do", passes),
        Scenario::new("on a terminal, one pass shows its progress", on_a_terminal),
        Scenario::new("one pass replaces a token past half its life", replaced),
        Scenario::new("one pass names each failed namespace and its reason", named),
        Scenario::new(
            "one pass that AWS fails ends with exit code 1 and what is held",
            in_an_outage,
        ),
        Scenario::new("one pass without any answers ends after its timeout", out_of_time),
        Scenario::new("one pass that is interrupted ends with exit code 130", interrupted),
    ]
}

async fn install(control_plane: &Arc<ControlPlane>, name: &str) -> Result<Installation> {
    install_with(control_plane, name, json!({})).await
}

async fn install_with(
    control_plane: &Arc<ControlPlane>,
    name: &str,
    refresh: Value,
) -> Result<Installation> {
    for letter in ["a", "b", "c"] {
        create_namespace(&control_plane.admin_client(), &format!("{name}-{letter}"), &[]).await?;
    }
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": format!("{name}-pull"), "namespaces": [format!("{name}-?")] }],
        "refresh": refresh,
    });
    Installation::new(control_plane, name, config).await
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn on_a_terminal(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let installation = install(&control_plane, "terminal").await?;
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&screen)?;
    unlockpt(&screen)?;
    let path = ptsname(&screen, Vec::new())?;
    let terminal = File::options().write(true).open(OsStr::from_bytes(path.to_bytes()))?;
    let mut command = installation.command(&aws)?;
    command.arg("--once").env("RUST_LOG", LOG).env("TERM", "xterm").stderr(terminal);
    command.stdout(Stdio::null());
    let reading = tokio::task::spawn_blocking(move || {
        let mut shown = Vec::new();
        // It ends with an error, once the program has closed it.
        let _ = File::from(screen).read_to_end(&mut shown);
        String::from_utf8_lossy(&shown).into_owned()
    });
    let passed = tokio::task::spawn_blocking(move || command.status()).await??;
    let shown = reading.await?;
    let (_, after) = shown.split_once(BAR).with_context(|| format!("{passed}: {shown:?}"))?;
    ensure!(passed.success() && after.contains(LOGGED), "{passed}: {shown:?}");
    // The bar is cleared before a log line.
    let mut lines = shown.lines().filter_map(|line| line.rsplit("\x1b[2K").next());
    ensure!(lines.all(|line| !(line.contains(BAR) && line.contains(LOGGED))), "{shown:?}");
    Ok(())
}

async fn passes(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let installation = install(&control_plane, "once").await?;
    let first = installation.run_once(&aws, &[]).await?;
    ensure!(first.status.code() == Some(0), "{}", said(&first));
    ensure!(
        said(&first) == "3 copies: 3 written, 0 left as they were, 0 deleted, 0 failed\n",
        "{}",
        said(&first)
    );
    let copies = cluster::secrets(&control_plane.admin_client(), "once-pull").await?;
    let password = aws.latest_password().context("no token was issued")?;
    ensure!(copies.len() == 3);
    for copy in &copies {
        ensure!(cluster::password(copy, HOST)? == password, "another password");
    }

    let second = installation.run_once(&aws, &["--output", "json"]).await?;
    ensure!(second.status.success());
    let summary: Value = serde_json::from_slice(&second.stdout)?;
    ensure!(summary["copies"] == 3 && summary["written"] == 0, "{summary}");
    ensure!(aws.count(Operation::GetAuthorizationToken) == 1);
    let audit = control_plane.audit();
    ensure!(audit.count(&installation.user(), Filter::default().resource("leases"))? == 0);
    Ok(())
}

async fn replaced(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.set_token_life(Duration::from_secs(6));
    let installation = install(&control_plane, "renewed").await?;
    ensure!(installation.run_once(&aws, &[]).await?.status.success());
    let before = aws.latest_password().context("no token was issued")?;
    aws.set_token_life(Duration::from_hours(12));
    eventually("a pass that replaces the token", PATIENCE, async || {
        let pass = installation.run_once(&aws, &[]).await?;
        ensure!(said(&pass).contains("3 written"), "{}", said(&pass));
        Ok(())
    })
    .await?;
    let after = aws.latest_password().context("no token was issued")?;
    ensure!(before != after && aws.count(Operation::GetAuthorizationToken) == 2);
    let copies = cluster::secrets(&control_plane.admin_client(), "renewed-pull").await?;
    for copy in &copies {
        ensure!(cluster::password(copy, HOST)? == after, "another password");
    }
    Ok(())
}

async fn named(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let aws = FakeAws::start().await?;
    let installation = install(&control_plane, "partly").await?;
    let foreign = json!({ "metadata": { "name": "partly-pull" }, "type": "Opaque" });
    let foreign: Secret = serde_json::from_value(foreign)?;
    let secrets: Api<Secret> = Api::namespaced(client, "partly-b");
    secrets.create(&PostParams::default(), &foreign).await?;

    let pass = installation.run_once(&aws, &[]).await?;
    ensure!(pass.status.code() == Some(1));
    let said = said(&pass);
    ensure!(
        said.contains("partly-pull in partly-b: conflict: foreign: a foreign Secret"),
        "{said}"
    );
    ensure!(
        said.ends_with("3 copies: 2 written, 0 left as they were, 0 deleted, 1 failed\n"),
        "{said}"
    );
    let pass = installation.run_once(&aws, &["-o", "json"]).await?;
    ensure!(pass.status.code() == Some(1));
    let summary: Value = serde_json::from_slice(&pass.stdout)?;
    let failed = summary["failed"].as_array().context("nothing failed")?;
    ensure!(failed.len() == 1 && failed[0]["namespace"] == "partly-b", "{summary}");
    Ok(())
}

async fn in_an_outage(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let aws = FakeAws::start().await?;
    // Past a twentieth of its life, which is soon, a pass asks for the next token.
    aws.set_token_life(Duration::from_mins(1));
    let installation = install_with(&control_plane, "gloom", json!({ "atFraction": 0.05 })).await?;
    ensure!(installation.run_once(&aws, &[]).await?.status.success());
    let password = aws.latest_password().context("no token was issued")?;

    aws.fail_with(Fault::ServerError(500));
    create_namespace(&client, "gloom-d", &[]).await?;
    let pass = eventually("a pass that asks AWS", PATIENCE, async || {
        let pass = installation.run_once(&aws, &[]).await?;
        ensure!(pass.status.code() == Some(1), "{}", said(&pass));
        Ok(pass)
    })
    .await?;
    let said = said(&pass);
    ensure!(said.contains("registry main: server_error: "), "{said}");
    ensure!(said.ends_with("0 failed\n"), "{said}");
    let late = cluster::secret(&client, "gloom-d", "gloom-pull").await?.context("no copy")?;
    ensure!(cluster::password(&late, HOST)? == password, "another password");
    Ok(())
}

async fn out_of_time(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.fail_with(Fault::Hang);
    let installation = install(&control_plane, "late").await?;
    let pass = installation.run_once(&aws, &["--timeout", "1s"]).await?;
    ensure!(pass.status.code() == Some(1));
    let errors = String::from_utf8_lossy(&pass.stderr);
    ensure!(errors.contains("answered within 1s"), "{errors}");
    Ok(())
}

async fn interrupted(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.fail_with(Fault::Hang);
    let installation = install(&control_plane, "ctrlc").await?;
    let mut command = installation.command(&aws)?;
    let pass = command.arg("--once").stderr(Stdio::piped()).spawn()?;
    eventually("a call of AWS", PATIENCE, async || {
        ensure!(!aws.calls().is_empty(), "there is none");
        Ok(())
    })
    .await?;
    kill_process(Pid::from_child(&pass), Signal::INT)?;
    let ended = tokio::task::spawn_blocking(move || pass.wait_with_output()).await??;
    ensure!(ended.status.code() == Some(130), "{ended:?}");
    let errors = String::from_utf8_lossy(&ended.stderr);
    ensure!(errors.contains("stopped before anything was written"), "{errors}");
    Ok(())
}
