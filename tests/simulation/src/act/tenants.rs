//! Other clients of the cluster.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Random, pick};
use crate::{
    api::{ApiServer, Kind},
    plan::SECRETS,
    replica::{HOME, NAME},
    world::World,
};

/// What another client does, in a namespace of this number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantAct {
    /// Deletes a copy.
    Delete(u8, usize),
    /// Changes its data.
    Edit(u8, usize),
    /// Changes one of its annotations.
    Annotate(u8, usize),
    /// Takes its labels and annotations away.
    Strip(u8, usize),
    /// Puts a foreign Secret in its place: of another type, or of the same.
    Replace(u8, usize, bool),
    /// Puts one into a new namespace.
    Foreign(u8, usize, bool),
    /// Applies a copy of a copy elsewhere.
    CopyOfCopy(u8, u8),
    /// Creates a namespace, with this tier.
    Namespace(u8, Option<&'static str>),
    /// Creates the namespace `other`.
    Other,
    /// Labels a namespace.
    Label(u8, Option<&'static str>),
    /// Deletes a namespace: in two steps, or at once.
    Terminate(u8, bool),
    /// Deletes the token cache.
    DeleteCache,
    /// Changes the token cache.
    EditCache,
    /// Sets the `imagePullSecrets` of an account.
    Account(u8, &'static str, bool),
    /// Deletes an account.
    DeleteAccount(u8, &'static str),
    /// Undoes every change of a copy, for so many seconds.
    Fight(u8, usize, u64),
}

impl TenantAct {
    pub(super) fn random(random: &mut Random) -> Self {
        let (team, secret) = (random.u8(0..12), usize::from(random.u8(0..4) == 0));
        let tier = pick(random, &[None, Some("prod"), Some("dev")]);
        let account = pick(random, &["default", "builder"]);
        match random.u8(0..26) {
            0..=2 => Self::Delete(team, secret),
            3..=5 => Self::Edit(team, secret),
            6 => Self::Annotate(team, secret),
            7 => Self::Strip(team, secret),
            8..=10 => Self::Replace(team, secret, random.bool()),
            11..=12 => Self::Foreign(random.u8(6..20), secret, random.bool()),
            13 => Self::CopyOfCopy(team, random.u8(0..20)),
            14..=16 => Self::Namespace(random.u8(6..20), tier),
            17 => Self::Other,
            18 => Self::Label(team, tier),
            19 => Self::Terminate(team, random.bool()),
            20 => Self::DeleteCache,
            21 => Self::EditCache,
            22 => Self::Account(team, account, random.bool()),
            23 => Self::DeleteAccount(team, account),
            _ => Self::Fight(team, secret, random.u64(1..900)),
        }
    }

    pub(super) fn apply(&self, world: &mut World) {
        let mut server = world.surroundings.api.lock();
        let name = |team: u8| format!("team-{team}");
        let exists = |server: &crate::api::Server, team: u8| {
            let found = server.get(Kind::Namespace, "", &name(team));
            found.is_some_and(|it| it["metadata"].get("deletionTimestamp").is_none())
        };
        let copy = |server: &crate::api::Server, team: u8, secret: usize| {
            server.get(Kind::Secret, &name(team), SECRETS[secret])
        };
        match *self {
            Self::Delete(team, secret) => server.remove(Kind::Secret, &name(team), SECRETS[secret]),
            Self::Edit(team, secret) if copy(&server, team, secret).is_some() => {
                let edit = json!({ "data": { ".dockerconfigjson": "e30=" } });
                server.put(Kind::Secret, &name(team), SECRETS[secret], edit, "kubectl-edit");
            }
            Self::Annotate(team, secret) if copy(&server, team, secret).is_some() => {
                let edit = json!({ "metadata": { "annotations": {
                    "ecr-refresher.io/expires-at": "2040-01-01T00:00:00Z" } } });
                server.put(Kind::Secret, &name(team), SECRETS[secret], edit, "kubectl-annotate");
            }
            Self::Strip(team, secret) if copy(&server, team, secret).is_some() => {
                let strip = json!({ "metadata": {
                    "labels": { "app.kubernetes.io/managed-by": null },
                    "annotations": { "ecr-refresher.io/content-hash": null,
                        "ecr-refresher.io/expires-at": null } } });
                server.put(Kind::Secret, &name(team), SECRETS[secret], strip, "kubectl-edit");
            }
            Self::Replace(team, secret, opaque) if exists(&server, team) => {
                server.remove(Kind::Secret, &name(team), SECRETS[secret]);
                server.put(Kind::Secret, &name(team), SECRETS[secret], foreign(opaque), "helm");
            }
            Self::Foreign(team, secret, opaque) if copy(&server, team, secret).is_none() => {
                if !exists(&server, team) {
                    server.put(Kind::Namespace, "", &name(team), json!({}), "kubectl");
                }
                server.put(Kind::Secret, &name(team), SECRETS[secret], foreign(opaque), "helm");
            }
            Self::CopyOfCopy(from, to) if exists(&server, to) && copy(&server, to, 0).is_none() => {
                if let Some(copy) = copy(&server, from, 0) {
                    let (labels, annotations) =
                        (&copy["metadata"]["labels"], &copy["metadata"]["annotations"]);
                    let again = json!({ "type": copy["type"], "data": copy["data"],
                        "metadata": { "labels": labels, "annotations": annotations } });
                    server.put(Kind::Secret, &name(to), SECRETS[0], again, "kubectl");
                }
            }
            Self::Namespace(team, tier) if !exists(&server, team) => {
                server.put(Kind::Namespace, "", &name(team), labelled(tier), "kubectl");
            }
            Self::Other => server.put(Kind::Namespace, "", "other", json!({}), "kubectl"),
            Self::Label(team, tier) if exists(&server, team) => {
                server.put(Kind::Namespace, "", &name(team), labelled(tier), "kubectl-label");
            }
            Self::Terminate(team, at_once) => {
                if at_once {
                    server.remove(Kind::Namespace, "", &name(team));
                } else {
                    server.terminate_namespace(&name(team));
                }
            }
            Self::DeleteCache => server.remove(Kind::Secret, HOME, &format!("{NAME}-tokens")),
            Self::EditCache => {
                let cache = format!("{NAME}-tokens");
                if server.get(Kind::Secret, HOME, &cache).is_some() {
                    let edit = json!({ "data": { "tokens.json": "e30=" } });
                    server.put(Kind::Secret, HOME, &cache, edit, "kubectl-edit");
                }
            }
            Self::Account(team, account, empty) if exists(&server, team) => {
                let others = if empty { json!([]) } else { json!([{ "name": "other" }]) };
                let accounts = json!({ "imagePullSecrets": others });
                server.put(Kind::ServiceAccount, &name(team), account, accounts, "operator");
            }
            Self::DeleteAccount(team, account) => {
                server.remove(Kind::ServiceAccount, &name(team), account);
            }
            Self::Fight(team, secret, seconds) => {
                world.fights.spawn(fight(
                    world.surroundings.api.clone(),
                    name(team),
                    secret,
                    seconds,
                ));
            }
            _ => {}
        }
    }
}

/// Another controller, which wants the data of a copy to be its own.
async fn fight(api: ApiServer, namespace: String, secret: usize, seconds: u64) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        sleep(Duration::from_millis(100)).await;
        let mut server = api.lock();
        let copy = server.get(Kind::Secret, &namespace, SECRETS[secret]);
        if copy.is_some_and(|it| it["data"][".dockerconfigjson"] != "e30=") {
            let edit = json!({ "data": { ".dockerconfigjson": "e30=" } });
            server.put(Kind::Secret, &namespace, SECRETS[secret], edit, "operator");
        }
    }
}

fn labelled(tier: Option<&str>) -> Value {
    json!({ "metadata": { "labels": { "tier": tier } } })
}

fn foreign(opaque: bool) -> Value {
    if opaque {
        json!({ "type": "Opaque", "data": { "foreign": "eA==" } })
    } else {
        let data = json!({ ".dockerconfigjson": "e30=", "foreign": "eA==" });
        json!({ "type": "kubernetes.io/dockerconfigjson", "data": data })
    }
}
