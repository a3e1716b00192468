//! The engine keeps all copies up to date.
//!
//! [`step`] is pure: it decides. [`runner`] does the I/O: it feeds the step with watch events, job
//! results and requests, and carries out its effects.

pub mod handle;
mod notify;
pub mod once;
pub mod prune;
pub mod runner;
pub mod step;
#[cfg(test)]
mod tests;
