//! What the chart renders, and what it leaves out.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{chart, tools::Tool};
use serde_json::{Value, json};

use crate::scenario::Scenario;

/// The kinds of the objects of the least that works, one each.
const LEAST: [&str; 10] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
    "Deployment",
    "Role",
    "RoleBinding",
    "Service",
    "ServiceAccount",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];

/// What each option adds to these kinds (+), and what it takes away (-).
const KINDS: [(&str, &[&str]); 15] = [
    ("default", &[]),
    ("service-monitor", &["+ServiceMonitor"]),
    ("pod-monitor", &["+PodMonitor"]),
    ("alerts", &["+PrometheusRule", "+ConfigMap"]),
    ("network-policy", &["+NetworkPolicy"]),
    ("two-replicas", &["+PodDisruptionBudget"]),
    ("flow-schema", &["+FlowSchema", "+PriorityLevelConfiguration"]),
    ("static-keys", &["+Secret"]),
    ("existing-keys", &[]),
    ("extra-objects", &["+ConfigMap", "+ConfigMap"]),
    ("cronjob-least", &["+CronJob", "-Deployment", "-Service"]),
    (
        "cronjob",
        &[
            "+CronJob",
            "-Deployment",
            "-Service",
            "+NetworkPolicy",
            "+ValidatingAdmissionPolicy",
            "+ValidatingAdmissionPolicyBinding",
        ],
    ),
    ("service-accounts", &["+ValidatingAdmissionPolicy", "+ValidatingAdmissionPolicyBinding"]),
    (
        "foreign-service-account",
        &["-ServiceAccount", "-ValidatingAdmissionPolicy", "-ValidatingAdmissionPolicyBinding"],
    ),
    ("no-leader-election", &[]),
];

pub(crate) fn tests() -> Vec<Scenario> {
    [
        Scenario::apart(
            "an object of the chart is there when its option is on, and only then",
            kinds,
        ),
        Scenario::apart(
            "a change that needs a restart restarts the Pod, and no other does",
            restarts,
        ),
        Scenario::apart("the port of the config is that of all objects", one_port),
        Scenario::apart(
            "the Service has the IP families of the cluster or the values",
            ip_families,
        ),
        Scenario::apart("registries at AWS get the folder of the keys, unless they name one", keys),
        Scenario::apart(
            "the objects of a release do not depend on the order of the pull Secrets",
            order,
        ),
    ]
    .map(|scenario| scenario.needing(&[Tool::Helm]))
    .into()
}

/// The chart with one of its files of values.
pub(crate) async fn example(name: &str) -> Result<Vec<Value>> {
    let file = Path::new(chart::CHART).join(format!("ci/{name}-values.yaml"));
    let rendering = move || chart::render_file(&file, "release", "home");
    let objects = tokio::task::spawn_blocking(rendering).await?;
    objects.with_context(|| format!("rendering {name}"))
}

/// The chart with these values.
pub(crate) async fn render(values: Value) -> Result<Vec<Value>> {
    tokio::task::spawn_blocking(move || chart::render(&values, "release", "home")).await?
}

fn count_kinds(objects: &[Value]) -> BTreeMap<&str, usize> {
    let mut kinds = BTreeMap::new();
    for object in objects {
        *kinds.entry(object["kind"].as_str().unwrap_or_default()).or_default() += 1;
    }
    kinds
}

async fn kinds() -> Result<()> {
    for (name, differences) in KINDS {
        let mut expected = BTreeMap::from(LEAST.map(|kind| (kind, 1)));
        for difference in differences {
            let (sign, kind) = difference.split_at(1);
            let count = expected.entry(kind).or_default();
            *count = if sign == "+" { *count + 1 } else { *count - 1 };
        }
        expected.retain(|_, count| *count > 0);
        let objects = example(name).await?;
        let kinds = count_kinds(&objects);
        ensure!(kinds == expected, "{name}: {kinds:?}, and not {expected:?}");
    }
    Ok(())
}

fn values(config: Value) -> Value {
    let mut whole = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": "one", "namespaces": ["team-*"] }],
    });
    if let (Some(whole), Value::Object(config)) = (whole.as_object_mut(), config) {
        whole.extend(config);
    }
    json!({ "config": whole })
}

async fn restarts() -> Result<()> {
    let template = async |config: Value| {
        let objects = render(values(config)).await?;
        anyhow::Ok(chart::pod_template(&objects)?.clone())
    };
    let least = template(json!({})).await?;
    let followed = [
        json!({ "secrets": [{ "name": "two", "namespaces": ["*"], "serviceAccounts": ["default"] }] }),
        json!({ "registries": [{ "name": "main", "ecr": { "region": "eu-west-2" } }] }),
        json!({ "refresh": { "spread": "0s" }, "prune": { "enabled": false } }),
    ];
    for config in followed {
        ensure!(template(config.clone()).await? == least, "{config} restarts the Pod");
    }
    let not_followed =
        [json!({ "leaderElection": { "enabled": false } }), json!({ "listen": "127.0.0.1:8080" })];
    for config in not_followed {
        ensure!(template(config.clone()).await? != least, "{config} does not restart the Pod");
    }
    Ok(())
}

async fn one_port() -> Result<()> {
    let mut values = values(json!({ "listen": "[::]:9108" }));
    values["networkPolicy"] = json!({ "enabled": true });
    let objects = render(values).await?;
    let container = &chart::pod_template(&objects)?["spec"]["containers"][0];
    ensure!(container["ports"] == json!([{ "name": "http", "containerPort": 9108 }]));
    let service = &chart::find(&objects, "Service")?["spec"]["ports"][0];
    ensure!(service["port"] == 9108 && service["targetPort"] == "http", "{service}");
    let ingress = &chart::find(&objects, "NetworkPolicy")?["spec"]["ingress"];
    ensure!(ingress == &json!([{ "ports": [{ "port": "http" }] }]), "{ingress}");
    for probe in ["livenessProbe", "readinessProbe"] {
        ensure!(container[probe]["httpGet"]["port"] == "http", "{}", container[probe]);
    }
    Ok(())
}

async fn ip_families() -> Result<()> {
    let service =
        async |values| anyhow::Ok(chart::find(&render(values).await?, "Service")?.clone());
    let default = service(values(json!({}))).await?;
    ensure!(default["spec"]["ipFamilyPolicy"] == "PreferDualStack", "{default}");
    ensure!(default["spec"].get("ipFamilies").is_none(), "{default}");
    ensure!(default["spec"]["ports"][0]["port"] == 8080, "{default}");
    let mut one = values(json!({ "listen": "0.0.0.0:9108" }));
    one["service"] = json!({ "ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"] });
    let one = service(one).await?;
    ensure!(one["spec"]["ipFamilyPolicy"] == "SingleStack", "{one}");
    ensure!(one["spec"]["ipFamilies"] == json!(["IPv4"]), "{one}");
    ensure!(one["spec"]["ports"][0]["port"] == 9108, "{one}");
    Ok(())
}

async fn keys() -> Result<()> {
    let objects = example("existing-keys").await?;
    let config: Value = chart::documents(chart::config(&objects)?)?.remove(0);
    let folder = |place: &str| config.pointer(&format!("/registries/{place}/credentialsDirectory"));
    let [own, theirs] = ["/var/run/secrets/aws", "/var/run/secrets/aws-cn"].map(Value::from);
    ensure!(folder("0/ecr") == Some(&own) && folder("1/ecrPublic") == Some(&own), "{config}");
    ensure!(folder("2/ecr") == Some(&theirs), "{config}");
    let mounts = &chart::pod_template(&objects)?["spec"]["containers"][0]["volumeMounts"];
    let mount = mounts.as_array().context("no mounts")?.iter();
    ensure!(mount.filter(|mount| mount["mountPath"] == own).count() == 1, "{mounts}");

    let objects = example("default").await?;
    ensure!(!chart::config(&objects)?.contains("credentialsDirectory"));
    Ok(())
}

async fn order() -> Result<()> {
    let secrets = ["one", "two", "three"];
    let secrets = secrets.map(|name| json!({ "name": name, "namespaces": ["*"] }));
    let mut backwards = secrets.clone();
    backwards.reverse();
    let one = render(values(json!({ "secrets": secrets }))).await?;
    let other = render(values(json!({ "secrets": backwards }))).await?;
    let except_config = |objects: Vec<Value>| {
        let objects = objects.into_iter().filter(|object| object["kind"] != "ConfigMap");
        objects.collect::<Vec<_>>()
    };
    ensure!(except_config(one) == except_config(other));
    Ok(())
}
