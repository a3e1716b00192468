//! The order of the writes. Pure: the time is passed in.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    time::Duration,
};

use jiff::Timestamp;

use crate::moment::MaybeTime;

/// What is to be written, when, and what goes first. A key is in the queue once, so a burst of
/// events about a copy is one write.
#[derive(Debug)]
pub(crate) struct Queue<K> {
    tickets: HashMap<K, Ticket>,
    /// Not due yet, by the time from which on they are.
    later: BTreeSet<(MaybeTime, K)>,
    /// Due, by their deadlines.
    ready: BTreeSet<(MaybeTime, K)>,
}

/// The place of a key in the queue, in few bytes: in a first rollout there is one for each copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    due: MaybeTime,
    deadline: MaybeTime,
}

impl Ticket {
    /// Not before the uptime `due`. Of what is due, that without a deadline goes first, as nothing that
    /// works is there and nothing was tried; then the earliest deadline, which is the expiry of what
    /// is there.
    pub(crate) fn new(due: Duration, deadline: Option<Timestamp>) -> Self {
        Self { due: due.into(), deadline: deadline.map_or(MaybeTime::NONE, MaybeTime::from) }
    }

    pub(crate) fn is_due(&self, now: Duration) -> bool {
        self.due <= now.into()
    }
}

impl<K: Copy + Ord + Hash> Queue<K> {
    pub(crate) fn new() -> Self {
        Self { tickets: HashMap::new(), later: BTreeSet::new(), ready: BTreeSet::new() }
    }

    /// Puts a key in the queue, or moves it to another place.
    pub(crate) fn schedule(&mut self, key: K, ticket: Ticket) {
        if self.tickets.get(&key) == Some(&ticket) {
            return;
        }
        self.cancel(key);
        self.tickets.insert(key, ticket);
        self.later.insert((ticket.due, key));
    }

    /// Takes a key out of the queue.
    pub(crate) fn cancel(&mut self, key: K) {
        if let Some(ticket) = self.tickets.remove(&key) {
            self.later.remove(&(ticket.due, key));
            self.ready.remove(&(ticket.deadline, key));
        }
    }

    /// Takes out the key that goes first at `now`.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<K> {
        while let Some(&(due, key)) = self.later.first()
            && due <= now.into()
        {
            self.later.pop_first();
            if let Some(ticket) = self.tickets.get(&key) {
                self.ready.insert((ticket.deadline, key));
            }
        }
        let (_, key) = self.ready.pop_first()?;
        self.tickets.remove(&key);
        if self.tickets.is_empty() {
            // After a refresh of all copies it has room for all, and none of it is needed for hours.
            self.tickets.shrink_to_fit();
        }
        Some(key)
    }

    /// All keys with their places, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &Ticket)> {
        self.tickets.iter().map(|(&key, ticket)| (key, ticket))
    }

    /// When there is something to take out, by the uptime: zero for now, `None` for never.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        self.later.first().and_then(|&(due, _)| due.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn up(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn refresh(due: u64, deadline: i64) -> Ticket {
        Ticket::new(up(due), Some(at(deadline)))
    }

    fn urgent(due: u64) -> Ticket {
        Ticket::new(up(due), None)
    }

    fn drain(queue: &mut Queue<char>, now: u64) -> String {
        std::iter::from_fn(|| queue.pop(up(now))).collect()
    }

    #[test]
    fn what_has_no_deadline_goes_first_and_then_the_earliest_deadline() {
        let mut queue = Queue::new();
        queue.schedule('d', refresh(0, 30));
        queue.schedule('c', refresh(0, 20));
        queue.schedule('b', urgent(5));
        queue.schedule('a', urgent(5));
        assert_eq!(drain(&mut queue, 5), "abcd");
    }

    #[test]
    fn nothing_is_taken_out_before_it_is_due() {
        let mut queue = Queue::new();
        queue.schedule('a', urgent(5));
        assert_eq!(queue.next_due(), Some(up(5)));
        assert_eq!(drain(&mut queue, 4), "");
        assert_eq!(drain(&mut queue, 5), "a");
        assert_eq!(queue.next_due(), None);
    }

    #[test]
    fn a_key_is_in_the_queue_once_and_at_its_last_place() {
        let mut queue = Queue::new();
        queue.schedule('a', refresh(0, 0));
        assert_eq!(queue.pop(up(0)), Some('a'));
        queue.schedule('a', refresh(0, 0));
        queue.schedule('a', urgent(3));
        queue.schedule('b', refresh(0, 0));
        assert_eq!(drain(&mut queue, 2), "b");
        assert_eq!(drain(&mut queue, 3), "a");
    }

    #[test]
    fn a_key_that_is_ready_can_be_moved_and_cancelled() {
        let mut queue = Queue::new();
        for key in ['a', 'b', 'c'] {
            queue.schedule(key, urgent(0));
        }
        assert_eq!(queue.pop(up(0)), Some('a'));
        queue.cancel('b');
        queue.schedule('c', urgent(9));
        assert_eq!(drain(&mut queue, 8), "");
        assert_eq!(drain(&mut queue, 9), "c");
    }
}
