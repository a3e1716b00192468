//! Reads: one object, and lists in pages.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    answer::{Answer, view},
    request::Request,
    selector::Selector,
    status::Status,
    store::Server,
};

/// Where a list goes on: its version, and the sort key of the first object that is missing.
struct Continue {
    version: u64,
    start: String,
}

impl Server {
    /// GET of one object.
    pub(super) fn read(&self, request: &Request) -> Result<Answer, Status> {
        let key = request.key();
        let stored = self.objects.get(&key).ok_or_else(|| Status::not_found(&key))?;
        Ok(Answer::object(200, request, &stored.shown))
    }

    /// GET of many.
    pub(super) fn list(&mut self, request: &Request) -> Result<Answer, Status> {
        let selector = Selector::new(request)?;
        let token = &request.query.continue_token;
        let from = if token.is_empty() {
            let version = self.version_of_list(request);
            Continue { version, start: String::new() }
        } else {
            Continue::parse(token)?
        };
        let Some(objects) = self.objects_at(request.kind, from.version) else {
            return Err(expired_continue());
        };
        // Pages end after as many selected objects; whether there is a next page depends on all.
        let mut scanned: Vec<_> = objects
            .into_iter()
            .filter(|(key, _)| selector.scans(key))
            .map(|(key, stored)| (key.sort_key(), key, &stored.shown))
            .filter(|(sort_key, ..)| *sort_key >= from.start)
            .collect();
        scanned.sort_by(|one, other| one.0.cmp(&other.0));
        let mut metadata = json!({ "resourceVersion": from.version.to_string() });
        let limit = request.query.limit;
        let mut items = Vec::new();
        for (index, (sort_key, key, object)) in scanned.iter().enumerate() {
            if limit > 0 && items.len() == limit {
                let next = Continue { version: from.version, start: sort_key.clone() };
                metadata["continue"] = json!(next.token());
                if !selector.is_narrow() {
                    metadata["remainingItemCount"] = json!(scanned.len() - index);
                }
                break;
            }
            if selector.selects(key, object) {
                items.push(item(object, request.metadata_only));
            }
        }
        let items = if items.is_empty() && request.metadata_only {
            // As kube-apiserver has it.
            Value::Null
        } else {
            Value::Array(items)
        };
        let (kind, api_version) = if request.metadata_only {
            ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1")
        } else {
            (format!("{}List", request.kind.name()), request.kind.api_version())
        };
        let list = json!({ "kind": kind, "apiVersion": api_version, "metadata": metadata,
            "items": items });
        Ok(Answer::Json(200, list))
    }

    /// The version that a new list shows: the newest, or that of a lagging cache.
    fn version_of_list(&mut self, request: &Request) -> u64 {
        let most = self.faults.stale_lists;
        if most == 0 {
            return self.version;
        }
        let stale = self.version.saturating_sub(self.rng.u64(0..=most));
        // A list that asks for a version gets no older one.
        let least = request.query.resource_version.parse().unwrap_or_default();
        stale.max(self.log(request.kind).compacted).max(least).min(self.version)
    }
}

impl Continue {
    fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}:{}", self.version, self.start))
    }

    fn parse(token: &str) -> Result<Self, Status> {
        let parse = || {
            let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
            let (version, start) = text.split_once(':')?;
            Some(Self { version: version.parse().ok()?, start: start.to_owned() })
        };
        parse().ok_or_else(|| {
            Status::bad_request("continue key is not valid: it was not made by this server")
        })
    }
}

/// An object in a list: the kind of whole objects stands only at the list.
fn item(object: &Value, metadata_only: bool) -> Value {
    let mut item = view(object, metadata_only);
    if !metadata_only && let Some(object) = item.as_object_mut() {
        object.remove("kind");
        object.remove("apiVersion");
    }
    item
}

/// The version of a paged list is not known any more.
pub(super) fn expired_continue() -> Status {
    Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can \
         start a new list without the continue parameter.",
    )
}
