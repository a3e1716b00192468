//! Keeps the copies of pull Secrets in the namespaces of an allow-list.
//!
//! ```text
//! desired (config, tokens) ─┐
//! observed (watches)        ├─► index ─► job queue ─► writer ─► API server
//! job results               ┘◄────────────────────────┘
//! ```
//!
//! [`index`] compares desired with observed state. It is pure: events and the time go in, jobs come
//! out. [`engine`] is the loop around it, which does the I/O.

pub mod desired;
pub mod engine;
pub mod index;
pub mod job;
pub mod leadership;
mod moment;
pub mod observed;
pub mod release;
pub mod report;
pub mod snapshot;
pub mod watch;
mod writer;

/// The name of this program: the value of the managed-by label of a copy, and the controller of Events.
pub const MANAGER: &str = "ecr-refresher";
/// The label that says which program manages a copy.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The annotation with the earliest expiry of a copy's entries (RFC 3339).
pub const EXPIRES_AT: &str = "ecr-refresher.io/expires-at";
/// The annotation that lists the keys of a copy's docker config, which are hosts of registries.
pub const REGISTRIES: &str = "ecr-refresher.io/registries";
/// The annotation that says in plain words what a copy is.
pub const DESCRIPTION: &str = "ecr-refresher.io/description";
/// The annotation with the hash of a copy's content: the first 64 bits of a SHA-256, in hex.
pub const CONTENT_HASH: &str = "ecr-refresher.io/content-hash";
