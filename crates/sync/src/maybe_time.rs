//! A time, or none, in few bytes.

use std::fmt;

use jiff::Timestamp;

/// In microseconds.
const A_SECOND: i64 = 1_000_000;

/// As `Option<Timestamp>`, in 8 bytes and not in 24: whole microseconds. There are some for each copy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MaybeTime(i64);

impl MaybeTime {
    /// Before all times that a [`Timestamp`] can be.
    pub(crate) const NONE: Self = Self(i64::MIN);

    pub(crate) fn get(self) -> Option<Timestamp> {
        let (seconds, rest) = (self.0.div_euclid(A_SECOND), self.0.rem_euclid(A_SECOND));
        // What was made of a time is one; `NONE` is out of range.
        Timestamp::new(seconds, i32::try_from(rest * 1000).ok()?).ok()
    }

    pub(crate) fn take(&mut self) -> Option<Timestamp> {
        std::mem::replace(self, Self::NONE).get()
    }
}

impl Default for MaybeTime {
    fn default() -> Self {
        Self::NONE
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
    fn a_time_comes_back_to_the_microsecond() {
        for time in [Timestamp::UNIX_EPOCH, Timestamp::constant(1_785_000_000, 123_456_000)] {
            assert_eq!(MaybeTime::from(time).get(), Some(time));
        }
        for time in [Timestamp::MIN, Timestamp::MAX] {
            let back = MaybeTime::from(time).get().unwrap();
            assert!(time.duration_since(back).as_micros() == 0, "{time}");
        }
    }

    #[test]
    fn none_is_none_and_taking_leaves_none() {
        assert_eq!(MaybeTime::default().get(), None);
        let mut time = MaybeTime::from(Timestamp::UNIX_EPOCH);
        assert_eq!(time.take(), Some(Timestamp::UNIX_EPOCH));
        assert_eq!(time, MaybeTime::NONE);
    }
}
