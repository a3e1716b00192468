//! What people do in the cluster while the daemon works.

use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::json;

use super::{
    config::{SELECTED, host},
    expectation::CopyId,
    fault::Act,
    stage::{Stage, create_namespace},
};
use crate::cluster;

/// The namespaces that come and go.
const GUESTS: [&str; 4] = ["soak-team-x0", "soak-team-x1", "soak-team-x2", "soak-team-x3"];
/// The number of namespaces with a label that changes: the first of all.
const RELABELLED: u32 = 6;

/// Does it, to an object that `pick` chooses; to none where there is none.
pub(super) async fn perform(stage: &Stage, act: Act, pick: u32) -> Result<()> {
    match act {
        Act::DeleteTokenCache => delete_token_cache(stage).await,
        Act::CreateNamespace => create(stage, pick).await,
        Act::DeleteNamespace => delete(stage).await,
        Act::RelabelNamespace => relabel(stage, &format!("soak-team-{}", pick % RELABELLED)).await,
        Act::DeleteCopy | Act::SpoilCopy | Act::EmptyCopy | Act::RestoreCopy => {
            let copy = stage.expectation().least_tampered(pick);
            match copy {
                Some(copy) => tamper(stage, act, &copy).await,
                None => Ok(()),
            }
        }
    }
}

async fn delete_token_cache(stage: &Stage) -> Result<()> {
    let (home, name) = (stage.installation.home(), stage.installation.token_cache());
    stage.expectation().delete_token_cache();
    // It may have been deleted before, and not be there again yet.
    if cluster::secret(&stage.client, home, &name).await?.is_some() {
        cluster::delete_secret(&stage.client, home, &name).await?;
    }
    Ok(())
}

async fn tamper(stage: &Stage, act: Act, copy: &CopyId) -> Result<()> {
    if !stage.back_up(copy).await? {
        return Ok(());
    }
    let (namespace, name) = copy;
    let nonsense = json!({ "auths": { host("eu-west-1"): { "auth": "bm9uc2Vuc2U6eA==" } } });
    let document = match act {
        Act::SpoilCopy => Some(STANDARD.encode(nonsense.to_string())),
        Act::EmptyCopy => Some(STANDARD.encode(json!({ "auths": {} }).to_string())),
        Act::RestoreCopy => stage.backup(copy),
        _ => None,
    };
    stage.expectation().tamper(copy, Timestamp::now());
    if let Some(document) = document {
        let edit = json!({ "data": { ".dockerconfigjson": document } });
        cluster::patch_secret(&stage.client, namespace, name, &edit).await?;
    } else {
        cluster::delete_secret(&stage.client, namespace, name).await?;
    }
    stage.expectation().tamper(copy, Timestamp::now());
    Ok(())
}

async fn create(stage: &Stage, pick: u32) -> Result<()> {
    let is_there = |name: &&str| stage.expectation().namespaces().contains_key(*name);
    let Some(name) = GUESTS.iter().find(|name| !is_there(name)) else { return Ok(()) };
    let is_selected = pick.is_multiple_of(2);
    create_namespace(&stage.client, name, is_selected).await?;
    stage.expectation().set_namespace(name, is_selected, Timestamp::now());
    Ok(())
}

async fn delete(stage: &Stage) -> Result<()> {
    let is_there = |name: &&str| stage.expectation().namespaces().contains_key(*name);
    let Some(name) = GUESTS.iter().find(|name| is_there(name)) else { return Ok(()) };
    stage.expectation().remove_namespace(name, Timestamp::now());
    cluster::delete_namespace(&stage.client, name).await
}

async fn relabel(stage: &Stage, name: &str) -> Result<()> {
    let (key, value) = SELECTED;
    let is_selected = stage.expectation().namespaces().get(name).copied().unwrap_or_default();
    // What is wanted no longer is expected no longer before it goes.
    if is_selected {
        stage.expectation().set_namespace(name, false, Timestamp::now());
        cluster::label_namespace(&stage.client, name, key, None).await
    } else {
        cluster::label_namespace(&stage.client, name, key, Some(value)).await?;
        stage.expectation().set_namespace(name, true, Timestamp::now());
        Ok(())
    }
}
