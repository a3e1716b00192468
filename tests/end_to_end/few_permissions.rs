//! What the commands say to somebody with few permissions.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use ecr_refresher_tests::{
    cluster::{create, create_namespace},
    control_plane::ControlPlane,
    wait::eventually,
};
use k8s_openapi::api::{
    core::v1::{Secret, ServiceAccount},
    rbac::v1::{Role, RoleBinding},
};
use kube::Api;
use serde_json::json;

use crate::{
    commands::{code, config, operator, run},
    scenario::Scenario,
};

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("explain works with permissions in one namespace alone", tenant),
        Scenario::new("a forbidden list is reported with the user and the remedy", forbidden),
    ]
}

/// Somebody with permissions in one namespace alone.
async fn tenant(control_plane: Arc<ControlPlane>) -> Result<()> {
    let admin = control_plane.admin_client();
    let (namespace, config) =
        ("onlyhere-a", config("onlyhere", &json!(["onlyhere-?"])).to_string());
    create_namespace(&admin, namespace, &[]).await?;
    let secrets: Api<Secret> = Api::namespaced(admin.clone(), namespace);
    let secret =
        json!({ "metadata": { "name": "onlyhere-pull" }, "stringData": { "key": "value" } });
    create(&secrets, secret).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), namespace);
    let foreign = "conflict: a foreign Secret, written by unknown";
    let typed =
        "and its type is not kubernetes.io/dockerconfigjson; a type never changes: delete it";
    for (name, verb, expected) in [("getter", "get", foreign), ("lister", "list", typed)] {
        create(&accounts, json!({ "metadata": { "name": name } })).await?;
        let rules = json!({ "metadata": { "name": name }, "rules": [
            { "apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"] },
            { "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["onlyhere-pull"], "verbs": [verb] },
        ] });
        create(&Api::<Role>::namespaced(admin.clone(), namespace), rules).await?;
        let binding = json!({
            "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name },
            "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": namespace }],
        });
        create(&Api::<RoleBinding>::namespaced(admin.clone(), namespace), binding).await?;
        let kubeconfig = control_plane.kubeconfig_for(namespace, name).await?;
        let arguments = ["explain", namespace, "--release", "home/ecr-refresher"];
        eventually("an explanation", PATIENCE, async || {
            let output = run(&kubeconfig, &arguments, &config).await?;
            let text = String::from_utf8(output.stdout.clone())?;
            ensure!(code(&output)? == 1 && text.contains(expected), "{output:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn forbidden(control_plane: Arc<ControlPlane>) -> Result<()> {
    let rules = json!([{ "apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"] }]);
    let stranger = operator(&control_plane, "stranger", rules).await?;
    let config = config("stranger", &json!(["stranger-?"])).to_string();
    for (arguments, what) in [
        (&["status"][..], "the Secrets named `stranger-pull` in all namespaces"),
        (&["plan"], "the Secrets named `stranger-pull` in all namespaces"),
        (&["explain", "stranger-a"], "the Secret `stranger-pull` in the namespace `stranger-a`"),
    ] {
        let verb = if arguments[0] == "explain" { "get" } else { "list" };
        let output = run(&stranger.kubeconfig, arguments, &config).await?;
        let words = String::from_utf8(output.stderr.clone())?;
        ensure!(code(&output)? == 1 && output.stdout.is_empty(), "{words}");
        let expected = format!("error: `{}` may not {verb} {what}: allow the verb", stranger.user);
        ensure!(words.starts_with(&expected), "{words}");
        ensure!(words.contains("`resourceNames: [stranger-pull]`"), "{words}");
    }
    let wrong = run(&stranger.kubeconfig, &["status"], "registries: []").await?;
    ensure!(code(&wrong)? == 2, "{wrong:?}");
    let output = run(Path::new("/dev/null"), &["status"], &config).await?;
    ensure!(code(&output)? == 1 && output.stderr.starts_with(b"error: "), "{output:?}");
    Ok(())
}
