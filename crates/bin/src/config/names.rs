//! Kubernetes' rules for names, as far as the config needs them
//! (k8s.io/apimachinery, `pkg/util/validation`).

/// Whether a text can name a Secret: an RFC 1123 subdomain.
pub(crate) fn is_subdomain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 253 && text.split('.').all(is_lowercase_label)
}

/// Whether a text can name a namespace: an RFC 1123 label.
pub(crate) fn is_namespace(text: &str) -> bool {
    !text.contains('.') && is_lowercase_label(text)
}

/// Whether a text can be the key of a label or annotation: a name, with a domain and a `/` before it
/// or without.
pub(super) fn is_qualified_name(text: &str) -> bool {
    match text.split_once('/') {
        Some((domain, name)) => is_subdomain(domain) && is_name(name),
        None => is_name(text),
    }
}

/// Whether a text can be the value of a label.
pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name(text)
}

/// Up to 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let mut bytes = text.bytes();
    text.len() <= 63
        && text.bytes().all(inner)
        && ends(text.bytes().next())
        && ends(bytes.next_back())
}

fn is_lowercase_label(label: &str) -> bool {
    is_name(label) && label.bytes().all(|byte| !byte.is_ascii_uppercase() && byte != b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_recognised() {
        assert!(is_subdomain("ecr-pull") && is_subdomain("a.b-1.c"));
        for text in ["", "-a", "a-", "A", "a_b", "a..b", "a/b"] {
            assert!(!is_subdomain(text), "{text:?}");
        }
        assert!(!is_subdomain(&"a".repeat(254)));
    }

    #[test]
    fn names_of_namespaces_are_recognised() {
        assert!(is_namespace("team-1"));
        for text in ["", "-a", "A", "a.b", "a_b", "a,b", "../a"] {
            assert!(!is_namespace(text), "{text:?}");
        }
        assert!(!is_namespace(&"a".repeat(64)));
    }

    #[test]
    fn keys_and_values_of_labels_are_recognised() {
        assert!(is_qualified_name("tier") && is_qualified_name("example.com/Tier_1"));
        assert!(!is_qualified_name("/tier") && !is_qualified_name("Example.com/tier"));
        assert!(is_label_value("") && is_label_value("prod.1"));
        assert!(!is_label_value("a b") && !is_label_value(&"a".repeat(64)));
    }
}
