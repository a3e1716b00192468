//! A limit on the number of connections at once.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// The latest connections of a kind. A new one always has a place: the oldest one has to end for it.
#[derive(Debug)]
pub(super) struct Latest {
    most: usize,
    connections: Mutex<VecDeque<CancellationToken>>,
}

impl Latest {
    /// At most this many, which is not 0.
    pub(super) const fn new(most: usize) -> Self {
        Self { most, connections: Mutex::new(VecDeque::new()) }
    }

    /// Adds a connection, and cancels the oldest if there are too many. One that was cancelled does not
    /// count.
    pub(super) fn add(&self, connection: &CancellationToken) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|connection| !connection.is_cancelled());
        if connections.len() >= self.most
            && let Some(oldest) = connections.pop_front()
        {
            oldest.cancel();
        }
        connections.push_back(connection.clone());
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
        latest.add(&tokens[0]);
        latest.add(&tokens[1]);
        assert_eq!(cancelled(), [false; 4]);
        latest.add(&tokens[2]);
        assert_eq!(cancelled(), [true, false, false, false]);
        tokens[2].cancel();
        latest.add(&tokens[3]);
        assert_eq!(cancelled(), [true, false, true, false]);
    }
}
