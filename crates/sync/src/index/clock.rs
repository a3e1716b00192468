//! A wall clock that is set back.

use jiff::{SignedDuration, Timestamp};

use super::Index;

/// A clock may be slowed down or set back by so much without any consequence.
const SLACK: SignedDuration = SignedDuration::from_secs(1);

impl Index {
    /// Takes in what the wall clock says, which is to be asked before each round of writes. Returns
    /// by how much it was set back, if it was.
    pub fn heed_clock(&mut self, now: Timestamp) -> Option<SignedDuration> {
        let back = self.latest.duration_since(now);
        if back <= SLACK {
            self.latest = self.latest.max(now);
            return None;
        }
        self.latest = now;
        self.set_back(now);
        Some(back)
    }

    /// Takes in that the wall clock was set back, and says `now`.
    ///
    /// What was noted by the old time would lie in the future, and whatever waits since then would
    /// wait for as much longer. A grace begins anew instead, a wait is never longer than the
    /// longest that there is, and a refresh goes at once.
    fn set_back(&mut self, now: Timestamp) {
        let spread = self.spread;
        for state in self.secrets.iter_mut().flatten() {
            if state.replaced_since > now {
                // How long the old token works still cannot be told by a clock that jumps: all
                // turns have come.
                state.replaced_since = now.saturating_sub(spread).unwrap_or(Timestamp::MIN);
            }
        }
        for id in self.namespaces.ids_where(|_| true) {
            if let Some(entry) = self.namespaces.get_mut(id) {
                entry.copies.iter_mut().for_each(|copy| copy.set_back(now));
                entry.accounts.iter_mut().for_each(|account| account.set_back(now));
            }
        }
        self.requeue(now);
    }
}
