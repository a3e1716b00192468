//! Keeps the copies of pull Secrets as an allow-list of namespaces wants them.
//!
//! ```text
//! namespaces (watch) ─┐
//! copies (watch)      ├─► Index::apply(event, now) ─► Queue ─► Writer ─► outcome ─┐
//! manifests           ┘◄──────────────────────────────────────────────────────────┘
//! ```
//!
//! [`Index`] holds what is wanted against what is there, and reads no clock, socket or file: events
//! and the time are passed in, writes come out. [`Engine`] is the loop that feeds it.

mod account;
mod allow_list;
mod backoff;
mod concurrency;
mod copy_series;
mod document;
mod engine;
mod event;
mod index;
mod leadership;
mod list;
mod look;
mod manifest;
mod maybe_time;
mod metadata;
mod metrics;
mod notice;
mod observed;
mod pulse;
mod queue;
mod report;
mod settings;
mod sighting;
mod tracked;
mod watch;
mod watch_backoff;
mod writer;

pub use account::ObservedAccount;
pub use allow_list::{AllowList, Decision, PatternError};
pub use copy_series::copy_series;
pub use engine::{Engine, EngineHandle, Health, Pass, Stalled, Surroundings, WatchEnded};
pub use event::{Event, Namespace, Outcome, Watched, WriteFailure, WriteReason};
pub use index::{AccountKey, Changes, CopyKey, Deletion, Ended, Index, Link, Setback, Write};
pub use leadership::{Leadership, Standing};
pub use list::{ListError, Listed};
pub use look::{Look, look};
pub use manifest::Manifest;
pub use metadata::Metadata;
pub use metrics::SyncMetrics;
pub use notice::{Notice, Notices};
pub use observed::{ContentHash, Observed, Ownership, Uid, resource_version};
pub use pulse::Pulse;
pub use report::{AccountReport, CopyReport, CopyState, Report, SecretReport};
pub use settings::{OnConflict, PerNamespace, PullSecret, Settings};
pub use sighting::{Flaw, Sighting};
pub use watch::WatchReport;

/// The field manager of every write, and the value of the label that marks a copy as ours.
pub const MANAGER: &str = "ecr-refresher";
/// The label that marks a copy as ours.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The annotation that says when the first entry of a copy expires (RFC 3339).
pub const EXPIRES_AT: &str = "ecr-refresher.io/expires-at";
/// The annotation that says which content a copy holds: the first 128 bits of a SHA-256, in hex.
pub const CONTENT_HASH: &str = "ecr-refresher.io/content-hash";
