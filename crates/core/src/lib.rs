//! Registry credentials: where they come from, how long they live, and the docker config document
//! that carries them.
//!
//! A [`Registry`](tokens::Registry) of the config gets its entries from the token of a
//! [`TokenSource`](tokens::TokenSource): an API of AWS, called as one identity, or a docker config
//! file. The [`TokenStore`](tokens::TokenStore) owns all tokens. [`dockerconfig`] merges the entries
//! of several registries into the document that a pull Secret holds.
//!
//! Decisions are pure functions of a passed time ([`Lifetime`], [`tokens`], [`fetch::reply`]); only
//! [`aws`] and [`fetch`] do I/O.

mod auth;
pub mod aws;
mod caught;
pub mod clock;
pub mod connect;
mod credentials;
#[cfg(test)]
mod damage;
pub mod dockerconfig;
pub mod ecr;
mod entry;
mod error;
mod error_chain;
pub mod fetch;
mod files;
mod host;
mod lifetime;
mod metrics;
pub mod planted;
mod random;
mod schedule;
pub mod tokens;

pub use auth::{Auth, AuthError};
pub use credentials::Credentials;
pub use entry::{Entry, EntryError};
pub use error::{FetchError, Reason};
pub use error_chain::{ErrorChain, shorten};
pub use files::Files;
pub use host::{Host, HostError, is_account};
pub use lifetime::{AlreadyExpired, Lifetime};
pub use metrics::TokenMetrics;
pub use random::Random;
