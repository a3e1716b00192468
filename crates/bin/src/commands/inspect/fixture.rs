//! A cluster for tests, as a config selects from it.

use std::collections::BTreeMap;

use clap::Parser;
use ecr_refresher_sync::{observed::namespace::Namespace, release::Release, snapshot::Snapshot};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Inspection, header::Header};
use crate::{
    cli::{Cli, Command, PlanArgs, StatusArgs},
    config,
};

/// The release that looks.
fn release() -> Release {
    Release::new("home", "ours")
}

/// The arguments of `status`.
pub(super) fn status_args(arguments: &[&str]) -> StatusArgs {
    match command("status", arguments) {
        Command::Status(args) => args,
        other => panic!("{other:?}"),
    }
}

/// The arguments of `plan`.
pub(super) fn plan_args(arguments: &[&str]) -> PlanArgs {
    match command("plan", arguments) {
        Command::Plan(args) => args,
        other => panic!("{other:?}"),
    }
}

fn command(name: &str, arguments: &[&str]) -> Command {
    let line = ["ecr-refresher", name].into_iter().chain(arguments.iter().copied());
    Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).command
}

/// A text without the header that is above it.
pub(super) fn below_header(text: &str) -> &str {
    text.strip_prefix(&Header::default().text()).unwrap_or(text)
}

/// The moment at which everything is looked at.
pub(super) fn now() -> Timestamp {
    "2026-11-23T11:00:00Z".parse().unwrap()
}

/// A config file with one pull Secret, of which `rest` says where it goes and whatever else.
pub(super) fn config(rest: &str) -> String {
    format!(
        "registries: [{{ name: main, ecr: {{ region: eu-west-1 }} }}]\n\
         secrets:\n  - name: ecr-pull\n    {}\n",
        rest.replace('\n', "\n    ")
    )
}

/// The result of a config with namespaces (a name with labels, or with `!` for one that is being
/// deleted) and of Secrets named `ecr-pull`.
pub(super) fn inspect(config: &str, namespaces: &[&str], copies: &[Value]) -> Inspection {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, config).unwrap();
    let (config, locations) =
        config::load_with_locations(&path, "ours").unwrap_or_else(|error| panic!("{error}"));
    let mut snapshot = Snapshot::begin(&config.sync, release(), now());
    for text in namespaces {
        let mut words = text.trim_end_matches('!').split(' ');
        let name = words.next().unwrap();
        let labels: BTreeMap<_, _> = words
            .map(|label| label.split_once('=').unwrap())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        snapshot.add_namespace(name, Namespace { terminating: text.ends_with('!'), labels });
    }
    for copy in copies {
        snapshot.add_copy("ecr-pull", &serde_json::from_value(copy.clone()).unwrap());
    }
    snapshot.end();
    Inspection { config, locations, snapshot, note: String::new() }
}

/// The metadata of an unchanged copy with a token that has this many minutes left.
pub(super) fn copy(namespace: &str, minutes: i64) -> Value {
    let expires_at = now() + SignedDuration::from_mins(minutes);
    json!({
        "namespace": namespace,
        "resourceVersion": "1",
        "labels": {
            "app.kubernetes.io/managed-by": "ecr-refresher",
            "ecr-refresher.io/release": "home.ours",
        },
        "annotations": {
            "ecr-refresher.io/kept-by": "home/ours",
            "ecr-refresher.io/expires-at": expires_at,
            "ecr-refresher.io/content-hash": "000000000000ff09",
            "ecr-refresher.io/registries": "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "ecr-refresher.io/description": "a copy",
        },
        "managedFields": [{
            "manager": release().manager(), "operation": "Apply", "apiVersion": "v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:data": { "f:.dockerconfigjson": {} },
                "f:metadata": {
                    "f:annotations": {
                        "f:ecr-refresher.io/kept-by": {},
                        "f:ecr-refresher.io/content-hash": {}, "f:ecr-refresher.io/expires-at": {},
                        "f:ecr-refresher.io/registries": {}, "f:ecr-refresher.io/description": {},
                    },
                    "f:labels": {
                        "f:app.kubernetes.io/managed-by": {}, "f:ecr-refresher.io/release": {},
                    },
                },
                "f:type": {},
            },
        }],
    })
}

/// The same after a tenant has edited its data.
pub(super) fn edited(namespace: &str, minutes: i64) -> Value {
    let mut copy = copy(namespace, minutes);
    copy["managedFields"][0]["fieldsV1"].as_object_mut().unwrap().remove("f:data");
    let entry = json!({ "manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1" });
    copy["managedFields"].as_array_mut().unwrap().push(entry);
    copy
}

/// The same after a restore from a backup, or in a tenant's copy of a copy.
pub(super) fn restored(namespace: &str, minutes: i64) -> Value {
    let mut copy = copy(namespace, minutes);
    let entry = json!({ "manager": "velero-server", "operation": "Update", "apiVersion": "v1" });
    copy["managedFields"] = json!([entry]);
    copy
}

/// The metadata of a copy of another release.
pub(super) fn of_another_release(namespace: &str, minutes: i64) -> Value {
    let mut copy = copy(namespace, minutes);
    copy["annotations"]["ecr-refresher.io/kept-by"] = json!("other/refresher");
    copy["managedFields"][0]["manager"] = json!(Release::new("other", "refresher").manager());
    copy
}

/// The metadata of a Secret of that name that is not ours.
pub(super) fn foreign(namespace: &str) -> Value {
    let entry = json!({ "manager": "kubectl-create", "operation": "Update", "apiVersion": "v1" });
    json!({ "namespace": namespace, "resourceVersion": "1", "managedFields": [entry] })
}
