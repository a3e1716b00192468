//! Writes to the API server: their order, their failures, and how many run at once.

pub(crate) mod backoff;
pub(crate) mod concurrency;
pub mod failure;
pub(crate) mod queue;
