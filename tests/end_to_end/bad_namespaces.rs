//! A namespace in which no copy can be made, for whatever reason, holds up no other.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace, delete_secret, eventually_secret},
    control_plane::{ControlPlane, Filter, Request},
    daemon::{Daemon, Installation},
    fake_aws::FakeAws,
    wait::eventually,
};
use k8s_openapi::api::{
    admissionregistration::v1::{
        ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
    },
    core::v1::{ConfigMap, Namespace, ResourceQuota, Secret},
};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{rollout::HOST, scenario::Scenario};

const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("a namespace with an exhausted quota delays no other", quota),
        Scenario::new("a namespace that an admission policy refuses delays no other", policy),
        Scenario::new(
            "a namespace with an admission webhook that is down delays no other",
            webhook,
        ),
        Scenario::new("a terminating namespace gets no writes and delays no other", terminating),
    ]
}

async fn quota(control_plane: Arc<ControlPlane>) -> Result<()> {
    let bad = BadNamespace::create(&control_plane, "quota").await?;
    let quotas: Api<ResourceQuota> = Api::namespaced(bad.client.clone(), &bad.namespace('x'));
    let none =
        json!({ "metadata": { "name": "none" }, "spec": { "hard": { "count/secrets": "0" } } });
    create(&quotas, &none).await?;
    bad.refuses("exceeded quota").await?;
    let running = bad.holds_up_no_other("failed", "quota_exceeded").await?;
    quotas.delete("none", &DeleteParams::default()).await?;
    running.heals(&bad).await
}

async fn policy(control_plane: Arc<ControlPlane>) -> Result<()> {
    let bad = BadNamespace::create(&control_plane, "policy").await?;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(bad.client.clone());
    let policy = json!({
        "metadata": { "name": "policy-x" },
        "spec": {
            "matchConstraints": { "resourceRules": [new_secrets()] },
            "validations": [{
                "expression": "object.metadata.name != 'policy-pull'",
                "message": "no pull Secrets here",
            }],
        },
    });
    create(&policies, &policy).await?;
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(bad.client.clone());
    let binding = json!({
        "metadata": { "name": "policy-x" },
        "spec": {
            "policyName": "policy-x",
            "validationActions": ["Deny"],
            "matchResources": { "namespaceSelector": bad.selector() },
        },
    });
    create(&bindings, &binding).await?;
    bad.refuses("no pull Secrets here").await?;
    let running = bad.holds_up_no_other("failed", "forbidden").await?;
    bindings.delete("policy-x", &DeleteParams::default()).await?;
    policies.delete("policy-x", &DeleteParams::default()).await?;
    running.heals(&bad).await
}

async fn webhook(control_plane: Arc<ControlPlane>) -> Result<()> {
    let bad = BadNamespace::create(&control_plane, "webhook").await?;
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(bad.client.clone());
    let webhook = json!({
        "metadata": { "name": "webhook-x" },
        "webhooks": [{
            "name": "down.example.com",
            // Nothing listens there.
            "clientConfig": { "url": "https://127.0.0.1:1/" },
            "rules": [new_secrets()],
            "namespaceSelector": bad.selector(),
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }],
    });
    create(&webhooks, &webhook).await?;
    bad.refuses("failed calling webhook").await?;
    let running = bad.holds_up_no_other("failed", "server_error").await?;
    webhooks.delete("webhook-x", &DeleteParams::default()).await?;
    running.heals(&bad).await
}

/// What admission plugins are to look at.
fn new_secrets() -> Value {
    json!({
        "apiGroups": [""], "apiVersions": ["v1"],
        "resources": ["secrets"], "operations": ["CREATE"],
    })
}

async fn create<K>(api: &Api<K>, object: &Value) -> Result<()>
where
    K: Clone + std::fmt::Debug + DeserializeOwned + serde::Serialize,
{
    api.create(&PostParams::default(), &serde_json::from_value(object.clone())?).await?;
    Ok(())
}

/// A namespace `NAME-x` in which no copy can be made, beside `NAME-a` and `NAME-b`, where it can.
struct BadNamespace {
    control_plane: Arc<ControlPlane>,
    client: Client,
    name: &'static str,
}

/// A daemon that has done what it can.
struct Running {
    daemon: Daemon,
    _installation: Installation,
    _aws: FakeAws,
}

impl BadNamespace {
    async fn create(control_plane: &Arc<ControlPlane>, name: &'static str) -> Result<Self> {
        let control_plane = Arc::clone(control_plane);
        let client = control_plane.admin_client();
        let this = Self { control_plane, client, name };
        for letter in ['a', 'b', 'x'] {
            create_namespace(&this.client, &this.namespace(letter), &[]).await?;
        }
        Ok(this)
    }

    fn namespace(&self, letter: char) -> String {
        format!("{}-{letter}", self.name)
    }

    fn secret(&self) -> String {
        format!("{}-pull", self.name)
    }

    /// Where admission plugins are to look.
    fn selector(&self) -> Value {
        json!({ "matchLabels": { "kubernetes.io/metadata.name": self.namespace('x') } })
    }

    fn copies(&self, state: &str) -> String {
        format!("ecr_refresher_copies{{secret=\"{}\",state=\"{state}\"}}", self.secret())
    }

    fn expiration(&self, letter: char) -> String {
        format!(
            "ecr_refresher_copy_expiration_timestamp_seconds{{namespace=\"{}\",secret=\"{}\"}}",
            self.namespace(letter),
            self.secret()
        )
    }

    /// Waits until a Secret of the copies' name is refused, with these words, even to an
    /// administrator.
    async fn refuses(&self, words: &str) -> Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace('x'));
        let secret = serde_json::from_value(json!({ "metadata": { "name": self.secret() } }))?;
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        eventually("a refusal", PATIENCE, async || match secrets.create(&dry_run, &secret).await {
            Err(kube::Error::Api(status)) if status.message.contains(words) => Ok(()),
            other => bail!("{other:?}"),
        })
        .await
    }

    /// Starts the daemon: the others have their copies at once, and it tries again in the bad one,
    /// ever slower, and says so.
    async fn holds_up_no_other(&self, state: &str, reason: &str) -> Result<Running> {
        let secret = self.secret();
        let config = json!({
            "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
            "secrets": [{ "name": secret, "namespaces": [format!("{}-?", self.name)] }],
        });
        let aws = FakeAws::start().await?;
        let installation = Installation::new(&self.control_plane, self.name, config).await?;
        let audit = self.control_plane.audit().from_now()?;
        let daemon = installation.start_ready(&aws).await?;
        for letter in ['a', 'b'] {
            let copy = cluster::secret(&self.client, &self.namespace(letter), &secret).await?;
            let password = cluster::password(&copy.context("no copy")?, HOST)?;
            ensure!(aws.accepts(&password), "its token is dead");
        }
        daemon.metric_becomes(&self.copies(state), 1.0).await?;
        daemon.metric_becomes(&self.copies("fresh"), 2.0).await?;
        daemon.metric_becomes(&self.expiration('x'), 0.0).await?;
        ensure!(daemon.metric(&self.expiration('a')).await.is_err(), "only what fails is shown");

        let failures = format!(
            "ecr_refresher_copy_writes_total{{reason=\"{reason}\",result=\"failure\",secret=\"{secret}\"}}"
        );
        let patches = Filter::default().verb("patch").resource("secrets").name(&secret);
        let bad = self.namespace('x');
        let tries = eventually("four failures", PATIENCE, async || {
            let count = daemon.metric(&failures).await?;
            let tries = audit.matching(&installation.user(), patches.namespace(&bad))?;
            ensure!(count >= 4.0 && tries.len() >= 4, "{count} failures, {tries:?}");
            Ok(tries)
        })
        .await?;
        // Half of the wait is certain, and half is by the dice.
        check_pauses(&tries, &[0.5, 1.0, 2.0])?;
        for letter in ['a', 'b'] {
            let namespace = self.namespace(letter);
            let writes = audit.count(&installation.user(), patches.namespace(&namespace))?;
            ensure!(writes == 1, "{writes} writes in {namespace}");
        }
        Ok(Running { daemon, _installation: installation, _aws: aws })
    }
}

impl Running {
    /// Waits until the namespace that was bad has its copy.
    async fn heals(&self, bad: &BadNamespace) -> Result<()> {
        let (namespace, secret) = (bad.namespace('x'), bad.secret());
        eventually_secret(&bad.client, &namespace, &secret, PATIENCE, |copy| {
            cluster::password(copy, HOST).map(drop)
        })
        .await?;
        self.daemon.metric_becomes(&bad.copies("fresh"), 3.0).await?;
        ensure!(self.daemon.metric(&bad.expiration('x')).await.is_err(), "it fails no more");
        Ok(())
    }
}

/// Checks that each request came at least this many seconds after the one before it.
pub(crate) fn check_pauses(requests: &[Request], least: &[f64]) -> Result<()> {
    let times: Vec<_> = requests.iter().map(|request| request.received).collect();
    ensure!(times.len() > least.len(), "only {times:?}");
    for (pair, least) in times.windows(2).zip(least) {
        let pause = pair[1].duration_since(pair[0]).as_secs_f64();
        ensure!(pause >= *least, "a pause of {pause} s, and not of {least} s: {times:?}");
    }
    Ok(())
}

async fn terminating(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    for namespace in ["leaving-a", "leaving-x"] {
        create_namespace(&client, namespace, &[]).await?;
    }
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "leaving-x");
    let held = json!({ "metadata": { "name": "held", "finalizers": ["example.com/hold"] } });
    create(&maps, &held).await?;
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": "leaving-pull", "namespaces": ["leaving-?"] }],
    });
    let aws = FakeAws::start().await?;
    let installation = Installation::new(&control_plane, "leaving", config).await?;
    let daemon = installation.start_ready(&aws).await?;
    let fresh = r#"ecr_refresher_copies{secret="leaving-pull",state="fresh"}"#;
    daemon.metric_becomes(fresh, 2.0).await?;

    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.delete("leaving-x", &DeleteParams::default()).await?;
    let audit = control_plane.audit().from_now()?;
    eventually("the copy to go with its namespace", PATIENCE, async || {
        let copy = cluster::secret(&client, "leaving-x", "leaving-pull").await?;
        ensure!(copy.is_none(), "it is there");
        Ok(())
    })
    .await?;
    // Later events of the watches come after all events of the namespace.
    delete_secret(&client, "leaving-a", "leaving-pull").await?;
    create_namespace(&client, "leaving-b", &[]).await?;
    for namespace in ["leaving-a", "leaving-b"] {
        eventually_secret(&client, namespace, "leaving-pull", PATIENCE, |_| Ok(())).await?;
    }
    daemon.metric_becomes(fresh, 2.0).await?;
    daemon
        .metric_becomes(r#"ecr_refresher_copies{secret="leaving-pull",state="missing"}"#, 0.0)
        .await?;
    // Nor does it trouble one that knows nothing of its past.
    ensure!(daemon.stop().await?.success());
    let daemon = installation.start_ready(&aws).await?;
    daemon.metric_becomes(fresh, 2.0).await?;
    let patches = Filter::default().verb("patch").namespace("leaving-x");
    let patches = audit.matching(&installation.user(), patches)?;
    ensure!(patches.is_empty(), "{patches:?}");
    ensure!(namespaces.get("leaving-x").await?.metadata.deletion_timestamp.is_some());

    let release = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    maps.patch("held", &PatchParams::default(), &release).await?;
    eventually("the namespace to go", PATIENCE, async || {
        ensure!(namespaces.get_opt("leaving-x").await?.is_none(), "it is there");
        Ok(())
    })
    .await?;
    create_namespace(&client, "leaving-x", &[]).await?;
    eventually_secret(&client, "leaving-x", "leaving-pull", PATIENCE, |_| Ok(())).await?;
    Ok(())
}
