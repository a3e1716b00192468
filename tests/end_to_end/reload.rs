//! The config file is edited while the daemon runs.

use std::{os::unix::fs::symlink, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace, eventually_secret},
    control_plane::{ControlPlane, Filter},
    daemon::{Daemon, Installation},
    fake_aws::{FakeAws, Operation},
    wait::eventually,
};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::scenario::Scenario;

/// How long a good edit may take to be in force.
const IN_FORCE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(20);
const SUCCESSFUL: &str = "ecr_refresher_config_last_reload_successful";

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "a pattern that is added has its copies within 2 seconds",
            a_pattern_is_added,
        ),
        Scenario::new("the kubelet's symlink swap is followed", a_symlink_is_swapped),
        Scenario::new("a wrong edit changes nothing, and the next good one heals it", wrong_edits),
        Scenario::new(
            "a pattern that is removed has its copies pruned, unless it comes back in time",
            patterns_are_removed,
        ),
        Scenario::new("an edit that needs a restart says so", restart_needed),
        Scenario::new("a new registry, pull Secret and selector are followed", everything_else),
        Scenario::new("an edit of the registries that is undone leaves all in use", undone),
    ]
}

fn config(name: &str, namespaces: &Value) -> Value {
    json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": format!("{name}-pull"), "namespaces": namespaces }],
        "refresh": { "spread": "0s" },
    })
}

/// Puts another file in the place of the config, as an editor does.
fn replace(path: &Path, text: &str) -> Result<()> {
    let next = path.with_extension("next");
    std::fs::write(&next, text)?;
    Ok(std::fs::rename(next, path)?)
}

async fn successful(daemon: &Daemon, wanted: f64) -> Result<()> {
    eventually(&format!("{SUCCESSFUL} {wanted}"), PATIENCE, async || {
        let value = daemon.metric(SUCCESSFUL).await?;
        ensure!(value.to_bits() == wanted.to_bits(), "{value}");
        Ok(())
    })
    .await
}

async fn a_pattern_is_added(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    for namespace in ["edit-a", "edit-b"] {
        create_namespace(&client, namespace, &[]).await?;
    }
    let aws = FakeAws::start().await?;
    let installation =
        Installation::new(&control_plane, "edit", config("edit", &json!(["edit-a"]))).await?;
    let daemon = installation.start_ready(&aws).await?;
    let before = cluster::secret(&client, "edit-a", "edit-pull").await?.context("no copy")?;
    let audit = control_plane.audit().from_now()?;

    replace(&installation.config(), &config("edit", &json!(["edit-a", "edit-b"])).to_string())?;
    eventually_secret(&client, "edit-b", "edit-pull", IN_FORCE, |_| Ok(())).await?;
    let after = cluster::secret(&client, "edit-a", "edit-pull").await?.context("no copy")?;
    ensure!(before.resource_version() == after.resource_version(), "more than the difference");
    ensure!(aws.count(Operation::GetAuthorizationToken) == 1, "the registry had not changed");
    successful(&daemon, 1.0).await?;
    let patches = Filter::default().verb("patch").name("edit-pull");
    ensure!(audit.count(&installation.user(), patches)? == 1);
    Ok(())
}

async fn patterns_are_removed(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    for namespace in ["unedit-a", "unedit-b", "unedit-c"] {
        create_namespace(&client, namespace, &[]).await?;
    }
    let aws = FakeAws::start().await?;
    let config = |patterns: &[&str]| {
        let mut config = config("unedit", &json!(patterns));
        config["prune"] = json!({ "after": "8s" });
        config
    };
    let all = ["unedit-a", "unedit-b", "unedit-c"];
    let installation = Installation::new(&control_plane, "unedit", config(&all)).await?;
    let daemon = installation.start_ready(&aws).await?;
    let copy = async |namespace| cluster::secret(&client, namespace, "unedit-pull").await;
    let before = copy("unedit-b").await?.context("no copy")?;
    let audit = control_plane.audit().from_now()?;

    // Two go, and one of them comes back before the grace is over, which the other shows.
    let matched = |pattern: &str| {
        format!(
            r#"ecr_refresher_pattern_matched_namespaces{{pattern="{pattern}",secret="unedit-pull"}}"#
        )
    };
    replace(&installation.config(), &config(&all[..1]).to_string())?;
    eventually("the edit to be in force", PATIENCE, async || {
        ensure!(daemon.metric(&matched("unedit-b")).await.is_err(), "it is not");
        Ok(())
    })
    .await?;
    replace(&installation.config(), &config(&all[..2]).to_string())?;
    eventually("the copy to go", PATIENCE, async || {
        ensure!(copy("unedit-c").await?.is_none(), "it is there");
        Ok(())
    })
    .await?;
    let after = copy("unedit-b").await?.context("no copy")?;
    ensure!(before.resource_version() == after.resource_version(), "it was written");
    ensure!(copy("unedit-a").await?.is_some());
    ensure!(daemon.stop().await?.success());
    let count =
        |verb| audit.count(&installation.user(), Filter::default().verb(verb).name("unedit-pull"));
    ensure!(count("delete")? == 1 && count("patch")? == 0);
    Ok(())
}

async fn restart_needed(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let good = config("restart", &json!(["restart-a"]));
    let installation = Installation::new(&control_plane, "restart", good.clone()).await?;
    let daemon = installation.start_ready(&aws).await?;
    let mut edited = good;
    edited["leaderElection"] = json!({ "leaseDuration": "20s" });
    replace(&installation.config(), &edited.to_string())?;
    eventually("the warning", PATIENCE, async || {
        let log = daemon.log()?;
        ensure!(log.contains("a change of `leaderElection` takes effect only after a restart"));
        ensure!(!log.contains("a change of `listen`"));
        Ok(())
    })
    .await
}

async fn a_symlink_is_swapped(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "swap-b", &[]).await?;
    let aws = FakeAws::start().await?;
    let installation =
        Installation::new(&control_plane, "swap", config("swap", &json!(["swap-a"]))).await?;
    // The layout of a mounted ConfigMap: config.yaml -> ..data/config.yaml, ..data -> ..1
    let path = installation.config();
    let folder = path.parent().context("no folder")?;
    std::fs::create_dir(folder.join("..1"))?;
    std::fs::rename(&path, folder.join("..1/config.yaml"))?;
    symlink("..1", folder.join("..data"))?;
    symlink("..data/config.yaml", &path)?;
    let _daemon = installation.start_ready(&aws).await?;

    std::fs::create_dir(folder.join("..2"))?;
    let text = config("swap", &json!(["swap-?"])).to_string();
    std::fs::write(folder.join("..2/config.yaml"), text)?;
    symlink("..2", folder.join("..data_tmp"))?;
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data"))?;
    eventually_secret(&client, "swap-b", "swap-pull", IN_FORCE, |_| Ok(())).await?;
    Ok(())
}

async fn wrong_edits(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    for namespace in ["wrong-a", "wrong-b"] {
        create_namespace(&client, namespace, &[]).await?;
    }
    let aws = FakeAws::start().await?;
    let good = config("wrong", &json!(["wrong-a"]));
    let installation = Installation::new(&control_plane, "wrong", good.clone()).await?;
    let daemon = installation.start_ready(&aws).await?;
    let before = cluster::secret(&client, "wrong-a", "wrong-pull").await?.context("no copy")?;
    let registries = "registries:\n  - name: main\n    ecr: { region: eu-west-1 }\n";
    let secret = "secrets:\n  - name: wrong-pull\n    namespaces: ";
    for (text, problem) in [
        (format!("{registries}{secret}[\"wrong-*\"\n"), "config.yaml:"),
        (format!("{registries}{secret}[\"wrong-*\"]\nspread: 5m\n"), ":7:1: unknown key `spread`"),
        (format!("{registries}{secret}[]\n"), ":6:5: the allow-list is empty"),
        (
            format!("{registries}{secret}[\"wrong-*\"]\n    registries: [mian]\n"),
            ":7:18: there is no registry named `mian`; did you mean `main`?",
        ),
    ] {
        replace(&installation.config(), &text)?;
        successful(&daemon, 0.0).await?;
        eventually("the problem in the log", PATIENCE, async || {
            let log = daemon.log()?;
            ensure!(log.contains(problem), "no {problem}");
            Ok(())
        })
        .await?;
        replace(&installation.config(), &good.to_string())?;
        successful(&daemon, 1.0).await?;
    }
    let after = cluster::secret(&client, "wrong-a", "wrong-pull").await?.context("no copy")?;
    ensure!(before.resource_version() == after.resource_version(), "it was written");
    ensure!(cluster::secret(&client, "wrong-b", "wrong-pull").await?.is_none());
    ensure!(aws.count(Operation::GetAuthorizationToken) == 1);
    Ok(())
}

async fn everything_else(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "more-a", &[("tier", "prod")]).await?;
    create_namespace(&client, "more-b", &[("tier", "dev")]).await?;
    let aws = FakeAws::start().await?;
    // The rights are those of both pull Secrets; the daemon begins with one.
    let mut both = config("more", &json!(["more-?"]));
    let second = json!({
        "name": "more-second",
        "registries": ["second"],
        "namespaces": { "allow": ["more-?"], "selector": { "matchLabels": { "tier": "prod" } } },
    });
    both["secrets"].as_array_mut().context("no secrets")?.push(second);
    let registry = json!({ "name": "second", "ecr": { "region": "eu-central-1" } });
    both["registries"].as_array_mut().context("no registries")?.push(registry);
    both["secrets"][0]["registries"] = json!(["main"]);
    both["secrets"][0]["labels"] = json!({ "team": "platform" });
    let installation = Installation::new(&control_plane, "more", both.clone()).await?;
    replace(&installation.config(), &config("more", &json!(["more-?"])).to_string())?;
    let daemon = installation.start_ready(&aws).await?;

    replace(&installation.config(), &both.to_string())?;
    eventually_secret(&client, "more-a", "more-second", IN_FORCE, |_| Ok(())).await?;
    eventually_secret(&client, "more-b", "more-pull", IN_FORCE, |copy| {
        ensure!(copy.labels().contains_key("team"), "no new label");
        Ok(())
    })
    .await?;
    ensure!(cluster::secret(&client, "more-b", "more-second").await?.is_none());
    ensure!(aws.count(Operation::GetAuthorizationToken) == 2);
    let series =
        |secret: &str| format!("ecr_refresher_copies{{secret=\"{secret}\",state=\"fresh\"}}");
    eventually("a fresh copy", PATIENCE, async || {
        ensure!(daemon.metric(&series("more-second")).await? > 0.0, "there is none");
        Ok(())
    })
    .await?;

    // And back again: what is known of the second one is forgotten.
    replace(&installation.config(), &config("more", &json!(["more-?"])).to_string())?;
    eventually("the series to vanish", PATIENCE, async || {
        ensure!(daemon.metric(&series("more-second")).await.is_err(), "it is there");
        Ok(())
    })
    .await
}

/// Tokens live for 8 s, so that an entry which is no longer refreshed is noticed.
async fn undone(control_plane: Arc<ControlPlane>) -> Result<()> {
    const HOSTS: [&str; 2] = [
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com",
    ];
    let client = control_plane.admin_client();
    create_namespace(&client, "undo-a", &[]).await?;
    let aws = FakeAws::start().await?;
    aws.set_token_life(Duration::from_secs(8));
    let config = |registries: Value| {
        json!({
            "registries": [
                { "name": "main", "ecr": { "region": "eu-west-1" } },
                { "name": "other", "ecr": { "region": "us-east-1" } },
            ],
            "secrets": [
                { "name": "undo-pull", "namespaces": ["undo-?"], "registries": registries }
            ],
            "refresh": { "spread": "0s" },
        })
    };
    let both = json!(["main", "other"]);
    let installation = Installation::new(&control_plane, "undo", config(both.clone())).await?;
    let _daemon = installation.start_ready(&aws).await?;
    replace(&installation.config(), &config(json!(["main"])).to_string())?;
    eventually_secret(&client, "undo-a", "undo-pull", PATIENCE, |copy| {
        ensure!(cluster::password(copy, HOSTS[1]).is_err(), "the edit is not in force");
        Ok(())
    })
    .await?;
    replace(&installation.config(), &config(both).to_string())?;

    // Three times, each host gets another token that works.
    let mut last = [const { String::new() }; 2];
    for _ in 0..3 {
        let copy = eventually_secret(&client, "undo-a", "undo-pull", PATIENCE, |copy| {
            for (host, last) in HOSTS.iter().zip(&last) {
                let password = cluster::password(copy, host)?;
                ensure!(password != *last, "{host} has the same token");
                ensure!(aws.accepts(&password), "{host} has a dead token");
            }
            Ok(())
        })
        .await?;
        for (host, last) in HOSTS.iter().zip(&mut last) {
            *last = cluster::password(&copy, host)?;
        }
    }
    Ok(())
}
