//! Log lines about many objects: one line for each kind of event, with a number and examples. Pure.
//!
//! Single objects are logged at DEBUG. What happens to one of them happens to thousands when a right is
//! missing, and a line for each would hide everything else.

use std::{collections::BTreeMap, time::Duration};

use tracing::{info, warn};

use super::notice::Severity;

/// A line is written once nothing more has happened for this time.
const QUIET: Duration = Duration::from_secs(1);
/// But after this time at the latest.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// The time between the first two lines; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// How long a topic is kept after its last event.
const LONGEST_SILENCE: Duration = Duration::from_mins(2);
/// How many objects a line names.
const EXAMPLES: usize = 3;

/// A kind of event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Topic {
    pub(crate) severity: Severity,
    /// What happened, to objects in the plural.
    pub(crate) text: &'static str,
    /// The reason, the client or the release: others have lines of their own.
    pub(crate) by: Option<String>,
}

/// The lines to come.
#[derive(Debug, Default)]
pub(crate) struct Digest(BTreeMap<Topic, Pending>);

/// The events of a topic since its last line.
#[derive(Debug)]
struct Pending {
    count: u64,
    examples: Vec<String>,
    /// The first event, in a sentence.
    detail: String,
    first: Duration,
    last: Duration,
    /// No line before this uptime.
    not_before: Duration,
    pause: Duration,
}

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    topic: Topic,
    count: u64,
    examples: String,
    detail: String,
}

impl Digest {
    /// Adds an event of an object at this uptime.
    pub(crate) fn add(&mut self, topic: Topic, object: String, detail: &str, now: Duration) {
        let pending = self.0.entry(topic).or_insert_with(|| Pending {
            count: 0,
            examples: Vec::new(),
            detail: String::new(),
            first: now,
            last: now,
            not_before: Duration::ZERO,
            pause: FIRST_PAUSE,
        });
        if pending.count == 0 {
            (pending.first, pending.detail) = (now, detail.to_owned());
        }
        if pending.examples.len() < EXAMPLES && !pending.examples.contains(&object) {
            pending.examples.push(object);
        }
        pending.count += 1;
        pending.last = now;
    }

    /// The lines that are due at this uptime.
    pub(crate) fn take_due(&mut self, now: Duration) -> Vec<Line> {
        let is_over = |pending: &Pending| {
            pending.count == 0 && now >= pending.not_before.saturating_add(LONGEST_PAUSE)
        };
        self.0.retain(|_, pending| !is_over(pending));
        let due =
            self.0.iter_mut().filter(|(_, pending)| pending.due().is_some_and(|due| due <= now));
        due.map(|(topic, pending)| pending.take(topic, now)).collect()
    }

    /// All lines, at the end.
    pub(crate) fn take_all(&mut self) -> Vec<Line> {
        let waiting = self.0.iter_mut().filter(|(_, pending)| pending.count > 0);
        waiting.map(|(topic, pending)| pending.take(topic, Duration::ZERO)).collect()
    }

    /// The uptime at which a line is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.0.values().filter_map(Pending::due).min()
    }
}

impl Pending {
    fn due(&self) -> Option<Duration> {
        let due = (self.last + QUIET).min(self.first + LONGEST_WAIT);
        let due = due.max(self.not_before.min(self.last + LONGEST_SILENCE));
        (self.count > 0).then_some(due)
    }

    fn take(&mut self, topic: &Topic, now: Duration) -> Line {
        self.not_before = now.saturating_add(self.pause);
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        Line {
            topic: topic.clone(),
            count: std::mem::take(&mut self.count),
            examples: std::mem::take(&mut self.examples).join(", "),
            detail: std::mem::take(&mut self.detail),
        }
    }
}

impl Line {
    pub(crate) fn log(&self) {
        let Self { topic: Topic { severity, text, by }, count, examples, detail } = self;
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        match severity {
            Severity::Warning => warn!(count, reason = by, examples, "{text}{detail}"),
            Severity::Normal => info!(count, reason = by, examples, "{text}{detail}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(severity: Severity) -> Topic {
        Topic { severity, text: "could not write copies", by: Some("forbidden".to_owned()) }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn add(digest: &mut Digest, severity: Severity, objects: u64, now: Duration) {
        for number in 0..objects {
            digest.add(topic(severity), format!("team-{number}/ecr-pull"), "no right", now);
        }
    }

    #[test]
    fn many_events_are_one_line_with_three_examples() {
        let mut digest = Digest::default();
        add(&mut digest, Severity::Warning, 2000, at(5));
        assert_eq!(digest.take_due(at(5)), []);
        assert_eq!(digest.next_due(), Some(at(6)));
        let [line] = &digest.take_due(at(6))[..] else { panic!("it is one line") };
        assert_eq!((line.count, &*line.detail), (2000, "no right"));
        assert_eq!(line.examples, "team-0/ecr-pull, team-1/ecr-pull, team-2/ecr-pull");
        assert_eq!((digest.take_due(at(100)), digest.next_due()), (vec![], None));
    }

    #[test]
    fn what_was_not_told_yet_is_told_once_it_is_over() {
        let mut digest = Digest::default();
        add(&mut digest, Severity::Warning, 1, at(0));
        assert_eq!(digest.take_due(at(1)).len(), 1);
        for second in [40, 100, 220, 460, 941] {
            add(&mut digest, Severity::Warning, 1, at(second));
            digest.take_due(at(second + 1));
        }
        add(&mut digest, Severity::Warning, 7, at(950));
        assert_eq!(digest.next_due(), Some(at(950) + LONGEST_SILENCE));
        assert_eq!(digest.take_all()[0].count, 7);
    }

    #[test]
    fn what_goes_on_for_an_hour_has_a_dozen_lines() {
        let mut digest = Digest::default();
        let mut lines = Vec::new();
        for second in 0..3600 {
            add(&mut digest, Severity::Warning, 1, at(second));
            lines.extend(digest.take_due(at(second)).iter().map(|_| second));
        }
        assert_eq!(lines[..3], [10, 40, 100]);
        assert!(lines.len() < 12, "{lines:?}");
        // Once it is over, it begins anew.
        assert_eq!(digest.take_due(at(6000)).len(), 1);
        assert_eq!(digest.take_due(at(9000)).len(), 0);
        add(&mut digest, Severity::Warning, 1, at(9000));
        assert_eq!(digest.next_due(), Some(at(9001)));
    }

    #[test]
    fn other_reasons_have_lines_of_their_own() {
        let mut digest = Digest::default();
        add(&mut digest, Severity::Warning, 1, at(0));
        let other = Topic { by: Some("timeout".to_owned()), ..topic(Severity::Warning) };
        digest.add(other, "a/b".to_owned(), "", at(0));
        assert_eq!(digest.take_due(at(1)).len(), 2);
    }
}
