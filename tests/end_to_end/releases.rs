//! Two releases in one cluster with the same pull Secret.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace, delete_secret, eventually_secret},
    control_plane::{ControlPlane, Filter},
    daemon::{Daemon, Installation},
    fake_aws::FakeAws,
    wait::eventually,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::{Value, json};

use crate::{commands::run, events::eventually_event, rollout::HOST, scenario::Scenario};

const KEPT_BY: &str = "ecr-refresher.io/kept-by";
const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("two releases with disjoint lists leave the copies of the other", disjoint),
        Scenario::new("two releases with the same list write each copy once", overlapping),
        Scenario::new("a release takes over the copies of another one in place", moved),
        Scenario::new(
            "a suspended leader does not write to a copy that was taken over meanwhile",
            suspended,
        ),
        Scenario::new("a selector finds the copies of one release", selected),
    ]
}

/// A release, with an AWS of its own.
struct Side {
    installation: Installation,
    aws: FakeAws,
    secret: String,
}

impl Side {
    /// The release `name` of the pull Secret `secret`; `rest` are more keys of the latter.
    async fn new(
        control_plane: &Arc<ControlPlane>,
        name: &str,
        secret: &str,
        rest: Value,
    ) -> Result<Self> {
        let mut pull = json!({ "name": secret });
        json_patch::merge(&mut pull, &rest);
        let config = json!({
            "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
            "secrets": [pull],
            "refresh": { "spread": "0s" },
            "prune": { "after": "0s" },
        });
        let installation = Installation::new(control_plane, name, config).await?;
        Ok(Self { installation, aws: FakeAws::start().await?, secret: secret.to_owned() })
    }

    async fn start(&self) -> Result<Daemon> {
        self.installation.start_ready(&self.aws).await
    }

    /// Waits until a copy has a token of this side that works, and its annotation.
    async fn keeps(&self, control_plane: &ControlPlane, namespace: &str) -> Result<Secret> {
        let admin = control_plane.admin_client();
        eventually_secret(&admin, namespace, &self.secret, TIMEOUT, |copy| {
            ensure!(copy.annotations().get(KEPT_BY) == Some(&self.installation.release()));
            ensure!(self.aws.accepts(&cluster::password(copy, HOST)?), "the token is not of it");
            Ok(())
        })
        .await
    }

    /// Waits until the daemon of another release names this one as the keeper of one copy.
    async fn is_named_by(&self, other: &Daemon) -> Result<()> {
        let (id, secret) = (self.installation.release(), &self.secret);
        let series = format!(
            "ecr_refresher_copy_conflicts{{reason=\"another_release\",release=\"{id}\",secret=\"{secret}\"}}"
        );
        other.metric_becomes(&series, 1.0).await
    }

    /// New tokens: the token cache is deleted.
    async fn refresh(&self, control_plane: &ControlPlane) -> Result<()> {
        let (admin, home) = (control_plane.admin_client(), self.installation.home());
        let cache = self.installation.token_cache();
        eventually_secret(&admin, home, &cache, TIMEOUT, |_| Ok(())).await?;
        delete_secret(&admin, home, &cache).await
    }

    /// How many writes there were of its pull Secret in a namespace.
    fn writes(&self, control_plane: &ControlPlane, namespace: &str) -> Result<usize> {
        let here = Filter::default().resource("secrets").namespace(namespace).name(&self.secret);
        let audit = control_plane.audit();
        let count = |verb| audit.count(&self.installation.user(), here.verb(verb));
        Ok(count("patch")? + count("delete")?)
    }
}

async fn disjoint(control_plane: Arc<ControlPlane>) -> Result<()> {
    let admin = control_plane.admin_client();
    for namespace in ["apart-a", "apart-b"] {
        create_namespace(&admin, namespace, &[]).await?;
    }
    let of = |name, namespace: &str| {
        let rest = json!({ "namespaces": [namespace] });
        let control_plane = Arc::clone(&control_plane);
        async move { Side::new(&control_plane, name, "apart-pull", rest).await }
    };
    let (one, two) = (of("apart-one", "apart-a").await?, of("apart-two", "apart-b").await?);
    let (_one, _two) = (one.start().await?, two.start().await?);
    for round in 0..3 {
        one.keeps(&control_plane, "apart-a").await.with_context(|| format!("round {round}"))?;
        two.keeps(&control_plane, "apart-b").await.with_context(|| format!("round {round}"))?;
        one.refresh(&control_plane).await?;
        two.refresh(&control_plane).await?;
        for (side, namespace) in [(&one, "apart-a"), (&two, "apart-b")] {
            eventually("the refresh", TIMEOUT, async || {
                let writes = side.writes(&control_plane, namespace)?;
                ensure!(writes == round + 2, "{writes} writes");
                Ok(())
            })
            .await?;
        }
    }
    for (side, namespace) in [(&one, "apart-b"), (&two, "apart-a")] {
        ensure!(side.writes(&control_plane, namespace)? == 0, "it is not its namespace");
    }
    Ok(())
}

async fn overlapping(control_plane: Arc<ControlPlane>) -> Result<()> {
    let admin = control_plane.admin_client();
    create_namespace(&admin, "overlap-a", &[]).await?;
    let rest = json!({ "namespaces": ["overlap-a"], "onConflict": "adopt" });
    let one = Side::new(&control_plane, "overlap-one", "overlap-pull", rest.clone()).await?;
    let two = Side::new(&control_plane, "overlap-two", "overlap-pull", rest).await?;
    let _one = one.start().await?;
    one.keeps(&control_plane, "overlap-a").await?;
    let other = two.start().await?;
    let id = one.installation.release();
    one.is_named_by(&other).await?;
    let event = eventually_event(&admin, "overlap-a", "overlap-pull", "ConflictingSecret").await?;
    let note = event.note.unwrap_or_default();
    ensure!(note.contains(&format!("the release {id} keeps")), "{note}");
    let release = two.installation.release();
    let status = ["status", "-o", "json", "--release", &release];
    let config = std::fs::read_to_string(two.installation.config())?;
    let output = run(two.installation.kubeconfig(), &status, &config).await?;
    let found: Value = serde_json::from_slice(&output.stdout)?;
    let row = &found["copies"][0];
    ensure!(row["reason"] == "another_release" && row["release"] == id.as_str(), "{found}");

    // New tokens of both: the first one writes, and the other one leaves it alone.
    two.refresh(&control_plane).await?;
    one.refresh(&control_plane).await?;
    eventually("the refresh", TIMEOUT, async || {
        ensure!(one.writes(&control_plane, "overlap-a")? == 2);
        ensure!(two.aws.issued().len() == 2, "the other one has no new token yet");
        Ok(())
    })
    .await?;
    one.keeps(&control_plane, "overlap-a").await?;
    ensure!(two.writes(&control_plane, "overlap-a")? == 0, "it is not its copy");
    Ok(())
}

async fn moved(control_plane: Arc<ControlPlane>) -> Result<()> {
    let admin = control_plane.admin_client();
    create_namespace(&admin, "move-a", &[]).await?;
    let rest = json!({ "namespaces": ["move-?"], "serviceAccounts": ["default"] });
    let old = Side::new(&control_plane, "move-old", "move-pull", rest.clone()).await?;
    let daemon = old.start().await?;
    let before = old.keeps(&control_plane, "move-a").await?;
    let mut rest = rest;
    rest["takeOver"] = json!([old.installation.release()]);
    let new = Side::new(&control_plane, "move-new", "move-pull", rest).await?;
    let _new = new.start().await?;
    let after = new.keeps(&control_plane, "move-a").await?;
    ensure!(after.uid() == before.uid(), "it was made anew");

    // Both run for a while, and the old one gets new tokens: it does not take anything back.
    new.is_named_by(&daemon).await?;
    let writes = old.writes(&control_plane, "move-a")?;
    old.refresh(&control_plane).await?;
    new.refresh(&control_plane).await?;
    create_namespace(&admin, "move-b", &[]).await?;
    new.keeps(&control_plane, "move-b").await?;
    eventually("both to have new tokens", TIMEOUT, async || {
        ensure!(old.aws.issued().len() == 2 && new.aws.issued().len() == 2);
        Ok(())
    })
    .await?;
    new.keeps(&control_plane, "move-a").await?;
    ensure!(old.writes(&control_plane, "move-a")? == writes, "the old one has written");

    // The old one prunes nothing that it no longer keeps.
    ensure!(daemon.stop().await?.success());
    std::fs::write(old.installation.config(), unlisted(&old)?)?;
    let _daemon = old.start().await?;
    create_namespace(&admin, "move-c", &[]).await?;
    new.keeps(&control_plane, "move-c").await?;
    ensure!(new.keeps(&control_plane, "move-a").await?.uid() == before.uid());
    Ok(())
}

/// The config of a side, with a list of other namespaces.
fn unlisted(side: &Side) -> Result<String> {
    let text = std::fs::read_to_string(side.installation.config())?;
    ensure!(text.contains("move-?"), "{text}");
    Ok(text.replace("move-?", "nowhere-?"))
}

async fn suspended(control_plane: Arc<ControlPlane>) -> Result<()> {
    let admin = control_plane.admin_client();
    create_namespace(&admin, "sleep-a", &[]).await?;
    let rest = json!({ "namespaces": ["sleep-?"] });
    let old = Side::new(&control_plane, "sleep-old", "sleep-pull", rest.clone()).await?;
    let mut daemon = old.start().await?;
    old.keeps(&control_plane, "sleep-a").await?;
    daemon.suspend(true)?;
    // What it will do as soon as it wakes: get a new token, and write it.
    old.refresh(&control_plane).await?;
    let mut rest = rest;
    rest["takeOver"] = json!([old.installation.release()]);
    let new = Side::new(&control_plane, "sleep-new", "sleep-pull", rest).await?;
    let _new = new.start().await?;
    let taken = new.keeps(&control_plane, "sleep-a").await?;
    daemon.suspend(false)?;
    new.is_named_by(&daemon).await?;
    eventually("a new token of the old release", TIMEOUT, async || {
        ensure!(old.aws.issued().len() == 2);
        Ok(())
    })
    .await?;
    let after = new.keeps(&control_plane, "sleep-a").await?;
    ensure!(after.resource_version() == taken.resource_version(), "it was written to");
    Ok(())
}

async fn selected(control_plane: Arc<ControlPlane>) -> Result<()> {
    let admin = control_plane.admin_client();
    for namespace in ["select-a", "select-b"] {
        create_namespace(&admin, namespace, &[]).await?;
    }
    let mut sides = Vec::new();
    for (name, namespace) in [("select-one", "select-a"), ("select-two", "select-b")] {
        let rest = json!({ "namespaces": [namespace] });
        sides.push(Side::new(&control_plane, name, "select-pull", rest).await?);
    }
    let mut daemons = Vec::new();
    for (side, namespace) in sides.iter().zip(["select-a", "select-b"]) {
        daemons.push(side.start().await?);
        side.keeps(&control_plane, namespace).await?;
        let label = side.installation.release().replace('/', ".");
        let selector = ListParams::default().labels(&format!("ecr-refresher.io/release={label}"));
        let found = Api::<Secret>::all(admin.clone()).list(&selector).await?;
        let found: Vec<_> = found.iter().map(|it| it.namespace().unwrap_or_default()).collect();
        ensure!(found == [namespace], "{found:?}");
    }
    Ok(())
}
