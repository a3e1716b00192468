//! A limit on what connections hold at once.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio_util::sync::CancellationToken;

/// A limited number of places. There is always one for the latest: the connection with the oldest one
/// is cancelled for it.
#[derive(Debug)]
pub(super) struct Latest {
    most: usize,
    taken: Mutex<VecDeque<(Weak<()>, CancellationToken)>>,
}

/// A place of a connection, until it and its clones are dropped.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<()>);

impl Latest {
    /// At most this many, which is not 0.
    pub(super) const fn new(most: usize) -> Self {
        Self { most, taken: Mutex::new(VecDeque::new()) }
    }

    /// A place for a connection.
    pub(super) fn add(&self, connection: &CancellationToken) -> Place {
        let place = Place(Arc::new(()));
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|(place, _)| place.strong_count() > 0);
        if taken.len() >= self.most
            && let Some((_, oldest)) = taken.pop_front()
        {
            oldest.cancel();
        }
        taken.push_back((Arc::downgrade(&place.0), connection.clone()));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_has_not_ended_makes_room() {
        let latest = Latest::new(2);
        let tokens: [_; 4] = std::array::from_fn(|_| CancellationToken::new());
        let cancelled = || tokens.each_ref().map(CancellationToken::is_cancelled);
        let _first = latest.add(&tokens[0]);
        let second = latest.add(&tokens[1]);
        assert_eq!(cancelled(), [false; 4]);
        let _third = latest.add(&tokens[2]);
        assert_eq!(cancelled(), [true, false, false, false]);
        drop(second);
        let _fourth = latest.add(&tokens[3]);
        assert_eq!(cancelled(), [true, false, false, false]);
    }

    #[test]
    fn a_connection_may_take_one_place_after_the_other() {
        let latest = Latest::new(1);
        let connection = CancellationToken::new();
        drop(latest.add(&connection));
        drop(latest.add(&connection));
        assert!(!connection.is_cancelled());
    }
}
