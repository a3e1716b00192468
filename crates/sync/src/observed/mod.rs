//! The objects of the cluster in lists and watches.

pub mod account;
pub mod change;
pub mod copy;
pub mod metadata;
pub mod namespace;
pub mod resource;
pub(crate) mod tracked;
