//! Changes by other clients of the cluster, each in one step and without a request.

use serde_json::Value;

use super::{
    kind::{Key, Kind},
    managed::Managed,
    patch,
    status::Status,
    store::{Author, Server},
};

impl Server {
    /// Creates an object, or changes it by a merge patch, as `manager`. Nothing is validated.
    #[expect(clippy::needless_pass_by_value, reason = "callers make it in place")]
    pub fn put(&mut self, kind: Kind, namespace: &str, name: &str, merge: Value, manager: &str) {
        let key = Key::new(kind, namespace, name);
        let live = self.objects.get(&key).map(|stored| stored.managed.clone());
        let is_new = live.is_none();
        let live = live.unwrap_or_else(|| Managed::absent(self.fresh(&key)));
        let mut next = live.json.clone();
        patch::merge(&mut next, &merge);
        let next = live.update(kind, next, manager, &self.timestamp());
        self.store(&key, next, Author::other(manager));
        if is_new && kind == Kind::Namespace {
            self.on_new_namespace(name);
        }
    }

    /// Applies an object as `manager`. The namespace must exist; nothing else is validated.
    ///
    /// # Errors
    /// When fields belong to other managers, unless `force`; or without a usable namespace.
    #[expect(clippy::needless_pass_by_value, reason = "callers make it in place")]
    pub fn apply(
        &mut self,
        kind: Kind,
        namespace: &str,
        name: &str,
        body: Value,
        manager: &str,
        force: bool,
    ) -> Result<(), Status> {
        let key = Key::new(kind, namespace, name);
        let live = self.objects.get(&key).map(|stored| stored.managed.clone());
        let live = if let Some(live) = live {
            live
        } else {
            self.check_namespace(&key)?;
            Managed::absent(self.fresh(&key))
        };
        let next = live
            .apply(kind, &body, manager, force, &self.timestamp())
            .map_err(|conflicts| Status::apply_conflict(&conflicts))?;
        self.store(&key, next, Author { force, ..Author::other(manager) });
        Ok(())
    }

    /// Removes an object at once, and with a namespace all that is in it.
    pub fn remove(&mut self, kind: Kind, namespace: &str, name: &str) {
        let author = Author::other("kubectl-delete");
        if kind == Kind::Namespace {
            for key in self.contents(name) {
                self.delete(&key, author);
            }
        }
        self.delete(&Key::new(kind, namespace, name), author);
    }
}
