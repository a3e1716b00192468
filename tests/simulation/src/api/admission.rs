//! Quotas and admission webhooks.

use serde_json::json;

use super::{
    faults::{Quota, Webhook},
    kind::{Key, Kind},
    managed::Managed,
    status::Status,
    store::Server,
};

/// The name of the quota of a namespace.
const QUOTA: &str = "secrets";

/// The name of the webhook of a namespace.
const WEBHOOK: &str = "policy.example.com";

impl Server {
    /// Whether the quota of the namespace allows one more Secret.
    pub(super) fn check_quota(&self, key: &Key) -> Result<(), Status> {
        let quota = self.faults.quotas.get(&key.namespace);
        match quota.filter(|_| key.kind == Kind::Secret) {
            Some(Quota::Exceeded) => {
                let count = format!("count/{}", key.kind.resource());
                let why = format!(
                    "exceeded quota: {QUOTA}, requested: {count}=1, used: {count}=10, limited: \
                     {count}=10"
                );
                Err(Status::forbidden(key, &why))
            }
            Some(Quota::Contended) => Err(Status::quota_modified(QUOTA)),
            None => Ok(()),
        }
    }

    /// Calls the webhook of the namespace, which may deny a new state or alter it. Its changes have no
    /// field manager, as with kube-apiserver.
    pub(super) fn call_webhook(
        &self,
        key: &Key,
        live: Option<&serde_json::Value>,
        next: &mut Managed,
    ) -> Result<(), Status> {
        let is_called = matches!(key.kind, Kind::Secret | Kind::ServiceAccount | Kind::Lease);
        let Some(webhook) = self.faults.webhooks.get(&key.namespace).filter(|_| is_called) else {
            return Ok(());
        };
        let metadata = &mut next.json["metadata"];
        match webhook {
            Webhook::Deny(code) => {
                let message =
                    format!("admission webhook \"{WEBHOOK}\" denied the request: not allowed here");
                let reason = match code {
                    400 => "BadRequest",
                    403 => "Forbidden",
                    422 => "Invalid",
                    _ => "",
                };
                return Err(Status::new(*code, reason, message));
            }
            Webhook::Fail => {
                let message = format!(
                    "Internal error occurred: failed calling webhook \"{WEBHOOK}\": failed to call \
                     webhook: Post \"https://policy.example.svc:443/?timeout=10s\": context \
                     deadline exceeded"
                );
                let mut status = Status::new(500, "InternalError", message);
                let cause = status.message.trim_start_matches("Internal error occurred: ");
                status.details = json!({ "causes": [{ "message": cause }] });
                return Err(status);
            }
            Webhook::AddLabel(name, value) => metadata["labels"][name] = json!(value),
            Webhook::AddAnnotation(name, value) => metadata["annotations"][name] = json!(value),
            Webhook::KeepData => {
                if let Some(data) = live.map(|live| live["data"].clone()) {
                    next.json["data"] = data;
                    if let Some(object) = next.json.as_object_mut() {
                        object.retain(|_, value| !value.is_null());
                    }
                }
            }
        }
        Ok(())
    }
}
