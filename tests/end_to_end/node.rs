//! Pods on real nodes pull with what a copy holds: kubelet and containerd have the last word.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace, eventually_secret},
    control_plane::ControlPlane,
    daemon::{ACCESS_KEY_ID, Installation},
    fake_aws::{FakeAws, Verdict},
    node::Nodes,
    pods::{PullsWith, RunningPod},
    wait::eventually,
};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};
use serde_json::json;

use crate::{
    identities::{PATIENCE, REGION, host},
    scenario::Scenario,
};

/// No other test has tokens of it: containerd is configured once with its host.
const ACCOUNT: &str = "555555555555";
const IMAGE: &str = "team/app:1";
const PULL_SECRET: &str = "node-pull";
const ROTATIONS: usize = 10;
const LIFE: Duration = Duration::from_secs(12);
/// Pods that are made at once.
const SIDE_BY_SIDE: usize = 3;

pub(crate) fn tests() -> Vec<Scenario> {
    vec![Scenario::on_nodes(
        "Pods started at any moment over 10 rotations all run, and none once the token is dead",
        ten_rotations,
    )]
}

async fn ten_rotations(control_plane: Arc<ControlPlane>, nodes: Arc<Nodes>) -> Result<()> {
    let client = control_plane.admin_client();
    let aws = FakeAws::start().await?;
    aws.add_identity(ACCESS_KEY_ID, ACCOUNT, format!("arn:aws:iam::{ACCOUNT}:user/puller"));
    serve_image(&nodes, &aws, ACCOUNT, IMAGE).await?;
    aws.set_token_life(LIFE);
    create_namespace(&client, "node-old", &[]).await?;
    let installation = Installation::new(&control_plane, "node", config()).await?;
    let daemon = installation.start_ready(&aws).await?;
    is_served(&client, "node-old").await?;

    let image = format!("{}/{IMAGE}", host(ACCOUNT));
    let mut pods = 0;
    while aws.issued().len() <= ROTATIONS {
        // Old and new namespaces, and both ways to name the Secret.
        let new = format!("node-{pods}");
        create_namespace(&client, &new, &[]).await?;
        is_served(&client, &new).await?;
        let wanted = [
            ("node-old", PullsWith::Secret(PULL_SECRET)),
            ("node-old", PullsWith::ServiceAccount),
            (&new, PullsWith::Secret(PULL_SECRET)),
            (&new, PullsWith::ServiceAccount),
        ];
        let batch = wanted.into_iter().map(|(namespace, pulls_with)| {
            pods += 1;
            starts(&client, &image, namespace, format!("pod-{pods}"), pulls_with)
        });
        let started = stream::iter(batch).buffer_unordered(SIDE_BY_SIDE).try_collect::<()>();
        started.await.with_context(|| nodes.last_words())?;
    }
    ensure!(pods > 2 * ROTATIONS, "only {pods} Pods were started");
    all_pulls_were_good(&aws, pods)?;

    // What shows that the above could have failed.
    ensure!(daemon.stop().await?.success());
    all_tokens_end(&aws).await?;
    let pod =
        RunningPod::create(&client, "node-old", "late", &image, PullsWith::ServiceAccount).await?;
    let words = pod.is_refused(PATIENCE).await?;
    for expected in ["ErrImagePull", "Your authorization token has expired"] {
        ensure!(words.contains(expected), "{words}");
    }
    pod.delete(PATIENCE).await
}

fn config() -> serde_json::Value {
    json!({
        "registries": [{ "name": "main", "ecr": { "region": REGION } }],
        "secrets": [{
            "name": PULL_SECRET,
            "namespaces": ["node-old", "node-[0-9]*"],
            "serviceAccounts": ["default"],
        }],
        "refresh": { "spread": "0s" },
    })
}

/// Puts an image into the registry behind the fake, and the fake where containerd expects ECR.
pub(crate) async fn serve_image(
    nodes: &Nodes,
    aws: &FakeAws,
    account: &str,
    image: &str,
) -> Result<()> {
    nodes.registry().push_pause(image).await?;
    aws.front(nodes.registry().address());
    nodes.resolve(&host(account), aws.address()).await
}

/// Waits until a Pod of the namespace can pull, by its own words or its account's.
async fn is_served(client: &Client, namespace: &str) -> Result<()> {
    let has_host = |copy: &_| cluster::password(copy, &host(ACCOUNT)).map(drop);
    eventually_secret(client, namespace, PULL_SECRET, PATIENCE, has_host).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    eventually("the account to name the Secret", PATIENCE, async || {
        let named = accounts.get("default").await?.image_pull_secrets.unwrap_or_default();
        ensure!(named.iter().any(|reference| reference.name == PULL_SECRET), "{named:?}");
        Ok(())
    })
    .await
}

async fn starts(
    client: &Client,
    image: &str,
    namespace: &str,
    name: String,
    pulls_with: PullsWith<'_>,
) -> Result<()> {
    let pod = RunningPod::create(client, namespace, &name, image, pulls_with).await?;
    let how = || format!("{name} in {namespace}, with {pulls_with:?}");
    pod.runs(PATIENCE).await.with_context(how)?;
    pod.delete(PATIENCE).await.with_context(how)
}

/// Each Pod asked, and nothing was asked with a token that was not good.
fn all_pulls_were_good(aws: &FakeAws, pods: usize) -> Result<()> {
    let requests = aws.registry_requests();
    let bad = requests
        .iter()
        .find(|request| request.verdict.is_some_and(|verdict| verdict != Verdict::Accepted));
    ensure!(bad.is_none(), "{bad:?}");
    let manifests = requests.iter().filter(|request| {
        request.verdict == Some(Verdict::Accepted) && request.path.contains("/manifests/")
    });
    let asked = manifests.count();
    ensure!(asked >= pods, "{pods} Pods asked for a manifest {asked} times");
    Ok(())
}

async fn all_tokens_end(aws: &FakeAws) -> Result<()> {
    eventually("the last token to end", 2 * LIFE, async || {
        let last = aws.latest_password().context("no token")?;
        ensure!(!aws.accepts(&last), "it is still good");
        Ok(())
    })
    .await
}
