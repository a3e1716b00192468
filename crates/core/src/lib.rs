//! Registry credentials: where they come from, how long they live, and the docker config document
//! that carries them.
//!
//! A [`Registry`] is a named source of [`Credentials`]: an ECR region or a docker config file. A
//! [`keeper`] holds one fresh, at half of each token's life. [`dockerconfig`] merges what several
//! registries returned into the document that a pull Secret holds.
//!
//! Decisions are pure functions of a passed time ([`Lifetime`], [`Schedule`], [`ecr::reply`]); only
//! [`ecr`], [`mod@file`] and [`keeper`] do I/O.

mod auth;
pub mod aws;
mod cache;
mod chain;
pub mod clock;
mod credentials;
pub mod dockerconfig;
pub mod ecr;
mod error;
pub mod file;
mod host;
pub mod keeper;
mod lifetime;
mod metrics;
mod registry;
mod schedule;

pub use auth::{Auth, AuthError};
pub use cache::{Cache, CacheError};
pub use chain::{Chain, shorten};
pub use credentials::Credentials;
pub use error::{FetchError, Reason};
pub use host::{Host, HostError, is_account};
pub use lifetime::{AlreadyExpired, Lifetime};
pub use metrics::TokenMetrics;
pub use registry::{Registry, Source};
pub use schedule::Schedule;
