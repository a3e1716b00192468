//! Whether this process is the one that calls AWS and writes.

use std::time::Duration;

use ecr_refresher_core::clock::Clock;
use tokio::sync::watch;

/// Which replica leads, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeadershipState {
    /// Nothing yet.
    Undecided,
    /// Another replica leads.
    Follower,
    /// This one leads.
    Leader {
        /// The number of its term: higher than those of all terms before, of all replicas.
        term: u64,
        /// When the term ends, by the uptime, unless it is renewed.
        until: Duration,
    },
}

impl LeadershipState {
    /// The term that has not ended at an uptime of `now`.
    #[must_use]
    pub fn term(self, now: Duration) -> Option<u64> {
        match self {
            Self::Leader { term, until } => (now < until).then_some(term),
            Self::Undecided | Self::Follower => None,
        }
    }
}

/// The right to call AWS and to write, which one replica has at a time. It ends by itself when it is
/// not renewed, so that a replica that was cut off or suspended writes nothing more.
#[derive(Debug, Clone)]
pub struct Leadership {
    state: watch::Receiver<LeadershipState>,
    clock: Clock,
}

impl Leadership {
    /// The right by the state of an election.
    #[must_use]
    pub fn new(state: watch::Receiver<LeadershipState>, clock: Clock) -> Self {
        Self { state, clock }
    }

    /// The right of the only replica: one term for ever.
    #[must_use]
    pub fn always(clock: Clock) -> Self {
        let (_, state) = watch::channel(LeadershipState::Leader { term: 1, until: Duration::MAX });
        Self { state, clock }
    }

    /// The term in which it is held now, if it is.
    #[must_use]
    pub fn term(&self) -> Option<u64> {
        self.state.borrow().term(self.clock.uptime())
    }

    /// Whether it is held now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.term().is_some()
    }

    /// Whether it is known which replica leads.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        *self.state.borrow() != LeadershipState::Undecided
    }

    /// Waits until [`Leadership::term`] is another one than `term`.
    pub async fn changed(&mut self, term: Option<u64>) {
        while self.term() == term {
            let until = match *self.state.borrow_and_update() {
                LeadershipState::Leader { until, .. } if term.is_some() => until,
                _ => Duration::MAX,
            };
            tokio::select! {
                biased;
                result = self.state.changed() => if result.is_err() {
                    // The election has ended: the last state stays.
                    self.clock.sleep_until(until).await;
                },
                () = self.clock.sleep_until(until) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use jiff::Timestamp;
    use tokio::time::{Instant, advance};

    use super::*;

    fn clock() -> Clock {
        let started = Instant::now();
        Clock::new(|| Timestamp::UNIX_EPOCH, move || started.elapsed())
    }

    fn leader(term: u64, until: u64) -> LeadershipState {
        LeadershipState::Leader { term, until: Duration::from_secs(until) }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_held_as_long_as_it_is_renewed() {
        let (renew, state) = watch::channel(LeadershipState::Undecided);
        let mut leadership = Leadership::new(state, clock());
        assert!(!leadership.is_decided() && !leadership.is_held());
        assert!(leadership.changed(None).now_or_never().is_none());
        renew.send_replace(leader(1, 10));
        leadership.changed(None).await;
        assert_eq!(leadership.term(), Some(1));
        advance(Duration::from_secs(9)).await;
        renew.send_replace(leader(1, 19));
        advance(Duration::from_secs(9)).await;
        assert!(leadership.changed(Some(1)).now_or_never().is_none());
        renew.send_replace(LeadershipState::Follower);
        leadership.changed(Some(1)).await;
        assert_eq!(leadership.term(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_by_itself_when_it_is_not_renewed() {
        let (renew, state) = watch::channel(leader(1, 30));
        let mut leadership = Leadership::new(state, clock());
        let started = Instant::now();
        leadership.changed(Some(1)).await;
        assert_eq!((started.elapsed().as_secs(), leadership.term()), (30, None));
        // Also after the end of the election.
        renew.send_replace(leader(2, 50));
        drop(renew);
        leadership.changed(Some(2)).await;
        assert_eq!(started.elapsed().as_secs(), 50);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_term_differs_from_the_one_before() {
        let (renew, state) = watch::channel(leader(1, 30));
        let mut leadership = Leadership::new(state, clock());
        renew.send_replace(leader(2, 60));
        leadership.changed(Some(1)).await;
        assert_eq!(leadership.term(), Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn the_only_replica_always_has_it() {
        let mut leadership = Leadership::always(clock());
        assert_eq!(leadership.term(), Some(1));
        advance(Duration::from_hours(1_000)).await;
        assert!(leadership.changed(Some(1)).now_or_never().is_none());
    }
}
