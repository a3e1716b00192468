//! What is asked of etcd itself, by its JSON gateway.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::http_client;

/// Forgets all revisions of all objects but the last of each, and gives back their room.
pub(super) async fn compact(port: u16) -> Result<()> {
    let address = format!("127.0.0.1:{port}");
    let ask = async |path, document: Value| http_client::post(&address, path, &document).await;
    // Any answer says which revision is the last; keys are Base64.
    let answer = ask("/v3/kv/range", json!({ "key": "AA==", "count_only": true })).await?;
    let last = answer["header"]["revision"].as_str().context("an answer without a revision")?;
    ask("/v3/kv/compaction", json!({ "revision": last, "physical": true })).await?;
    ask("/v3/maintenance/defragment", json!({})).await?;
    Ok(())
}
