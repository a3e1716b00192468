//! The whole daemon in virtual time, against an API server and an AWS in memory. A seed decides what
//! goes wrong, and when; the same seed gives the same history.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a simulation that cannot go on has found a fault, or is one"
)]

pub mod act;
pub mod api;
pub mod aws;
pub mod campaign;
pub mod check;
pub mod files;
pub mod history;
pub mod plan;
pub mod replica;
pub mod time;
pub mod trace;
pub mod watchdog;
pub mod world;
