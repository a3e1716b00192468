//! Field selectors and label selectors.

use serde_json::Value;

use super::{
    kind::{Key, Kind},
    request::Request,
    status::Status,
};

/// Which objects a list or a watch has.
#[derive(Debug, Clone)]
pub(super) struct Selector {
    kind: Kind,
    /// Empty for all namespaces.
    namespace: String,
    /// The name in the path.
    name: Option<String>,
    fields: Vec<Requirement>,
    labels: Vec<Requirement>,
}

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    condition: Condition,
}

#[derive(Debug, Clone)]
enum Condition {
    Is(String),
    IsNot(String),
    Exists,
    IsMissing,
}

impl Selector {
    pub(super) fn new(request: &Request) -> Result<Self, Status> {
        let kind = request.kind;
        let parse = |text: &str| text.split(',').filter_map(Requirement::parse).collect::<Vec<_>>();
        let fields = parse(&request.query.field_selector);
        for Requirement { key, .. } in &fields {
            let known = match key.as_str() {
                "metadata.name" => true,
                "metadata.namespace" => kind.is_namespaced(),
                "type" => matches!(kind, Kind::Secret | Kind::Event),
                "status.phase" => kind == Kind::Namespace,
                "reason" => kind == Kind::Event,
                _ => false,
            };
            if !known {
                return Err(Status::bad_request(match kind {
                    Kind::Lease | Kind::ServiceAccount => {
                        format!(
                            "{key:?} is not a known field selector: only \"metadata.name\", \
                                 \"metadata.namespace\""
                        )
                    }
                    _ => format!("field label not supported: {key}"),
                }));
            }
        }
        Ok(Self {
            kind,
            namespace: request.namespace.clone(),
            name: Some(request.name.clone()).filter(|name| !name.is_empty()),
            fields,
            labels: parse(&request.query.label_selector),
        })
    }

    /// Whether it selects an object.
    pub(super) fn selects(&self, key: &Key, object: &Value) -> bool {
        let field = |path: &str| match path {
            "metadata.name" => Some(key.name.as_str()),
            "metadata.namespace" => Some(key.namespace.as_str()),
            _ => path.split('.').try_fold(object, |value, key| value.get(key))?.as_str(),
        };
        let label = |key: &str| object["metadata"]["labels"].get(key).and_then(Value::as_str);
        key.kind == self.kind
            && (self.namespace.is_empty() || self.namespace == key.namespace)
            && self.name.as_ref().is_none_or(|name| *name == key.name)
            // A missing field is an empty one.
            && self.fields.iter().all(|it| it.holds(Some(field(&it.key).unwrap_or_default())))
            && self.labels.iter().all(|it| it.holds(label(&it.key)))
    }

    /// Whether an object has to be read to know whether it is selected: with a namespace and a name,
    /// only one has.
    pub(super) fn scans(&self, key: &Key) -> bool {
        let is_named = |it: &Requirement| match &it.condition {
            Condition::Is(name) if it.key == "metadata.name" => *name == key.name,
            _ => true,
        };
        key.kind == self.kind
            && (self.namespace.is_empty()
                || self.namespace == key.namespace && self.fields.iter().all(is_named))
    }

    /// Whether it selects by more than the namespace.
    pub(super) fn is_narrow(&self) -> bool {
        !self.fields.is_empty() || !self.labels.is_empty()
    }
}

impl Requirement {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (key, condition) = if let Some((key, value)) = text.split_once("!=") {
            (key, Condition::IsNot(value.trim().to_owned()))
        } else if let Some((key, value)) = text.split_once('=') {
            (key, Condition::Is(value.trim_start_matches('=').trim().to_owned()))
        } else if let Some(key) = text.strip_prefix('!') {
            (key, Condition::IsMissing)
        } else if text.is_empty() {
            return None;
        } else {
            (text, Condition::Exists)
        };
        Some(Self { key: key.trim().to_owned(), condition })
    }

    fn holds(&self, value: Option<&str>) -> bool {
        match &self.condition {
            Condition::Is(wanted) => value == Some(wanted),
            Condition::IsNot(unwanted) => value != Some(unwanted),
            Condition::Exists => value.is_some(),
            Condition::IsMissing => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_hold_or_not() {
        for (text, value, holds) in [
            ("a=b", Some("b"), true),
            ("a==b", Some("b"), true),
            ("a=b", None, false),
            ("a!=b", Some("b"), false),
            ("a!=b", Some("c"), true),
            ("a!=b", None, true),
            ("a", Some(""), true),
            ("a", None, false),
            ("!a", None, true),
            ("!a", Some("b"), false),
        ] {
            let requirement = Requirement::parse(text).unwrap();
            assert_eq!(requirement.key, "a", "{text}");
            assert_eq!(requirement.holds(value), holds, "{text} and {value:?}");
        }
    }
}
