//! The order of the jobs. Pure: the time is passed in.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    time::Duration,
};

use jiff::Timestamp;

use super::JobClass;
use crate::moment::Moment;

/// Which objects need a job, from when on, and which goes first. A key is in the queue once, so that
/// a burst of events about an object is one job.
#[derive(Debug)]
pub(crate) struct Queue<K> {
    tickets: HashMap<K, Ticket>,
    /// Not due yet, by the moment at which they will be.
    later: BTreeSet<(Moment, K)>,
    /// Due, by their priority.
    ready: BTreeSet<(JobClass, Deadline, K)>,
}

/// When a key is due, and its priority then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    class: JobClass,
    due: Moment,
    deadline: Deadline,
}

/// The order of due jobs of one class, in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline(i64);

impl Deadline {
    /// There is no working copy, and no job has been tried.
    pub(crate) const FIRST: Self = Self(i64::MIN);
    /// There is no working copy, and a job has failed: a failing object delays no other.
    pub(crate) const RETRY: Self = Self(i64::MIN + 1);

    /// The copy works until then.
    pub(crate) fn at(time: Timestamp) -> Self {
        Self(time.as_microsecond())
    }
}

impl Ticket {
    /// Not before the uptime `due`.
    pub(crate) fn new(class: JobClass, due: Duration, deadline: Deadline) -> Self {
        Self { class, due: due.into(), deadline }
    }

    pub(crate) fn class(self) -> JobClass {
        self.class
    }

    pub(crate) fn is_due(self, now: Duration) -> bool {
        self.due <= now.into()
    }
}

impl<K: Copy + Ord + Hash> Queue<K> {
    pub(crate) fn new() -> Self {
        Self { tickets: HashMap::new(), later: BTreeSet::new(), ready: BTreeSet::new() }
    }

    /// Puts a key in the queue or moves it; without a ticket, removes it.
    pub(crate) fn set(&mut self, key: K, ticket: Option<Ticket>) {
        if self.tickets.get(&key) == ticket.as_ref() {
            return;
        }
        if let Some(Ticket { class, due, deadline }) = self.tickets.remove(&key) {
            self.later.remove(&(due, key));
            self.ready.remove(&(class, deadline, key));
        }
        if let Some(ticket) = ticket {
            self.tickets.insert(key, ticket);
            self.later.insert((ticket.due, key));
        }
    }

    /// Removes and returns the first key that is due at `now`, of the classes up to `last`.
    pub(crate) fn pop(&mut self, now: Duration, last: JobClass) -> Option<K> {
        while let Some(&(due, key)) = self.later.first()
            && due <= now.into()
        {
            self.later.pop_first();
            if let Some(&Ticket { class, deadline, .. }) = self.tickets.get(&key) {
                self.ready.insert((class, deadline, key));
            }
        }
        let (_, _, key) = self.ready.first().filter(|(class, ..)| *class <= last).copied()?;
        self.ready.pop_first();
        self.tickets.remove(&key);
        if self.tickets.is_empty() {
            // After a refresh of all copies it has room for all, and none of it is needed for hours.
            self.tickets.shrink_to_fit();
        }
        Some(key)
    }

    /// All keys with their tickets, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, Ticket)> {
        self.tickets.iter().map(|(&key, &ticket)| (key, ticket))
    }

    /// The uptime at which a key of the classes up to `last` is due: zero for now, `None` for never.
    pub(crate) fn next_due(&self, last: JobClass) -> Option<Duration> {
        if self.ready.first().is_some_and(|(class, ..)| *class <= last) {
            return Some(Duration::ZERO);
        }
        self.later.first().map(|&(due, _)| due.into())
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
        Ticket::new(JobClass::Apply, up(due), Deadline::at(at(deadline)))
    }

    fn urgent(due: u64) -> Ticket {
        Ticket::new(JobClass::Apply, up(due), Deadline::FIRST)
    }

    fn drain(queue: &mut Queue<char>, now: u64) -> String {
        std::iter::from_fn(|| queue.pop(up(now), JobClass::Delete)).collect()
    }

    #[test]
    fn missing_objects_go_first_then_the_earliest_deadline() {
        let mut queue = Queue::new();
        queue.set('d', Some(refresh(0, 30)));
        queue.set('c', Some(refresh(0, 20)));
        queue.set('b', Some(urgent(5)));
        queue.set('a', Some(urgent(5)));
        assert_eq!(drain(&mut queue, 5), "abcd");
    }

    #[test]
    fn no_key_is_taken_out_before_it_is_due() {
        let mut queue = Queue::new();
        queue.set('a', Some(urgent(5)));
        assert_eq!(queue.next_due(JobClass::Delete), Some(up(5)));
        assert_eq!(drain(&mut queue, 4), "");
        assert_eq!(drain(&mut queue, 5), "a");
        assert_eq!(queue.next_due(JobClass::Delete), None);
    }

    #[test]
    fn a_key_is_in_the_queue_once_and_with_its_last_ticket() {
        let mut queue = Queue::new();
        queue.set('a', Some(refresh(0, 0)));
        assert_eq!(queue.pop(up(0), JobClass::Delete), Some('a'));
        queue.set('a', Some(refresh(0, 0)));
        queue.set('a', Some(urgent(3)));
        queue.set('b', Some(refresh(0, 0)));
        assert_eq!(drain(&mut queue, 2), "b");
        assert_eq!(drain(&mut queue, 3), "a");
    }

    #[test]
    fn a_key_that_is_ready_can_be_moved_and_cancelled() {
        let mut queue = Queue::new();
        for key in ['a', 'b', 'c'] {
            queue.set(key, Some(urgent(0)));
        }
        assert_eq!(queue.pop(up(0), JobClass::Delete), Some('a'));
        queue.set('b', None);
        queue.set('c', Some(urgent(9)));
        assert_eq!(drain(&mut queue, 8), "");
        assert_eq!(drain(&mut queue, 9), "c");
    }

    #[test]
    fn classes_go_in_their_order_whatever_their_deadlines() {
        let mut queue = Queue::new();
        queue.set('d', Some(Ticket::new(JobClass::Delete, up(0), Deadline::FIRST)));
        queue.set('p', Some(Ticket::new(JobClass::Patch, up(0), Deadline::FIRST)));
        queue.set('a', Some(refresh(0, 30)));
        assert_eq!(queue.pop(up(0), JobClass::Patch), Some('a'));
        assert_eq!(queue.pop(up(0), JobClass::Patch), Some('p'));
        assert_eq!(queue.pop(up(0), JobClass::Patch), None);
        assert_eq!(queue.next_due(JobClass::Patch), None, "a deletion alone is left");
        assert_eq!(drain(&mut queue, 0), "d");
    }
}
