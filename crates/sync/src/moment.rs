//! A moment of the uptime in 8 bytes, also as an `Option`.

use std::{fmt, num::NonZeroU64, time::Duration};

/// A moment of the uptime, in whole microseconds.
///
/// `Option<Moment>` takes 8 bytes and `Option<Duration>` 16; each copy has several.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(
    /// One more than the microseconds.
    NonZeroU64,
);

impl From<Duration> for Moment {
    fn from(uptime: Duration) -> Self {
        let micros = u64::try_from(uptime.as_micros()).unwrap_or(u64::MAX);
        Self(NonZeroU64::MIN.saturating_add(micros))
    }
}

impl From<Moment> for Duration {
    fn from(moment: Moment) -> Self {
        Self::from_micros(moment.0.get() - 1)
    }
}

impl Moment {
    /// The time from this moment until `uptime`; zero if it is in the future.
    pub(crate) fn until(self, uptime: Duration) -> Duration {
        uptime.saturating_sub(self.into())
    }

    /// The moment `delay` later.
    pub(crate) fn after(self, delay: Duration) -> Duration {
        Duration::from(self).saturating_add(delay)
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Duration::from(*self).fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uptime_is_kept_to_the_microsecond() {
        for uptime in [Duration::ZERO, Duration::new(5, 123_456_000)] {
            assert_eq!(Duration::from(Moment::from(uptime)), uptime);
        }
    }

    #[test]
    fn an_optional_moment_takes_eight_bytes() {
        assert_eq!(size_of::<Option<Moment>>(), 8);
    }

    #[test]
    fn moments_keep_the_order_of_uptimes() {
        let moments = [Duration::ZERO, Duration::from_secs(1), Duration::MAX].map(Moment::from);
        assert!(moments.is_sorted());
    }
}
