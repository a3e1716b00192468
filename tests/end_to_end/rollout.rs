//! From one token to a pull Secret in every namespace on the list, and to no other.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster,
    control_plane::{ControlPlane, Request},
    daemon::Installation,
    fake_aws::{FakeAws, Operation},
};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde_json::json;

use crate::scenario::Scenario;

/// What the fake AWS answers for.
pub(crate) const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

pub(crate) fn tests() -> Vec<Scenario> {
    vec![Scenario::new(
        "50 namespaces, 30 on the list: 30 copies, one AWS call, 30 applies and nothing else",
        thirty_of_fifty,
    )]
}

async fn thirty_of_fifty(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let listed: BTreeSet<String> = (0..29)
        .map(|number| format!("rollout-team-{number}"))
        .chain(["rollout-payments".to_owned()])
        .collect();
    let others = (0..19)
        .map(|number| format!("rollout-other-{number}"))
        .chain(["rollout-team-sandbox".to_owned()]);
    cluster::create_namespaces(&client, listed.iter().cloned().chain(others)).await?;
    let aws = FakeAws::start().await?;
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{
            "name": "rollout-pull",
            "namespaces": {
                "allow": ["rollout-team-*", "rollout-payments"],
                "deny": ["rollout-team-sandbox"],
            },
            "labels": { "tier": "platform" },
        }],
    });
    let installation = Installation::new(&control_plane, "rollout", config).await?;
    let audit = control_plane.audit().from_now()?;
    let daemon = installation.start_ready(&aws).await?;

    let copies = cluster::secrets(&client, "rollout-pull").await?;
    let namespaces: BTreeSet<_> = copies.iter().filter_map(ResourceExt::namespace).collect();
    ensure!(namespaces == listed, "{namespaces:?}");
    let password = aws.latest_password().context("no token was issued")?;
    for copy in &copies {
        check_copy(copy, &password)?;
    }
    ensure!(aws.count(Operation::GetAuthorizationToken) == 1);

    let fresh =
        daemon.metric(r#"ecr_refresher_copies{secret="rollout-pull",state="fresh"}"#).await?;
    ensure!(fresh.to_bits() == 30_f64.to_bits(), "{fresh} copies are fresh");
    // The audit log is complete once the daemon's connections are closed.
    ensure!(daemon.stop().await?.success());
    let mut requests = audit.requests_by(&installation.user())?;
    requests.retain(|request| !request.is_dry_run());
    let count = |name: &str, verb: &str| {
        let on = |request: &&Request| request.resource == "secrets" && request.name == name;
        requests.iter().filter(on).filter(|request| request.verb == verb).count()
    };
    ensure!(count("rollout-pull", "patch") == 30, "{} patches", count("rollout-pull", "patch"));
    for verb in ["get", "create", "update", "delete"] {
        ensure!(count("rollout-pull", verb) == 0, "{verb} of a copy");
    }
    ensure!(count("rollout-pull", "list") == 1 && count("rollout-pull", "watch") == 1);
    let cache = installation.token_cache();
    ensure!(count(&cache, "get") == 1 && count(&cache, "patch") == 1);
    // Whether there is a token cache and a Lease yet, it has to ask.
    let own = [cache.as_str(), installation.name()];
    let refused = |request: &&Request| request.code >= 400 && !own.contains(&&*request.name);
    let refused: Vec<_> = requests.iter().filter(refused).collect();
    ensure!(refused.is_empty(), "{refused:?}");
    Ok(())
}

fn check_copy(copy: &Secret, password: &str) -> Result<()> {
    ensure!(copy.type_.as_deref() == Some("kubernetes.io/dockerconfigjson"));
    let labels = copy.labels();
    ensure!(
        labels["app.kubernetes.io/managed-by"] == "ecr-refresher" && labels["tier"] == "platform"
    );
    ensure!(!labels.contains_key("app.kubernetes.io/instance"));
    let expires_at: jiff::Timestamp = copy.annotations()["ecr-refresher.io/expires-at"].parse()?;
    let hours = expires_at.duration_since(jiff::Timestamp::now()).as_secs_f64() / 3600.0;
    ensure!((11.9..=12.0).contains(&hours), "it expires in {hours} hours");
    ensure!(copy.annotations()["ecr-refresher.io/content-hash"].len() == 16);
    let document = cluster::document(copy)?;
    let hosts = document["auths"].as_object().context("no auths")?;
    ensure!(hosts.len() == 1, "{:?}", hosts.keys());
    ensure!(cluster::password(copy, HOST)? == password, "another password");
    Ok(())
}
