//! Whether this process is the one that calls AWS and writes.

use ecr_refresher_core::clock::{Now, sleep_until};
use jiff::Timestamp;
use tokio::sync::watch;

/// What is known about who leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing yet.
    Undecided,
    /// Another replica leads.
    Follower,
    /// This one does, until then, unless it is renewed.
    LeaderUntil(Timestamp),
}

/// The right to call AWS and to write, which one replica has at a time. It ends by itself when it
/// is not renewed, so that nobody who was cut off or suspended acts on what he had once.
#[derive(Debug, Clone)]
pub struct Leadership {
    standing: watch::Receiver<Standing>,
    now: Now,
}

impl Leadership {
    /// The right that `standing` tells of.
    #[must_use]
    pub fn new(standing: watch::Receiver<Standing>, now: Now) -> Self {
        Self { standing, now }
    }

    /// The right of whoever is alone.
    #[must_use]
    pub fn always(now: Now) -> Self {
        let (_, standing) = watch::channel(Standing::LeaderUntil(Timestamp::MAX));
        Self { standing, now }
    }

    /// Whether it is held now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        (self.now)() < self.until()
    }

    /// Whether it is known who leads.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        *self.standing.borrow() != Standing::Undecided
    }

    /// Waits until it is held.
    pub async fn gained(&mut self) {
        while !self.is_held() {
            self.changed().await;
        }
    }

    /// Waits until it is held no more.
    pub async fn lost(&mut self) {
        while self.is_held() {
            let (until, now) = (self.until(), self.now);
            tokio::select! {
                () = self.changed() => {}
                () = sleep_until(until, now) => {}
            }
        }
    }

    fn until(&self) -> Timestamp {
        match *self.standing.borrow() {
            Standing::LeaderUntil(until) => until,
            Standing::Undecided | Standing::Follower => Timestamp::MIN,
        }
    }

    /// Waits for news; for ever, if there is nobody any more who could tell.
    async fn changed(&mut self) {
        if self.standing.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicI64, Ordering},
        time::Duration,
    };

    use futures::FutureExt;

    use super::*;

    static SECONDS: AtomicI64 = AtomicI64::new(0);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn now() -> Timestamp {
        at(SECONDS.load(Ordering::SeqCst))
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_held_as_long_as_it_is_renewed() {
        let (renew, standing) = watch::channel(Standing::Undecided);
        let mut leadership = Leadership::new(standing, now);
        assert!(!leadership.is_decided() && !leadership.is_held());
        assert!(leadership.gained().now_or_never().is_none());
        renew.send_replace(Standing::LeaderUntil(at(10)));
        leadership.gained().await;
        assert!(leadership.lost().now_or_never().is_none());
        SECONDS.store(9, Ordering::SeqCst);
        renew.send_replace(Standing::LeaderUntil(at(19)));
        SECONDS.store(18, Ordering::SeqCst);
        assert!(leadership.is_held());
        renew.send_replace(Standing::Follower);
        leadership.lost().await;
        // Nobody renews it: a suspended machine has slept through its end.
        renew.send_replace(Standing::LeaderUntil(at(30)));
        leadership.gained().await;
        SECONDS.store(31, Ordering::SeqCst);
        tokio::time::timeout(Duration::from_mins(1), leadership.lost()).await.unwrap();
    }

    #[test]
    fn whoever_is_alone_always_has_it() {
        let mut leadership = Leadership::always(Timestamp::now);
        assert!(leadership.is_held());
        assert!(leadership.gained().now_or_never().is_some());
    }
}
