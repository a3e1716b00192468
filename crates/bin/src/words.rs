//! Words for people.

/// A number of things, such as `1 copy` or `2 copies`.
pub(crate) fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
