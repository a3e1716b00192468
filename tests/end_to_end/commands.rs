//! The read-only commands, run by an operator with read-only rights.

use std::{
    io::{Seek, Write},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{create, create_namespace, label_namespace, patch_secret},
    control_plane::{AuditLog, ControlPlane, Request, user_name},
    daemon::{self, Installation},
    fake_aws::FakeAws,
    wait::eventually,
};
use k8s_openapi::api::{
    core::v1::{Namespace, Secret, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};

use crate::{events::eventually_event, scenario::Scenario};

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("status shows every copy, what fails first, and writes nothing", status),
        Scenario::new("plan shows what an edited config would do, and writes nothing", plan),
        Scenario::new("explain names the line of the config and the state of the copy", explain),
        Scenario::new("without a file, the config is that of the release in the cluster", found),
    ]
}

/// After a rollout: copies in the namespaces `NAME-a` to `NAME-e`, a foreign Secret in `NAME-f`,
/// `NAME-g` on the deny-list, and `NAME-h` on its way out. The daemon has ended.
struct Stage {
    installation: Installation,
    operator: Operator,
    audit: AuditLog,
}

/// The right to list the objects that the commands read, and no other right.
pub(crate) struct Operator {
    pub(crate) kubeconfig: PathBuf,
    pub(crate) user: String,
}

impl Stage {
    async fn new(control_plane: &Arc<ControlPlane>, name: &str) -> Result<Self> {
        let client = control_plane.admin_client();
        for letter in ["a", "b", "c", "d", "e", "f", "g"] {
            create_namespace(&client, &format!("{name}-{letter}"), &[]).await?;
        }
        create_terminating(control_plane, &format!("{name}-h")).await?;
        let foreign = json!({
            "metadata": { "name": format!("{name}-pull") },
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": { ".dockerconfigjson": "{}" },
        });
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &format!("{name}-f"));
        create(&secrets, foreign).await?;
        let aws = FakeAws::start().await?;
        // So that for half an hour, however long this takes, 12 whole hours are left.
        aws.set_token_life(Duration::from_mins(12 * 60 + 30));
        let allow = json!([format!("{name}-?")]);
        let config = config(name, &json!({ "allow": allow, "deny": [format!("{name}-g")] }));
        let installation = Installation::new(control_plane, name, config).await?;
        let daemon = installation.start_ready(&aws).await?;
        let (namespace, secret) = (format!("{name}-f"), format!("{name}-pull"));
        eventually_event(&client, &namespace, &secret, "ConflictingSecret").await?;
        ensure!(daemon.stop().await?.success());
        Ok(Self {
            installation,
            operator: operator(control_plane, name, may_look(&secret)).await?,
            audit: control_plane.audit().from_now()?,
        })
    }

    /// Runs a command as the operator, with a config. Returns its exit code and what it printed; it
    /// logs nothing.
    async fn run(&self, arguments: &[&str], config: &Value) -> Result<(i32, String)> {
        let output = self.run_as(&self.operator.kubeconfig, arguments, &config.to_string()).await?;
        ensure!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok((code(&output)?, String::from_utf8(output.stdout)?))
    }

    /// Runs a command for the release, with this kubeconfig.
    async fn run_as(&self, kubeconfig: &Path, arguments: &[&str], config: &str) -> Result<Output> {
        let release = self.installation.release();
        run(kubeconfig, &[arguments, &["--release", &release]].concat(), config).await
    }

    /// Makes sure that so many lists, of whatever length, are all that a user asked for, but who it is and the Lease.
    async fn only_listed(&self, user: &str, times: usize) -> Result<()> {
        eventually("the lists in the audit log", PATIENCE, async || {
            let requests = self.audit.requests_by(user)?;
            let is_for_header = |request: &&Request| {
                ["/selfsubjectreviews", "/leases/"].iter().any(|part| request.uri.contains(part))
            };
            let lists = || requests.iter().filter(|request| !is_for_header(request));
            ensure!(lists().all(|request| request.verb == "list"), "{requests:?}");
            let begins = lists().filter(|request| !request.uri.contains("continue="));
            ensure!(begins.count() == times, "{requests:?}");
            Ok(())
        })
        .await
    }
}

pub(crate) fn config(name: &str, namespaces: &Value) -> Value {
    json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": format!("{name}-pull"), "namespaces": namespaces }],
    })
}

/// Makes a namespace that is being deleted, and never gone.
async fn create_terminating(control_plane: &ControlPlane, name: &str) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(control_plane.admin_client());
    let held = json!({ "metadata": { "name": name, "finalizers": ["example.com/hold"] } });
    create(&namespaces, held).await?;
    namespaces.delete(name, &DeleteParams::default()).await?;
    Ok(())
}

/// The rights that docs/commands.md names.
fn may_look(secret: &str) -> Value {
    json!([
        { "apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"] },
        { "apiGroups": [""], "resources": ["secrets"], "resourceNames": [secret], "verbs": ["list"] },
        { "apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["list"] },
        { "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"] },
    ])
}

/// Makes a ServiceAccount that has rights by these rules alone.
pub(crate) async fn operator(
    control_plane: &ControlPlane,
    name: &str,
    rules: Value,
) -> Result<Operator> {
    let client = control_plane.admin_client();
    let (home, role) = (format!("{name}-operator"), format!("{name}-operator"));
    create_namespace(&client, &home, &[]).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &home);
    create(&accounts, json!({ "metadata": { "name": "operator" } })).await?;
    let rules = json!({ "metadata": { "name": role }, "rules": rules });
    create(&Api::<ClusterRole>::all(client.clone()), rules).await?;
    let binding = json!({
        "metadata": { "name": role },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
        "subjects": [{ "kind": "ServiceAccount", "name": "operator", "namespace": home }],
    });
    create(&Api::<ClusterRoleBinding>::all(client), binding).await?;
    let kubeconfig = control_plane.kubeconfig_for(&home, "operator").await?;
    let client = control_plane.client_for(&home, "operator").await?;
    eventually("the operator's rights to be in force", PATIENCE, async || {
        Api::<Namespace>::all(client.clone()).list(&ListParams::default().limit(1)).await?;
        Ok(())
    })
    .await?;
    Ok(Operator { kubeconfig, user: user_name(&home, "operator") })
}

pub(crate) async fn run(kubeconfig: &Path, arguments: &[&str], config: &str) -> Result<Output> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, config)?;
    let mut command = Command::new(daemon::program()?);
    command.args(arguments).arg("--kubeconfig").arg(kubeconfig);
    command.args(["--config", "config.yaml"]).current_dir(folder.path()).env_remove("RUST_LOG");
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    // What is printed is searched for passwords, as every log is.
    let log = daemon::logs()?.join(format!("{}-{}.log", arguments[0], fastrand::u32(..)));
    std::fs::write(log, [&output.stdout[..], &output.stderr].concat())?;
    Ok(output)
}

pub(crate) fn code(output: &Output) -> Result<i32> {
    output.status.code().context("it was killed")
}

async fn found(control_plane: Arc<ControlPlane>) -> Result<()> {
    let stage = Stage::new(&control_plane, "found").await?;
    let run = async |arguments: &[&str], input: Option<String>| {
        let mut command = Command::new(daemon::program()?);
        command.args(arguments).arg("--kubeconfig").arg(control_plane.admin_kubeconfig());
        let file = tempfile::tempfile()?;
        if let Some(input) = input {
            (&file).write_all(input.as_bytes())?;
            (&file).rewind()?;
        }
        command.stdin(file).env_remove("RUST_LOG");
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let (printed, errors) =
            (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        anyhow::Ok((output.status.code(), printed, errors))
    };
    let release = stage.installation.release();
    let (code, names, errors) =
        run(&["status", "--release", &release, "-o", "name", "--state", "fresh"], None).await?;
    ensure!(code == Some(1), "{errors}");
    ensure!(names.starts_with("found-a/found-pull\nfound-b/found-pull\n"), "{names}{errors}");
    let (_, explained, errors) = run(&["explain", "found-g", "--release", &release], None).await?;
    ensure!(explained.contains(&format!("(ConfigMap {release}:")), "{explained}{errors}");

    let nobody = format!("{}/nobody", stage.installation.home());
    let (code, _, errors) = run(&["status", "--release", &nobody], None).await?;
    ensure!(code == Some(1) && errors.contains("there is no ConfigMap nobody"), "{errors}");

    let edited = config("found", &json!({ "allow": ["found-a"] })).to_string();
    let arguments = ["plan", "--config", "-", "--release", &release, "--no-headers"];
    let (code, plan, errors) = run(&arguments, Some(edited)).await?;
    ensure!(
        code == Some(0) && plan.contains("found-b") && plan.contains("prune"),
        "{plan}{errors}"
    );
    Ok(())
}

async fn status(control_plane: Arc<ControlPlane>) -> Result<()> {
    let stage = Stage::new(&control_plane, "look").await?;
    let deny = |namespaces: &[&str]| json!({ "allow": ["look-?"], "deny": namespaces });
    // `look-e` has a copy that this config does not want.
    let config_now = config("look", &deny(&["look-e", "look-g"]));
    let (code, text) = stage.run(&["status"], &config_now).await?;
    ensure!(code == 1, "{text}");
    let (header, table) = text.split_once("\n\n").context("no header")?;
    let (user, release) = (&stage.operator.user, stage.installation.release());
    ensure!(header.starts_with("cluster    https://") && header.contains(user), "{header}");
    ensure!(header.contains(&format!("\nrelease    {release}, no replica leads\n")), "{header}");
    ensure!(header.contains("\nregistry   main: token 12h "), "{header}");
    let rows: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    ensure!(rows[0] == ["SECRET", "NAMESPACE", "STATE", "LEFT"], "{text}");
    ensure!(rows[1] == ["look-pull", "look-f", "conflict", "-"], "{text}");
    let states = ["a", "b", "c", "d", "e"]
        .map(|letter| (format!("look-{letter}"), if letter == "e" { "unwanted" } else { "fresh" }));
    for (row, (namespace, state)) in rows[2..].iter().zip(&states) {
        ensure!(row[..4] == ["look-pull", namespace, state, "12h"], "{text}");
    }
    ensure!(text.ends_with("\n6 copies: 4 fresh, 1 conflict, 1 unwanted\n"), "{text}");
    let (code, text) = stage.run(&["status", "--failing"], &config_now).await?;
    ensure!(code == 1 && text.lines().count() == 7, "{text}");

    let (code, json) = stage.run(&["status", "-o", "json"], &config_now).await?;
    let json: Value = serde_json::from_str(&json)?;
    ensure!(code == 1 && json["good"] == false && json["counts"]["fresh"] == 4, "{json}");
    let copies = json["copies"].as_array().context("no copies")?;
    ensure!(copies[0]["namespace"] == "look-f" && copies[0]["expiresAt"].is_null(), "{json}");
    ensure!(json["user"] == *user && json["registries"][0]["name"] == "main", "{json}");
    ensure!(copies[1]["secondsLeft"].as_i64().is_some_and(|left| left > 40_000), "{json}");
    stage.only_listed(&stage.operator.user, 9).await?;

    // The daemon's own rights are enough too.
    let good = config("look", &deny(&["look-f", "look-g"])).to_string();
    let output = stage.run_as(stage.installation.kubeconfig(), &["status"], &good).await?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(output.status.success() && text.ends_with("\n5 copies: 5 fresh\n"), "{text}");
    stage.only_listed(&stage.installation.user(), 3).await
}

async fn plan(control_plane: Arc<ControlPlane>) -> Result<()> {
    let stage = Stage::new(&control_plane, "plan").await?;
    let admin = control_plane.admin_client();
    let edit = json!({ "data": { ".dockerconfigjson": "e30=" } });
    patch_secret(&admin, "plan-b", "plan-pull", &edit).await?;
    let edit = json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": null } } });
    patch_secret(&admin, "plan-c", "plan-pull", &edit).await?;
    let mut edited = config("plan", &json!({ "allow": ["plan-?"], "deny": ["plan-d", "plan-h"] }));
    let (code, text) = stage.run(&["plan"], &edited).await?;
    let expected = "\
SECRET      NAMESPACE   ACTION    WHY
plan-pull   plan-d      prune     `plan-d` denies it; after 10m
plan-pull   plan-g      create    it is missing
plan-pull   plan-b      replace   it was changed by unknown
plan-pull   plan-c      replace   another client has changed it
plan-pull   plan-f      skip      a foreign Secret, written by unknown
7 copies: 1 prune, 1 create, 2 replace, 1 skip, 2 keep
";
    let (_, table) = text.split_once("\n\n").context("no header")?;
    ensure!(code == 0 && table == expected, "{text}");

    edited["secrets"][0]["onConflict"] = "adopt".into();
    edited["secrets"][0]["namespaces"] = json!(["plan-[abcefgh]"]);
    edited["prune"] = json!({ "enabled": false });
    let (code, json) = stage.run(&["plan", "--all", "--output", "json"], &edited).await?;
    let json: Value = serde_json::from_str(&json)?;
    let copies = json["copies"].as_array().context("no copies")?;
    let actions: Vec<_> = copies
        .iter()
        .filter_map(|copy| Some((copy["action"].as_str()?, copy["namespace"].as_str()?)))
        .collect();
    let expected = [
        ("create", "plan-g"),
        ("replace", "plan-b"),
        ("replace", "plan-c"),
        ("adopt", "plan-f"),
        ("skip", "plan-h"),
        ("leave", "plan-d"),
        ("keep", "plan-a"),
        ("keep", "plan-e"),
    ];
    ensure!(code == 0 && actions == expected, "{json}");
    stage.only_listed(&stage.operator.user, 6).await?;

    let typo = config("plan", &json!(["plan-?", "paln-a"])).to_string();
    let output = stage.run_as(&stage.operator.kubeconfig, &["plan"], &typo).await?;
    let warning = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{warning}");
    ensure!(warning.starts_with("warning: config.yaml:1:"), "{warning}");
    let end = "no namespace matches `paln-a` of plan-pull; did you mean `plan-a`?\n";
    ensure!(warning.ends_with(end), "{warning}");
    stage.only_listed(&stage.operator.user, 9).await
}

/// The config of which `explain` names the lines.
const EXPLAINED: &str = "\
registries:
  - name: main
    ecr: { region: eu-west-1 }
secrets:
  - name: why-pull
    namespaces:
      allow:
        - why-?
        - why-other
      deny: [why-g]
      selector:
        matchExpressions:
          - { key: frozen, operator: DoesNotExist }
";

async fn explain(control_plane: Arc<ControlPlane>) -> Result<()> {
    let stage = Stage::new(&control_plane, "why").await?;
    let admin = control_plane.admin_client();
    label_namespace(&admin, "why-b", "frozen", Some("yes")).await?;
    let explain = async |namespace: &str| -> Result<(i32, String)> {
        let arguments = ["explain", namespace];
        let output = stage.run_as(&stage.operator.kubeconfig, &arguments, EXPLAINED).await?;
        Ok((code(&output)?, String::from_utf8(output.stdout)?))
    };
    for (namespace, expected_code, expected) in [
        ("why-a", 0, &["allowed by `why-?` (config.yaml:8:11)", "fresh, ours, 12h "][..]),
        (
            "why-b",
            0,
            &["with frozen=yes", "selector (config.yaml:11:7) asks for !frozen", "unwanted, ours"],
        ),
        ("why-g", 0, &["denied by `why-g` (config.yaml:10:14)", "  copy     none\n"]),
        (
            "why-f",
            1,
            &[
                "conflict: a foreign Secret",
                "event    Warning ConflictingSecret, ",
                " ago: a Secret of another owner",
            ],
        ),
        ("why-h", 1, &["why-h: the namespace is being deleted"]),
        (
            "why-othr",
            1,
            &["there is no such namespace", "the nearest is `why-other` (config.yaml:9:11)"],
        ),
    ] {
        let (code, text) = explain(namespace).await?;
        ensure!(code == expected_code, "{code}: {text}");
        for part in expected {
            ensure!(text.contains(part), "{part:?} is not in: {text}");
        }
    }
    // A list of the namespaces, two of the Secrets and one of the Events each.
    stage.only_listed(&stage.operator.user, 6 * 4).await?;

    // The daemon may write Events and not read them: nothing is said of them.
    let arguments = ["explain", "why-f", "--output", "json"];
    let output = stage.run_as(stage.installation.kubeconfig(), &arguments, EXPLAINED).await?;
    ensure!(code(&output)? == 1 && output.stderr.is_empty(), "{output:?}");
    let json: Value = serde_json::from_slice(&output.stdout)?;
    let about = &json["secrets"][0];
    ensure!(about["config"]["by"]["line"] == 8 && about["copy"]["state"] == "conflict", "{json}");
    ensure!(about["lastEvent"].is_null(), "{json}");
    stage.only_listed(&stage.installation.user(), 4).await
}
