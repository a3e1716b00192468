//! The header of a table: the cluster, the release and its tokens.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Api;
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    cli::{InspectArgs, ShowArgs, TableOutput},
    kubernetes::{self, Cluster},
    lease_tokens,
    registry_status::RegistryNow,
};

/// How long the user and the Lease are waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// A Lease that has been silent for longer after its end is not held: clocks differ a little.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(1);

/// The cluster and the release that a command has read.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    /// The URL of the API server.
    cluster: String,
    /// The user that it takes the caller for.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    release: String,
    #[serde(flatten)]
    lease: LeaseFound,
}

/// The content of the Lease of the release.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct LeaseFound {
    #[serde(skip)]
    words: String,
    /// The replica that leads.
    leader: Option<String>,
    registries: Vec<RegistryNow>,
}

impl Header {
    /// Asks the API server, if the header is shown. Missing answers are left out: the copies matter more.
    pub(super) async fn read(
        (args, show): (&InspectArgs, &ShowArgs),
        cluster: &Cluster,
        at: Timestamp,
    ) -> Self {
        if show.no_headers || show.output == TableOutput::Name {
            return Self::default();
        }
        let Cluster { client, server } = cluster;
        let release = args.release(client.default_namespace());
        let leases: Api<Lease> = Api::namespaced(client.clone(), release.namespace());
        let user = timeout(PATIENCE, kubernetes::user(client));
        let lease = timeout(PATIENCE, leases.get_opt(release.name()));
        let (user, lease) = tokio::join!(user, lease);
        Self {
            cluster: server.clone(),
            user: user.ok().and_then(Result::ok).filter(|user| !user.is_empty()),
            release: release.to_string(),
            lease: match lease {
                Ok(Ok(Some(lease))) => LeaseFound::new(lease, at),
                Ok(Ok(None)) => LeaseFound::unknown("it has no Lease"),
                Ok(Err(_)) | Err(_) => LeaseFound::unknown("its Lease cannot be read"),
            },
        }
    }

    /// Lines for people.
    pub(super) fn text(&self) -> String {
        let Self { cluster, user, release, lease } = self;
        let user = user.as_ref().map(|user| format!(" as {user}")).unwrap_or_default();
        let registry = |it: &RegistryNow| format!("registry   {}: {}\n", it.status.name, it.words);
        let registries: String = lease.registries.iter().map(registry).collect();
        format!("cluster    {cluster}{user}\nrelease    {release}, {}\n{registries}\n", lease.words)
    }
}

impl LeaseFound {
    fn new(lease: Lease, at: Timestamp) -> Self {
        let registries = lease_tokens::read(&lease.metadata);
        let registries = registries.into_iter().map(|it| it.at(at)).collect();
        let leader = leader(lease.spec.unwrap_or_default(), at);
        let words = leader.as_ref().map(|leader| format!("{leader} leads"));
        let words = words.unwrap_or_else(|| "no replica leads".to_owned());
        Self { words, leader, registries }
    }

    fn unknown(why: &str) -> Self {
        Self { words: why.to_owned(), ..Self::default() }
    }
}

/// The replica that holds a Lease at this moment.
fn leader(lease: LeaseSpec, at: Timestamp) -> Option<String> {
    let duration = SignedDuration::from_secs(lease.lease_duration_seconds?.into());
    let silent = at.duration_since(lease.renew_time?.0);
    lease.holder_identity.filter(|holder| !holder.is_empty() && silent <= duration + TOLERANCE)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2027-01-15T08:00:00Z";

    fn header(lease: Value) -> Header {
        let lease = LeaseFound::new(serde_json::from_value(lease).unwrap(), NOW.parse().unwrap());
        let cluster = "https://10.0.0.1:6443".to_owned();
        Header { cluster, user: Some("alice".to_owned()), release: "home/ours".to_owned(), lease }
    }

    fn lease(renewed: &str, tokens: &str) -> Value {
        json!({
            "metadata": { "annotations": { lease_tokens::ANNOTATION: tokens } },
            "spec": {
                "holderIdentity": "ours-0", "leaseDurationSeconds": 15, "renewTime": renewed,
            },
        })
    }

    #[test]
    fn it_names_the_cluster_the_user_the_leader_and_each_token() {
        let tokens = json!([
            { "name": "files", "hasCredentials": true },
            { "name": "hub", "hasCredentials": false, "failure": "access_denied" },
            { "name": "main", "hasCredentials": true, "expiresAt": "2027-01-15T13:12:00Z" },
        ]);
        let tokens = &tokens.to_string();
        let header = header(lease("2027-01-15T07:59:58.000000Z", tokens));
        assert_eq!(
            header.text(),
            "\
cluster    https://10.0.0.1:6443 as alice
release    home/ours, ours-0 leads
registry   files: does not expire
registry   hub: no token, last attempt: access_denied
registry   main: token 5h 12m

"
        );
        let json = serde_json::to_value(&header).unwrap();
        assert_eq!((&json["leader"], &json["user"]), (&"ours-0".into(), &"alice".into()));
        let main = json!({
            "name": "main", "hasCredentials": true, "expiresAt": "2027-01-15T13:12:00Z",
            "secondsLeft": 18_720,
        });
        assert_eq!(json["registries"][2], main);
    }

    #[test]
    fn a_lease_that_is_over_has_no_leader() {
        let header = |renewed| header(lease(renewed, "what?")).text();
        assert!(header("2027-01-15T07:58:46.000000Z").contains("ours-0 leads\n\n"));
        assert!(header("2027-01-15T07:58:44.000000Z").contains("home/ours, no replica leads\n\n"));
    }
}
