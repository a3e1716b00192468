//! Every command in the docs, as a reader types it, and its documented output.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{create, create_namespace, eventually_secret},
    control_plane::ControlPlane,
    doc_commands::yaml_after,
    helm::Release,
    node::Nodes,
    tools::Tool,
    wait::eventually,
};
use k8s_openapi::api::{batch::v1::CronJob, core::v1::Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    events::eventually_event,
    installed::Surroundings,
    reader::{Reader, page},
    scenario::Scenario,
};

const PATIENCE: Duration = Duration::from_mins(2);
const RELEASE: Release<'_> = Release { name: "ecr-refresher", namespace: "ecr-refresher" };

pub(crate) fn tests() -> Vec<Scenario> {
    const NEEDS: [Tool; 8] = [
        Tool::Buildah,
        Tool::MuslGcc,
        Tool::CrossGcc,
        Tool::Helm,
        Tool::Kubectl,
        Tool::Jq,
        Tool::AwsCli,
        Tool::ExternalSecretsKinds,
    ];
    vec![
        Scenario::on_nodes("every command in the docs works as they say", as_documented)
            .needing(&NEEDS),
    ]
}

async fn as_documented(control_plane: Arc<ControlPlane>, nodes: Arc<Nodes>) -> Result<()> {
    let client = control_plane.admin_client();
    for namespace in ["payments", "team-blue", "team-lilac", "team-red", "team-sandbox", "docs-old"]
    {
        create_namespace(&client, namespace, &[]).await?;
    }
    own_by_helm(&client, "team-green").await?;
    let mut reader = Reader::new(&control_plane)?;

    reader.run("docs/install.md", "kubectl create").await?;
    let mut around = Surroundings::in_home(&control_plane, &nodes, RELEASE.namespace).await?;
    around.aws.add_identity("id", "123456789012", "arn:aws:iam::123456789012:user/puller");
    around.aws.set_token_life(Duration::from_hours(12));
    around.values["config"] = yaml(&page("docs/commands.md")?, "The examples below")?;
    around.values["aws"]["credentials"]["existingSecret"] = "aws-keys".into();
    reader.write("values.yaml", &around.values.to_string())?;
    reader.environment.insert("AWS_ENDPOINT_URL".to_owned(), around.aws.endpoint());
    reader.run("docs/install.md", "ecr-refresher plan").await?;
    reader.run("docs/install.md", "helm install").await.with_context(|| nodes.last_words())?;
    reader.run("docs/install.md", "kubectl -n ecr-refresher exec").await?;
    reader.run("README.md", "port-forward").await?;

    as_in_the_examples(&client, &reader).await?;
    reader.run_with_output("docs/commands.md").await?;
    reader.shell("kubectl -n ecr-refresher scale deployment/ecr-refresher --replicas 1")?;
    reader
        .shell("kubectl -n ecr-refresher rollout status deployment/ecr-refresher --timeout 2m")?;
    reader.run("docs/commands.md", "").await?;
    reader.run("docs/runbooks.md", "").await?;

    reader.write("config.yaml", &many_accounts())?;
    reader.shell("kubectl -n ecr-refresher delete secret aws-keys")?;
    let china =
        yaml(&page("docs/registries.md")?, "of its own, with a pull Secret of another name")?;
    reader.write("values-cn.yaml", &china.to_string())?;
    reader.run("docs/registries.md", "").await?;
    reader.shell("helm uninstall ecr-refresher-cn --namespace ecr-refresher")?;

    for name in ["old", "k8s-ecr-login-renew-cron"] {
        create(&Api::<CronJob>::namespaced(client.clone(), "docs-old"), cron_job(name)).await?;
    }
    external_secret(&reader)?;
    reader.run("docs/migrating.md", "").await?;

    around.values["mode"] = json!("cronJob");
    around.upgrade(RELEASE).await?;
    reader.run("docs/install.md", "create job").await?;
    eventually("the container of the Job to run", PATIENCE, async || {
        reader.shell("kubectl -n ecr-refresher logs job/ecr-refresher-now").map(drop)
    })
    .await
    .with_context(|| nodes.last_words())?;
    reader.run("docs/install.md", "logs --follow").await?;
    reader.shell("helm uninstall ecr-refresher --namespace ecr-refresher")?;
    reader.run("README.md", "").await?;
    reader.run("docs/install.md", "").await?;
    reader.has_run_all()
}

/// A Secret in the way, as a Helm chart would have made it.
async fn own_by_helm(client: &Client, namespace: &str) -> Result<()> {
    create_namespace(client, namespace, &[]).await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = json!({ "metadata": { "name": "ecr-pull" }, "type": "kubernetes.io/dockerconfigjson",
        "stringData": { ".dockerconfigjson": "{}" } });
    let by_helm = PostParams { field_manager: Some("helm".to_owned()), ..PostParams::default() };
    secrets.create(&by_helm, &serde_json::from_value(secret)?).await?;
    Ok(())
}

/// The cluster of docs/commands.md: the daemon is stopped after its roll-out, there is a new
/// namespace, and a copy was edited.
async fn as_in_the_examples(client: &Client, reader: &Reader) -> Result<()> {
    for namespace in ["payments", "team-blue", "team-lilac", "team-red"] {
        eventually_secret(client, namespace, "ecr-pull", PATIENCE, |_| Ok(())).await?;
    }
    eventually_event(client, "team-green", "ecr-pull", "ConflictingSecret").await?;
    reader.shell("kubectl -n ecr-refresher scale deployment/ecr-refresher --replicas 0")?;
    eventually("the leader to release its Lease", PATIENCE, async || {
        let holder =
            "kubectl -n ecr-refresher get lease ecr-refresher -o jsonpath={.spec.holderIdentity}";
        let holder = reader.shell(holder)?;
        ensure!(holder.is_empty(), "{holder} holds it");
        Ok(())
    })
    .await?;
    create_namespace(client, "team-new", &[]).await?;
    let edit = Patch::Merge(json!({ "data": { ".dockerconfigjson": "e30=" } }));
    let by_kubectl =
        PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    Api::<Secret>::namespaced(client.clone(), "team-blue")
        .patch("ecr-pull", &by_kubectl, &edit)
        .await?;
    Ok(())
}

/// The config of "Many accounts": 100 in all variants.
fn many_accounts() -> String {
    let accounts: Vec<_> =
        (0..100).map(|number| format!("\"{:012}\"", 111_111_111_111_u64 + number)).collect();
    format!(
        "registries:\n  - name: all\n    ecr: {{ region: us-east-1, variants: [standard, fips, dualStack], \
         accounts: [{}] }}\nsecrets:\n  - name: ecr-pull\n    namespaces: [\"team-*\"]\n",
        accounts.join(", ")
    )
}

fn cron_job(name: &str) -> Value {
    let container = json!({ "name": "renew", "image": "example.com/renew" });
    let pod = json!({ "containers": [container], "restartPolicy": "Never" });
    let job = json!({ "spec": { "template": { "spec": pod } } });
    json!({ "metadata": { "name": name }, "spec": { "schedule": "0 0 1 1 *", "jobTemplate": job } })
}

/// What External Secrets has in a cluster, without its operator.
fn external_secret(reader: &Reader) -> Result<()> {
    let kind =
        Tool::ExternalSecretsKinds.path()?.join("external-secrets.io_clusterexternalsecrets.yaml");
    reader.shell(&format!("kubectl apply --server-side --filename {}", kind.display()))?;
    reader.shell("kubectl wait --for=condition=established crd --all --timeout 1m")?;
    let object = json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "ClusterExternalSecret",
        "metadata": { "name": "docs" },
        "spec": { "externalSecretSpec": { "target": { "name": "ecr-pull" } } },
    });
    reader.write("external-secret.yaml", &object.to_string())?;
    reader.shell("kubectl apply --filename external-secret.yaml").map(drop)
}

fn yaml(page: &str, start: &str) -> Result<Value> {
    let text = yaml_after(page, start).with_context(|| format!("no YAML after {start:?}"))?;
    Ok(serde_saphyr::from_str(text)?)
}
