//! A time, or none, in few bytes.

use std::{fmt, time::Duration};

use jiff::Timestamp;

/// In microseconds.
const A_SECOND: i64 = 1_000_000;

/// An `Option` of a time in 8 bytes and not in 24: whole microseconds, of the uptime or since the Unix
/// epoch. There are some for each copy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MaybeTime(i64);

impl MaybeTime {
    /// Before all other times.
    pub(crate) const NONE: Self = Self(i64::MIN);

    /// The uptime that it was made of.
    pub(crate) fn get(self) -> Option<Duration> {
        u64::try_from(self.0).ok().map(Duration::from_micros)
    }

    pub(crate) fn take(&mut self) -> Option<Duration> {
        std::mem::replace(self, Self::NONE).get()
    }
}

impl Default for MaybeTime {
    fn default() -> Self {
        Self::NONE
    }
}

impl From<Duration> for MaybeTime {
    fn from(uptime: Duration) -> Self {
        Self(i64::try_from(uptime.as_micros()).unwrap_or(i64::MAX))
    }
}

impl From<Timestamp> for MaybeTime {
    fn from(time: Timestamp) -> Self {
        // Not rounded up, which the last of all times could not be.
        Self(time.as_second() * A_SECOND + i64::from(time.subsec_microsecond()))
    }
}

impl fmt::Debug for MaybeTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uptime_comes_back_to_the_microsecond() {
        for uptime in [Duration::ZERO, Duration::new(5, 123_456_000)] {
            assert_eq!(MaybeTime::from(uptime).get(), Some(uptime));
        }
    }

    #[test]
    fn dates_keep_their_order() {
        let dates = [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX].map(MaybeTime::from);
        assert!(dates.is_sorted() && MaybeTime::NONE < dates[0]);
    }

    #[test]
    fn none_is_none_and_taking_leaves_none() {
        assert_eq!(MaybeTime::default().get(), None);
        let mut time = MaybeTime::from(Duration::from_secs(1));
        assert_eq!(time.take(), Some(Duration::from_secs(1)));
        assert_eq!(time, MaybeTime::NONE);
    }
}
