//! The chart installed for real: the image built here, on real nodes, with the Pod's own token.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    architecture::Architecture,
    cluster::{self, create, create_namespace, eventually_secret},
    control_plane::ControlPlane,
    daemon_image::DaemonImage,
    fake_aws::FakeAws,
    helm::{Helm, Release},
    node::Nodes,
    pods::{PullsWith, RunningPod},
    tls_front::TlsFront,
    tools::Tool,
    wait::eventually,
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::{CronJob, Job},
    core::v1::{ConfigMap, Pod, Secret},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    identities::{REGION, host},
    node::serve_image,
    scenario::Scenario,
};

/// No other test has tokens of it: containerd is configured once with its host.
const ACCOUNT: &str = "666666666666";
const ACCESS_KEY_ID: &str = "AKIAINSTALLED";
const APPLICATION: &str = "team/installed:1";
const LIFE: Duration = Duration::from_secs(30);
/// Kubelet, containers, roll-outs: each on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two checks of a copy.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::on_nodes(
            "installed with two replicas, it survives an upgrade and a restart without a gap",
            two_replicas,
        ),
        Scenario::on_nodes("installed as a CronJob, a Job of it done by hand completes", cron_job),
    ]
    .into_iter()
    .map(|scenario| scenario.needing(&Tool::NEEDED_BY_IMAGE))
    .collect()
}

/// What a release needs around it.
pub(crate) struct Surroundings {
    pub(crate) client: Client,
    pub(crate) aws: FakeAws,
    _front: TlsFront,
    helm: Helm,
    pub(crate) values: Value,
}

impl Surroundings {
    /// As [`Self::in_home`], in a namespace of its own with the keys for AWS.
    async fn new(control_plane: &ControlPlane, nodes: &Nodes, name: &str) -> Result<Self> {
        let home = format!("{name}-home");
        let client = control_plane.admin_client();
        create_namespace(&client, &home, &[("pod-security.kubernetes.io/warn", "restricted")])
            .await?;
        let keys = json!({
            "metadata": { "name": "keys" },
            "stringData": { "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": "example" },
        });
        create(&Api::<Secret>::namespaced(client.clone(), &home), keys).await?;
        let mut around = Self::in_home(control_plane, nodes, &home).await?;
        around.aws.set_token_life(LIFE);
        let arn = format!("arn:aws:iam::{ACCOUNT}:user/puller");
        around.aws.add_identity(ACCESS_KEY_ID, ACCOUNT, arn);
        around.values["aws"] = json!({ "credentials": { "existingSecret": "keys" } });
        around.values["config"] = json!({
            "registries": [{ "name": "main", "ecr": { "region": REGION } }],
            "secrets": [{ "name": format!("{name}-pull"), "namespaces": [format!("{name}-?")] }],
            "refresh": { "spread": "0s" },
        });
        Ok(around)
    }

    /// Has the image in a registry, AWS behind TLS, and in the namespace of the release the certificate of
    /// its authority.
    pub(crate) async fn in_home(
        control_plane: &ControlPlane,
        nodes: &Nodes,
        home: &str,
    ) -> Result<Self> {
        let client = control_plane.admin_client();
        let aws = FakeAws::start().await?;
        let front = TlsFront::start(aws.address()).await?;
        nodes.share(front.address()).await?;
        let authority = json!({
            "metadata": { "name": "authority" },
            "data": { "authority.pem": front.authority() },
        });
        create(&Api::<ConfigMap>::namespaced(client.clone(), home), authority).await?;
        let image = push_image(nodes).await?;
        let values = values(control_plane, &front, &image)?;
        let helm = Helm::new(control_plane.admin_kubeconfig()).await?;
        Ok(Self { client, aws, _front: front, helm, values })
    }

    /// Gives a release the values as they are now.
    pub(crate) async fn upgrade(&self, release: Release<'_>) -> Result<()> {
        self.helm.upgrade(release, &self.values).await.map(drop)
    }
}

/// Builds the daemon's image and puts it where nodes reach it: its registry's address.
async fn push_image(nodes: &Nodes) -> Result<String> {
    let image = tokio::task::spawn_blocking(|| DaemonImage::build(Architecture::OWN)).await??;
    nodes.registry().push(&image.layout(), "ecr-refresher:test").await?;
    Ok(nodes.registry().address().to_string())
}

fn values(control_plane: &ControlPlane, front: &TlsFront, registry: &str) -> Result<Value> {
    let api_server = control_plane.address()?;
    let variable = |name: &str, value: String| json!({ "name": name, "value": value });
    Ok(json!({
        "image": { "registry": registry, "tag": "test" },
        "hostNetwork": true,
        "extraEnv": [
            variable("KUBERNETES_SERVICE_HOST", api_server.ip().to_string()),
            variable("KUBERNETES_SERVICE_PORT", api_server.port().to_string()),
            variable("AWS_ENDPOINT_URL", front.endpoint()),
        ],
        // Beside the image's own authorities.
        "extraVolumes": [{ "name": "authority", "configMap": { "name": "authority" } }],
        "extraVolumeMounts": [{
            "name": "authority",
            "mountPath": "/etc/ssl/certs/authority.pem",
            "subPath": "authority.pem",
        }],
    }))
}

async fn two_replicas(control_plane: Arc<ControlPlane>, nodes: Arc<Nodes>) -> Result<()> {
    let mut around = Surroundings::new(&control_plane, &nodes, "inst").await?;
    let release = Release { name: "inst", namespace: "inst-home" };
    around.values["replicas"] = json!(2);
    create_namespace(&around.client, "inst-a", &[]).await?;
    around.helm.install(release, &around.values).await?;
    let deployment = Rollout::of(&around.client, release).await?;
    deployment.done(2).await.with_context(|| nodes.last_words())?;
    let pods = deployment.pods().await?;
    containers_are_confined()?;

    // An application pulls with its copy.
    holds_good_token(&around, "inst-a").await?;
    serve_image(&nodes, &around.aws, ACCOUNT, APPLICATION).await?;
    pulls(&around.client, "inst-a").await.with_context(|| nodes.last_words())?;

    // An edit of the config comes by kubelet's swap of a symlink, without a restart.
    create_namespace(&around.client, "late", &[]).await?;
    edit_config(&around.client, release).await?;
    holds_good_token(&around, "late").await?;
    ensure!(deployment.pods().await? == pods, "the edit restarted a Pod");

    // Neither an upgrade nor a restart leaves a moment without a good token.
    around.values["config"]["secrets"][0]["namespaces"] = json!(["inst-?", "late"]);
    around.values["podAnnotations"] = json!({ "example.com/revision": "2" });
    let upgrade = async {
        around.upgrade(release).await?;
        deployment.done(2).await
    };
    without_a_gap(&around, upgrade).await?;
    let restart = async {
        deployment.restart().await?;
        deployment.done(2).await
    };
    without_a_gap(&around, restart).await?;
    let others = deployment.pods().await?;
    ensure!(others.iter().all(|pod| !pods.contains(pod)), "{others:?} were {pods:?} before");
    create_namespace(&around.client, "inst-b", &[]).await?;
    holds_good_token(&around, "inst-b").await?;
    around.helm.uninstall(release).await
}

async fn cron_job(control_plane: Arc<ControlPlane>, nodes: Arc<Nodes>) -> Result<()> {
    let mut around = Surroundings::new(&control_plane, &nodes, "cron").await?;
    let release = Release { name: "cron", namespace: "cron-home" };
    around.values["mode"] = json!("cronJob");
    create_namespace(&around.client, "cron-a", &[]).await?;
    around.helm.install(release, &around.values).await?;

    // What `kubectl create job --from=cronjob/NAME` does.
    let cron_jobs: Api<CronJob> = Api::namespaced(around.client.clone(), release.namespace);
    let cron_job = cron_jobs.list(&ListParams::default()).await?.items.remove(0);
    let job = json!({ "metadata": { "name": "by-hand" }, "spec": cron_job.spec.job_template.spec });
    let jobs: Api<Job> = Api::namespaced(around.client.clone(), release.namespace);
    create(&jobs, job).await?;
    eventually("the Job to complete", PATIENCE, async || {
        let status = jobs.get("by-hand").await?.status.unwrap_or_default();
        ensure!(status.succeeded == Some(1), "{status:?}");
        Ok(())
    })
    .await
    .with_context(|| nodes.last_words())?;
    let copy = cluster::secret(&around.client, "cron-a", "cron-pull").await?;
    let password = cluster::password(&copy.context("there is no copy")?, &host(ACCOUNT))?;
    ensure!(around.aws.issued().iter().any(|token| token.password == password));
    around.helm.uninstall(release).await
}

/// The roll-out of a release's Deployment.
struct Rollout {
    deployments: Api<Deployment>,
    pods: Api<Pod>,
    name: String,
}

impl Rollout {
    async fn of(client: &Client, release: Release<'_>) -> Result<Self> {
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), release.namespace);
        let all = deployments.list(&ListParams::default()).await?;
        let name = all.items.first().context("the release has no Deployment")?.name_any();
        let pods = Api::namespaced(client.clone(), release.namespace);
        Ok(Self { deployments, pods, name })
    }

    /// Waits until all replicas are of the newest template, and ready.
    async fn done(&self, replicas: i32) -> Result<()> {
        eventually("the roll-out to be done", PATIENCE, async || {
            let deployment = self.deployments.get(&self.name).await?;
            let status = deployment.status.unwrap_or_default();
            let seen = status.observed_generation == deployment.metadata.generation;
            let counts = [status.replicas, status.updated_replicas, status.available_replicas];
            ensure!(seen && counts == [Some(replicas); 3], "{status:?}");
            Ok(())
        })
        .await
    }

    /// What `kubectl rollout restart` does.
    async fn restart(&self) -> Result<()> {
        let annotations = json!({ "kubectl.kubernetes.io/restartedAt": "now" });
        let patch =
            json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } });
        self.deployments.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// The names of the Pods with the number of their restarts, in order.
    async fn pods(&self) -> Result<Vec<(String, i32)>> {
        let pods = self.pods.list(&ListParams::default()).await?.items.into_iter();
        let restarts = |pod: &Pod| {
            let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
            Some(statuses.iter().map(|status| status.restart_count).sum())
        };
        let mut pods: Vec<_> =
            pods.map(|pod| (pod.name_any(), restarts(&pod).unwrap_or_default())).collect();
        pods.sort();
        Ok(pods)
    }
}

/// The kernel's word on the daemon's processes in containers.
fn containers_are_confined() -> Result<()> {
    let processes: Vec<_> = fs::read_dir("/proc")?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            fs::read(path.join("cmdline")).is_ok_and(|line| line == b"/ecr-refresher\0run\0")
        })
        .collect();
    ensure!(processes.len() == 2, "{} processes", processes.len());
    processes.iter().try_for_each(|process| is_confined(process))
}

fn is_confined(process: &Path) -> Result<()> {
    let status = fs::read_to_string(process.join("status"))?;
    for line in [
        "Uid:\t65532\t65532\t65532\t65532",
        "Gid:\t65532\t65532\t65532\t65532",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        // A filter of system calls.
        "Seccomp:\t2",
    ] {
        ensure!(status.lines().any(|other| other == line), "not {line:?} in {status}");
    }
    let mounts = fs::read_to_string(process.join("mountinfo"))?;
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"));
    let options = root.and_then(|line| line.split(' ').nth(5)).context("it has no root")?;
    ensure!(options.split(',').any(|option| option == "ro"), "its root is {options}");
    Ok(())
}

async fn pulls(client: &Client, namespace: &str) -> Result<()> {
    let image = format!("{}/{APPLICATION}", host(ACCOUNT));
    let with = PullsWith::Secret("inst-pull");
    let pod = RunningPod::create(client, namespace, "application", &image, with).await?;
    pod.runs(PATIENCE).await?;
    pod.delete(PATIENCE).await
}

/// Adds a namespace to the config, as `kubectl edit configmap` would.
async fn edit_config(client: &Client, release: Release<'_>) -> Result<()> {
    let config_maps: Api<ConfigMap> = Api::namespaced(client.clone(), release.namespace);
    let all = config_maps.list(&ListParams::default()).await?;
    let ours = all
        .iter()
        .find_map(|map| Some((map.name_any(), map.data.as_ref()?.get("config.yaml")?.clone())));
    let (name, text) = ours.context("the release has no config")?;
    let edited = text.replace("- inst-?", "- inst-?\n  - late");
    ensure!(edited != text, "the config has no `- inst-?`: {text}");
    let patch = Patch::Merge(json!({ "data": { "config.yaml": edited } }));
    config_maps.patch(&name, &PatchParams::default(), &patch).await?;
    Ok(())
}

async fn holds_good_token(around: &Surroundings, namespace: &str) -> Result<()> {
    let good = |copy: &Secret| {
        let password = cluster::password(copy, &host(ACCOUNT))?;
        ensure!(around.aws.accepts(&password), "its token is dead");
        Ok(())
    };
    eventually_secret(&around.client, namespace, "inst-pull", PATIENCE, good).await.map(drop)
}

/// Looks at a copy again and again until `change` is done: at each moment its token is good.
async fn without_a_gap(
    around: &Surroundings,
    change: impl Future<Output = Result<()>>,
) -> Result<()> {
    let mut change = std::pin::pin!(change);
    loop {
        let copy = cluster::secret(&around.client, "inst-a", "inst-pull").await?;
        let password = cluster::password(&copy.context("the copy is gone")?, &host(ACCOUNT))?;
        ensure!(around.aws.accepts(&password), "the token in the copy is dead");
        if let Ok(done) = timeout(PAUSE, &mut change).await {
            return done;
        }
    }
}
