//! Whether this is CI, where a test that cannot run fails.

/// Whether the environment variable `CI` is `true`, as all CI systems set it.
#[must_use]
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}
