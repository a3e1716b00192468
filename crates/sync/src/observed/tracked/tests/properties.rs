//! Whatever happens to an object: in the end it is known as it is, or it counts as missing and one
//! more write makes it known.

use std::collections::VecDeque;

use proptest::{collection::vec, prelude::*};

use super::*;

/// Versions of before and after a restore are never the same.
const ERAS: u64 = 1 << 16;

/// An object by its version, on a server that is restored now and then.
#[derive(Default)]
struct Server {
    version: u64,
    object: Option<u64>,
    backup: (u64, Option<u64>),
    restores: u64,
}

impl Server {
    fn put(&mut self) -> u64 {
        self.version += ERAS;
        self.object = Some(self.version);
        self.version
    }

    fn delete(&mut self) -> Option<u64> {
        self.object.take()?;
        self.version += ERAS;
        Some(self.version)
    }

    fn restore(&mut self) {
        self.restores += 1;
        let (version, object) = self.backup;
        (self.version, self.object) = (version / ERAS * ERAS + self.restores, object);
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Another client makes the object or changes it.
    Put,
    Delete,
    BackUp,
    Restore,
    BeginList,
    MakeList,
    /// The list or the watch delivers the next event.
    Deliver,
    StartWrite,
    StartDeletion,
    Do,
    Answer,
    LoseAnswer,
    /// A request that is done and answered before anything else happens.
    WriteAtOnce,
    DeleteAtOnce,
}

/// Those that happen the most stand here the most.
const STEPS: [Step; 23] = [
    Step::Put,
    Step::Delete,
    Step::Delete,
    Step::BackUp,
    Step::Restore,
    Step::BeginList,
    Step::MakeList,
    Step::MakeList,
    Step::Deliver,
    Step::Deliver,
    Step::Deliver,
    Step::StartWrite,
    Step::StartWrite,
    Step::StartDeletion,
    Step::Do,
    Step::Do,
    Step::Do,
    Step::Answer,
    Step::Answer,
    Step::LoseAnswer,
    Step::WriteAtOnce,
    Step::DeleteAtOnce,
    Step::DeleteAtOnce,
];

enum Shown {
    Listed(u64),
    ListEnded,
    Changed(u64),
    Gone(u64),
}

/// An own request: a deletion names the version that must be there still.
#[derive(Clone, Copy)]
enum Request {
    Write,
    Deletion(u64),
}

/// The object after a request; `Err` when it was refused, or the answer was lost.
type Answer = Result<Option<u64>, ()>;

#[derive(Default)]
struct World {
    server: Server,
    tracked: Tracked<u64>,
    lists: Lists,
    /// Whether changes are events: not before the list is made.
    is_watching: bool,
    shown: VecDeque<Shown>,
    request: Option<(Request, Option<Answer>)>,
}

impl World {
    fn take(&mut self, step: Step) {
        match step {
            Step::Put => drop(self.put()),
            Step::Delete => self.delete(),
            Step::BackUp => self.server.backup = (self.server.version, self.server.object),
            Step::Restore => {
                self.server.restore();
                // The server was down: no answer of before comes through.
                if let Some((_, answer)) = &mut self.request {
                    *answer = Some(Err(()));
                }
                self.begin_list();
            }
            Step::BeginList => self.begin_list(),
            Step::MakeList => self.make_list(),
            Step::Deliver => drop(self.deliver()),
            Step::StartWrite => self.start_job(),
            Step::StartDeletion => self.start_deletion(),
            Step::WriteAtOnce => {
                self.start_job();
                self.reach();
                self.answer();
            }
            Step::DeleteAtOnce => {
                self.start_deletion();
                self.reach();
                self.answer();
            }
            Step::Do => self.reach(),
            Step::Answer => self.answer(),
            Step::LoseAnswer => {
                if let Some((_, answer)) = &mut self.request {
                    *answer = Some(Err(()));
                }
            }
        }
    }

    fn send(&mut self, shown: Shown) {
        if self.is_watching {
            self.shown.push_back(shown);
        }
    }

    fn put(&mut self) -> u64 {
        let version = self.server.put();
        self.send(Shown::Changed(version));
        version
    }

    fn delete(&mut self) {
        if let Some(version) = self.server.delete() {
            self.send(Shown::Gone(version));
        }
    }

    fn begin_list(&mut self) {
        self.shown.clear();
        self.is_watching = false;
        self.lists.begin();
    }

    fn make_list(&mut self) {
        if !self.is_watching {
            self.shown.extend(self.server.object.map(Shown::Listed));
            self.shown.push_back(Shown::ListEnded);
            self.is_watching = true;
        }
    }

    fn deliver(&mut self) -> Option<()> {
        match self.shown.pop_front()? {
            Shown::Listed(version) => self.tracked.listed(version, self.lists),
            Shown::ListEnded => {
                self.lists.end();
                self.tracked.list_ended(self.lists);
            }
            Shown::Changed(version) => self.tracked.changed(version),
            Shown::Gone(version) => self.tracked.gone(version),
        }
        Some(())
    }

    fn start_job(&mut self) {
        self.start(Some(Request::Write));
    }

    fn start_deletion(&mut self) {
        self.start(self.tracked.get().copied().map(Request::Deletion));
    }

    /// As the index does, not before the first list, and one at a time.
    fn start(&mut self, request: Option<Request>) {
        if self.request.is_none() && self.lists.is_complete() {
            self.request = request.map(|request| (request, None));
            if self.request.is_some() {
                self.tracked.start_job();
            }
        }
    }

    fn reach(&mut self) {
        let Some((request, None)) = self.request else { return };
        let answer = match request {
            Request::Write => Ok(Some(self.put())),
            Request::Deletion(version) if self.server.object == Some(version) => {
                self.delete();
                Ok(None)
            }
            Request::Deletion(_) => Err(()),
        };
        self.request = Some((request, Some(answer)));
    }

    fn answer(&mut self) {
        let Some((request, Some(answer))) = self.request else { return };
        self.request = None;
        match (request, answer) {
            (_, Err(())) => self.tracked.end_job(),
            (Request::Deletion(version), Ok(_)) => self.tracked.deleted(version, self.lists),
            (Request::Write, Ok(version)) => self.tracked.written(version.unwrap(), self.lists),
        }
    }

    /// All events are delivered, in an order that `is_answered_first` decides.
    fn settle(&mut self, is_answered_first: bool) {
        self.make_list();
        self.reach();
        if is_answered_first {
            self.answer();
        }
        while self.deliver().is_some() {}
        self.answer();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(20_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn an_object_is_known_as_it_is_or_counts_as_missing(
        steps in vec(prop::sample::select(&STEPS[..]), 0..60),
        is_answered_first: bool,
    ) {
        let mut world = World::default();
        world.begin_list();
        for step in steps {
            world.take(step);
        }
        world.settle(is_answered_first);
        let known = world.tracked.get().copied();
        prop_assert!(known.is_none() || known == world.server.object, "{known:?}");
        world.start_job();
        world.settle(is_answered_first);
        prop_assert_eq!(world.tracked.get().copied(), world.server.object);
    }
}
