//! The command line of each program of the control plane.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use super::access::TOKENS;
use super::certificates::{
    AUTHORITY, SERVICE_ACCOUNT_KEY, SERVICE_ACCOUNT_PUBLIC_KEY, SERVING_CERTIFICATE, SERVING_KEY,
};
use super::component::Component;
use super::ports::Ports;
use crate::tools::Tool;

/// The audit log of the API server, in the control plane's folder.
pub(super) const AUDIT_LOG: &str = "audit.log";

/// The socket of the proxy through which the API server reaches nodes, in the control plane's folder.
pub(super) const NODE_PROXY: &str = "nodes.sock";

const AUDIT_POLICY: &str = "audit-policy.yaml";
const EGRESS: &str = "egress.yaml";
const LOGS: &str = "logs";

/// What runs in the controller manager: what namespaces, accounts, quotas and workloads need.
const CONTROLLERS: &[&str] = &[
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "deployment-controller",
    "disruption-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "validatingadmissionpolicy-status-controller",
];

/// The paths of the programs.
pub(super) struct Programs {
    etcd: PathBuf,
    api_server: PathBuf,
    controller_manager: PathBuf,
}

impl Programs {
    /// Finds or builds them; blocks.
    pub(super) fn get() -> Result<Self> {
        Ok(Self {
            etcd: Tool::Etcd.path()?,
            api_server: Tool::KubeApiServer.path()?,
            controller_manager: Tool::KubeControllerManager.path()?,
        })
    }
}

/// The programs of one control plane, none of them started.
#[derive(Debug)]
pub(super) struct Components {
    // Dropped in this order: dependents first.
    pub(super) controller_manager: Component,
    pub(super) api_server: Component,
    pub(super) etcd: Component,
}

impl Components {
    pub(super) fn prepare(
        programs: &Programs,
        folder: &Path,
        ports: &Ports,
        admin_kubeconfig: &Path,
    ) -> Result<Self> {
        std::fs::create_dir(folder.join(LOGS)).context("making the folder of logs")?;
        std::fs::write(folder.join(AUDIT_POLICY), audit_policy())
            .context("writing the audit policy")?;
        std::fs::write(folder.join(EGRESS), egress(&folder.join(NODE_PROXY)))
            .context("writing the egress configuration")?;
        let component = |name, program, flags: Vec<String>| {
            let mut command = Command::new(program);
            command.args(flags).current_dir(folder);
            Component::new(name, command, folder.join(LOGS).join(format!("{name}.log")))
        };
        Ok(Self {
            etcd: component("etcd", &programs.etcd, etcd(ports)),
            api_server: component("kube-apiserver", &programs.api_server, api_server(ports)),
            controller_manager: component(
                "kube-controller-manager",
                &programs.controller_manager,
                controller_manager(admin_kubeconfig),
            ),
        })
    }
}

// All relative paths are in the control plane's folder, where the programs run.

fn etcd(ports: &Ports) -> Vec<String> {
    let client = format!("http://127.0.0.1:{}", ports.etcd_client);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    vec![
        "--data-dir=etcd".into(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--log-level=warn".into(),
        // The data need not outlive the machine.
        "--unsafe-no-fsync".into(),
        // The benchmark writes more than the 2 GiB that are the default.
        "--quota-backend-bytes=8589934592".into(),
    ]
}

fn api_server(ports: &Ports) -> Vec<String> {
    vec![
        "--bind-address=127.0.0.1".into(),
        format!("--secure-port={}", ports.api_server),
        // With it, the server refuses a loopback address.
        "--endpoint-reconciler-type=none".into(),
        "--service-cluster-ip-range=10.0.0.0/24".into(),
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd_client),
        format!("--tls-cert-file={SERVING_CERTIFICATE}"),
        format!("--tls-private-key-file={SERVING_KEY}"),
        format!("--client-ca-file={AUTHORITY}"),
        format!("--token-auth-file={TOKENS}"),
        "--authorization-mode=Node,RBAC".into(),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-key-file={SERVICE_ACCOUNT_PUBLIC_KEY}"),
        format!("--service-account-signing-key-file={SERVICE_ACCOUNT_KEY}"),
        format!("--egress-selector-config-file={EGRESS}"),
        format!("--audit-policy-file={AUDIT_POLICY}"),
        format!("--audit-log-path={AUDIT_LOG}"),
        // Each line is written before its request is done, and the file is never rotated.
        "--audit-log-mode=blocking".into(),
        "--audit-log-maxsize=0".into(),
    ]
}

fn controller_manager(admin_kubeconfig: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", admin_kubeconfig.display()),
        format!("--controllers={}", CONTROLLERS.join(",")),
        format!("--root-ca-file={AUTHORITY}"),
        format!("--service-account-private-key-file={SERVICE_ACCOUNT_KEY}"),
        // There is only one, and no probe reads it.
        "--leader-elect=false".into(),
        "--secure-port=0".into(),
        // A burst of namespaces is common in tests, and they are to go quickly.
        "--kube-api-qps=200".into(),
        "--kube-api-burst=400".into(),
        "--concurrent-namespace-syncs=20".into(),
        "--namespace-sync-period=30s".into(),
        "--resource-quota-sync-period=30s".into(),
    ]
}

/// Has the API server reach nodes, and webhooks, through a proxy, as konnectivity does on real clusters.
fn egress(proxy: &Path) -> String {
    let transport = json!({ "uds": { "udsName": proxy } });
    let connection = json!({ "proxyProtocol": "HTTPConnect", "transport": transport });
    json!({
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "kind": "EgressSelectorConfiguration",
        "egressSelections": [{ "name": "cluster", "connection": connection }],
    })
    .to_string()
}

/// All requests of service accounts with their answers, without contents. The control
/// plane's own programs are not service accounts here, so the log has only requests of tests.
fn audit_policy() -> String {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": true,
        "rules": [
            { "level": "Metadata", "userGroups": ["system:serviceaccounts"] },
            { "level": "None" },
        ],
    })
    .to_string()
}
