//! The one source of randomness of the process: for jitter and names, not for secrets.

use std::sync::{Arc, Mutex, PoisonError};

/// Random numbers. Clones draw from the same sequence.
#[derive(Debug, Clone)]
pub struct Random(Arc<Mutex<fastrand::Rng>>);

impl Random {
    /// A sequence that no other process has.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn from_system() -> Self {
        Self::from_seed(fastrand::u64(..))
    }

    /// The sequence of a seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// The next number in 0..1.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }

    /// The next number of 64 bits.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).u64(..)
    }
}
