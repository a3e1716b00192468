//! The invariants: what must hold at every moment, and what must hold after a time without faults.

pub mod always;
pub mod calm;
pub mod copies;
pub mod neighbour;
pub mod reports;
pub mod truth;
