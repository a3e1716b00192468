//! Creations, changes and deletions by requests.

use serde_json::{Value, json};

use super::{
    answer::Answer,
    kind::{Key, Kind},
    managed::Managed,
    namespaces::is_terminating,
    patch::{self, JsonPatchError},
    request::{Request, Verb},
    status::Status,
    store::{Author, Server},
    validate,
};

impl Server {
    /// POST.
    pub(super) fn create(&mut self, request: &Request) -> Result<Answer, Status> {
        let body = read_json(&request.body)?;
        let key = Key { name: text(&body, "name").to_owned(), ..request.key() };
        check_namespace_in_body(&key, &body)?;
        self.check_namespace(&key)?;
        self.create_from(request, &key, &body)
    }

    /// PUT.
    pub(super) fn update(&mut self, request: &Request) -> Result<Answer, Status> {
        let body = read_json(&request.body)?;
        let key = request.key();
        check_name_in_body(&key, &body, true)?;
        check_namespace_in_body(&key, &body)?;
        let live = self.managed(&key);
        let wanted = text(&body, "uid");
        let found = live.as_ref().map_or("", |live| text(&live.json, "uid"));
        let may_create = key.kind.allows_create_on_update();
        if !wanted.is_empty() && wanted != found && (live.is_some() || may_create) {
            return Err(Status::failed_uid(&key, wanted, found));
        }
        let Some(live) = live else {
            if !may_create {
                return Err(Status::not_found(&key));
            }
            self.check_namespace(&key)?;
            return self.create_from(request, &key, &body);
        };
        let mut next = body;
        keep_identity(&live.json, &mut next, &key);
        let has_empty_data = has_empty_data(&next);
        let next = live.update(key.kind, next, request.manager(), &self.timestamp());
        self.change(request, &key, &live, next, has_empty_data)
    }

    /// PATCH, by server-side apply.
    pub(super) fn patch_apply(&mut self, request: &Request) -> Result<Answer, Status> {
        let applied = read_json(&request.body)?;
        let key = request.key();
        if request.query.field_manager.as_deref().unwrap_or_default().is_empty() {
            let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: \
                           is required for apply patch";
            return Err(Status::new(422, "Invalid", message));
        }
        if applied["metadata"].get("managedFields").is_some() {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        let live = self.managed(&key);
        let base = match &live {
            Some(live) => live.clone(),
            None => Managed::absent(self.fresh(&key)),
        };
        let now = self.timestamp();
        let next = base
            .apply(key.kind, &applied, request.manager(), request.query.force, &now)
            .map_err(|conflicts| Status::apply_conflict(&conflicts))?;
        if let Some(live) = live {
            check_name_in_body(&key, &applied, false)?;
            let has_empty_data = has_empty_data(&applied) && live.json.get("data").is_none();
            return self.change(request, &key, &live, next, has_empty_data);
        }
        let uid = text(&applied, "uid");
        if !uid.is_empty() {
            let why = format!(
                "uid mismatch: the provided object specified uid {uid}, and no existing object was \
                 found"
            );
            return Err(Status::conflict(&key, &why));
        }
        check_name_in_body(&key, &applied, true)?;
        check_namespace_in_body(&key, &applied)?;
        self.check_namespace(&key)?;
        self.insert(request, &key, next)
    }

    /// PATCH, by one of the other patches.
    pub(super) fn patch_other(&mut self, request: &Request) -> Result<Answer, Status> {
        let patch = read_json(&request.body)?;
        let key = request.key();
        let live = self.managed(&key).ok_or_else(|| Status::not_found(&key))?;
        // The server patches what it shows, with managedFields.
        let mut next = live.shown(key.kind);
        if request.verb == Verb::JsonPatch {
            patch::json_patch(&mut next, &patch).map_err(|error| match error {
                JsonPatchError::Malformed => Status::bad_request("the patch is not a JSON Patch"),
                JsonPatchError::Failed => {
                    let message = "the server rejected our request due to an error in our request";
                    Status { details: json!({}), ..Status::new(422, "Invalid", message) }
                }
            })?;
        } else {
            patch::merge(&mut next, &patch);
        }
        check_name_in_body(&key, &next, false)?;
        let has_empty_data = has_empty_data(&next);
        let next = live.update(key.kind, next, request.manager(), &self.timestamp());
        self.change(request, &key, &live, next, has_empty_data)
    }

    /// DELETE.
    pub(super) fn delete_object(&mut self, request: &Request) -> Result<Answer, Status> {
        let options: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let key = request.key();
        let live = self.managed(&key).ok_or_else(|| Status::not_found(&key))?;
        check_preconditions(&key, &live.json, &options["preconditions"])?;
        let author = Author::of(request);
        let has_finalizers = live.json["metadata"].get("finalizers").is_some();
        if key.kind == Kind::Namespace || has_finalizers {
            let shown = self.terminate(&key, author).ok_or_else(|| Status::not_found(&key))?;
            return Ok(Answer::object(200, request, &shown));
        }
        self.delete(&key, author);
        if key.kind == Kind::ServiceAccount {
            return Ok(Answer::object(200, request, &live.shown(key.kind)));
        }
        let mut details = json!({ "name": key.name, "kind": key.kind.plural(),
            "uid": live.json["metadata"]["uid"] });
        if !key.kind.group().is_empty() {
            details["group"] = json!(key.kind.group());
        }
        Ok(Answer::Json(
            200,
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                "details": details }),
        ))
    }

    fn managed(&self, key: &Key) -> Option<Managed> {
        self.objects.get(key).map(|stored| stored.managed.clone())
    }

    /// Whether objects can be created in the namespace.
    pub(super) fn check_namespace(&self, key: &Key) -> Result<(), Status> {
        if !key.kind.is_namespaced() {
            return Ok(());
        }
        let namespace = key.of_namespace();
        let stored = self.objects.get(&namespace).ok_or_else(|| Status::not_found(&namespace))?;
        if is_terminating(&stored.shown) { Err(Status::terminating(key)) } else { Ok(()) }
    }

    fn create_from(
        &mut self,
        request: &Request,
        key: &Key,
        body: &Value,
    ) -> Result<Answer, Status> {
        let fresh = self.fresh(key);
        let mut next = body.clone();
        keep_identity(&fresh, &mut next, key);
        let absent = Managed::absent(fresh);
        let next = absent.update(key.kind, next, request.manager(), &self.timestamp());
        self.insert(request, key, next)
    }

    /// The last steps of a creation.
    fn insert(
        &mut self,
        request: &Request,
        key: &Key,
        mut next: Managed,
    ) -> Result<Answer, Status> {
        self.call_webhook(key, None, &mut next)?;
        let errors = validate::errors(key, &next.json, None);
        if !errors.is_empty() {
            return Err(Status::invalid(key, &errors));
        }
        self.check_quota(key)?;
        if request.verb == Verb::Create && !text(&next.json, "resourceVersion").is_empty() {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(Status::new(500, "", message));
        }
        if let Some(stored) = self.objects.get(key) {
            return Err(Status::already_exists(key, is_terminating(&stored.shown)));
        }
        let shown = self.store(key, next, Author::of(request));
        if key.kind == Kind::Namespace {
            self.on_new_namespace(&key.name);
        }
        Ok(Answer::object(201, request, &shown))
    }

    /// The last steps of a change.
    fn change(
        &mut self,
        request: &Request,
        key: &Key,
        live: &Managed,
        mut next: Managed,
        has_empty_data: bool,
    ) -> Result<Answer, Status> {
        self.call_webhook(key, Some(&live.json), &mut next)?;
        check_namespace_in_body(key, &next.json)?;
        let version = text(&next.json, "resourceVersion");
        if version.is_empty() {
            if !key.kind.allows_unconditional_update() {
                return Err(Status::version_required(key));
            }
        } else if version != text(&live.json, "resourceVersion") {
            return Err(Status::modified(key));
        }
        let uid = text(&next.json, "uid").to_owned();
        keep_identity(&live.json, &mut next.json, key);
        // So that a change of nothing is seen as such.
        next.json["metadata"]["resourceVersion"] = live.json["metadata"]["resourceVersion"].clone();
        let change = validate::Change { live: &live.json, uid: &uid, has_empty_data };
        let errors = validate::errors(key, &next.json, Some(change));
        if !errors.is_empty() {
            return Err(Status::invalid(key, &errors));
        }
        let shown = self.store(key, next, Author::of(request));
        Ok(Answer::object(200, request, &shown))
    }
}

/// Gives an object the fields that only the server writes.
fn keep_identity(live: &Value, next: &mut Value, key: &Key) {
    next["apiVersion"] = json!(key.kind.api_version());
    next["kind"] = json!(key.kind.name());
    if !next["metadata"].is_object() {
        next["metadata"] = json!({});
    }
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        if let Some(value) = live["metadata"].get(field) {
            next["metadata"][field] = value.clone();
        } else if let Some(metadata) = next["metadata"].as_object_mut() {
            metadata.remove(field);
        }
    }
    if key.kind == Kind::Namespace {
        next["spec"] = live["spec"].clone();
        next["status"] = live["status"].clone();
    }
}

/// Whether the data is an empty map, which is not stored, but differs from none in validation.
fn has_empty_data(object: &Value) -> bool {
    object["data"].as_object().is_some_and(serde_json::Map::is_empty)
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// Checks the preconditions of a deletion.
fn check_preconditions(key: &Key, live: &Value, preconditions: &Value) -> Result<(), Status> {
    for (name, title, hint) in [
        ("uid", "UID", "deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "modified"),
    ] {
        let found = text(live, name);
        let wanted = preconditions[name].as_str().filter(|wanted| *wanted != found);
        if let Some(wanted) = wanted {
            let why = format!(
                "the {title} in the precondition ({wanted}) does not match the {title} in record \
                 ({found}). The object might have been {hint}"
            );
            return Err(Status::failed_precondition(key, &why));
        }
    }
    Ok(())
}

fn read_json(bytes: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(bytes)
        .map_err(|error| Status::bad_request(format!("error decoding the body: {error}")))
}

fn check_name_in_body(key: &Key, body: &Value, is_required: bool) -> Result<(), Status> {
    let name = text(body, "name");
    if name == key.name || name.is_empty() && !is_required {
        return Ok(());
    }
    if name.is_empty() {
        let message = format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            key.name
        );
        return Err(Status::bad_request(message));
    }
    let expected = &key.name;
    let message =
        format!("the name of the object ({name}) does not match the name on the URL ({expected})");
    Err(Status::bad_request(message))
}

fn check_namespace_in_body(key: &Key, body: &Value) -> Result<(), Status> {
    let namespace = text(body, "namespace");
    if !key.kind.is_namespaced() || namespace.is_empty() || namespace == key.namespace {
        return Ok(());
    }
    let message = "the namespace of the provided object does not match the namespace sent on the \
                   request";
    Err(Status::bad_request(message))
}
