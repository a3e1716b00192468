//! The objects that grant missing rights. Pure.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::rights::Right;
use crate::home::Home;

/// Before the namespace and the name of a ServiceAccount, as a user.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Roles with these rights, and their bindings to the user; none if no right is missing.
pub(super) fn objects(missing: &[Right], user: &str, home: &Home) -> Vec<Value> {
    let name = format!("{}-{}-missing-rights", home.namespace, home.name);
    let mut objects = Vec::new();
    for namespace in [None, Some(&*home.namespace)] {
        let rules = rules(missing.iter().filter(|right| right.namespace.as_deref() == namespace));
        if rules.is_empty() {
            continue;
        }
        let (role, binding) = match namespace {
            None => ("ClusterRole", "ClusterRoleBinding"),
            Some(_) => ("Role", "RoleBinding"),
        };
        let metadata = namespace.map_or_else(
            || json!({ "name": name }),
            |namespace| json!({ "name": name, "namespace": namespace }),
        );
        let version = format!("{RBAC}/v1");
        objects.push(
            json!({ "apiVersion": version, "kind": role, "metadata": metadata, "rules": rules }),
        );
        objects.push(json!({
            "apiVersion": version,
            "kind": binding,
            "metadata": metadata,
            "roleRef": { "apiGroup": RBAC, "kind": role, "name": name },
            "subjects": [subject(user)],
        }));
    }
    objects
}

/// Objects as YAML, ready for `kubectl apply`.
pub(super) fn yaml(objects: &[Value]) -> Result<String> {
    let document = |object| serde_saphyr::to_string(object).map(|text| format!("---\n{text}"));
    objects.iter().map(document).collect::<Result<String, _>>().context("cannot write YAML")
}

/// One rule for all verbs on the same objects.
fn rules<'a>(rights: impl Iterator<Item = &'a Right>) -> Vec<Value> {
    let mut rules: Vec<(&Right, Vec<&str>)> = Vec::new();
    for right in rights {
        let is_same = |it: &Right| Right { verb: right.verb, ..it.clone() } == *right;
        match rules.iter_mut().find(|(first, _)| is_same(first)) {
            Some((_, verbs)) => verbs.push(right.verb),
            None => rules.push((right, vec![right.verb])),
        }
    }
    let rule = |(right, verbs): (&Right, Vec<&str>)| {
        let mut rule =
            json!({ "apiGroups": [right.group], "resources": [right.resource], "verbs": verbs });
        if let Some(name) = &right.name {
            rule["resourceNames"] = json!([name]);
        }
        rule
    };
    rules.into_iter().map(rule).collect()
}

fn subject(user: &str) -> Value {
    let account = user.strip_prefix(SERVICE_ACCOUNT).and_then(|account| account.split_once(':'));
    match account {
        Some((namespace, name)) => {
            json!({ "kind": "ServiceAccount", "namespace": namespace, "name": name })
        }
        None => json!({ "apiGroup": RBAC, "kind": "User", "name": user }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(verb: &'static str, name: &str, namespace: Option<&str>) -> Right {
        Right {
            verb,
            group: "",
            resource: "secrets",
            name: Some(name.to_owned()),
            namespace: namespace.map(str::to_owned),
        }
    }

    #[test]
    fn missing_rights_become_roles_and_bindings() {
        let home = Home { namespace: "home".to_owned(), name: "ours".to_owned() };
        let missing = [
            right("list", "pull", None),
            right("patch", "pull", None),
            right("get", "ours-tokens", Some("home")),
        ];
        let objects = objects(&missing, "system:serviceaccount:home:ours", &home);
        let kinds: Vec<_> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
        assert_eq!(kinds, ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]);
        let rule = json!({
            "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["pull"], "verbs": ["list", "patch"],
        });
        assert_eq!(objects[0]["rules"], json!([rule]));
        let account = json!({ "kind": "ServiceAccount", "namespace": "home", "name": "ours" });
        assert_eq!(objects[1]["subjects"], json!([account]));
        assert_eq!(objects[2]["metadata"]["namespace"], "home");
        let documents: Vec<Value> = serde_saphyr::from_multiple(&yaml(&objects).unwrap()).unwrap();
        assert_eq!(documents, objects);
    }

    #[test]
    fn a_person_is_a_user_and_who_lacks_nothing_is_given_nothing() {
        assert_eq!(subject("jane")["kind"], "User");
        let home = Home { namespace: "home".to_owned(), name: "ours".to_owned() };
        assert!(objects(&[], "jane", &home).is_empty());
    }
}
