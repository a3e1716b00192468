//! The clusters in which the daemon is measured.

pub(crate) mod hostile;
pub(crate) mod many;
pub(crate) mod sizes;
