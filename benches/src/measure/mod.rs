//! What is measured: one subject a file.

pub(crate) mod edit;
pub(crate) mod latency;
pub(crate) mod passes;
pub(crate) mod rest;
pub(crate) mod restart;
