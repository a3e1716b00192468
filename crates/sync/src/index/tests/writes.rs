//! Running jobs of copies, and their results.

use super::*;

/// A running apply of a copy.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) namespace: Arc<str>,
    pub(super) manifest: Arc<Manifest>,
    pub(super) replaces: Option<Replaced>,
    pub(super) job: Job,
}

/// A running deletion of a copy.
#[derive(Debug)]
pub(super) struct Deletion {
    pub(super) namespace: Arc<str>,
    pub(super) uid: Uid,
    pub(super) resource_version: u64,
    pub(super) job: Job,
}

impl Index {
    pub(super) fn next_write(&mut self, now: Now) -> Option<Write> {
        let job = self.next_job(now, JobClass::Apply)?;
        let Action::Apply(apply) = &job.action else { panic!("{job:?}") };
        let (manifest, replaces) = (Arc::clone(&apply.manifest), apply.replaces);
        Some(Write { namespace: Arc::clone(&job.namespace), manifest, replaces, job })
    }

    pub(super) fn next_deletion(&mut self, now: Now) -> Option<Deletion> {
        let job = self.next_job(now, JobClass::Delete)?;
        let Action::Delete(deletion) = job.action else { panic!("{job:?}") };
        let crate::job::Deletion { uid, resource_version } = deletion;
        Some(Deletion { namespace: Arc::clone(&job.namespace), uid, resource_version, job })
    }

    /// When any job is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.next_due(JobClass::Delete)
    }
}

impl Fixture {
    /// The writes that are due, in their order. None of them ends by itself.
    pub(super) fn writes(&mut self) -> Vec<Write> {
        std::iter::from_fn(|| self.index.next_write(self.now)).collect()
    }

    /// The only write that is due.
    pub(super) fn write(&mut self) -> Write {
        let mut writes = self.writes();
        assert_eq!(writes.len(), 1, "{writes:?}");
        writes.remove(0)
    }

    /// The API server does what is asked.
    pub(super) fn finish(&mut self, write: Write) -> JobOutcome {
        let observed = self.observed(copy_of(&write.manifest));
        self.answer(write, observed)
    }

    #[expect(clippy::needless_pass_by_value, reason = "the job has ended")]
    pub(super) fn answer(&mut self, write: Write, observed: ObservedCopy) -> JobOutcome {
        self.done(&write.job, Ok(Written::Copy(observed))).unwrap()
    }

    pub(super) fn fail(&mut self, write: Write, reason: WriteReason) -> JobOutcome {
        self.fail_until(write, reason, None)
    }

    #[expect(clippy::needless_pass_by_value, reason = "the job has ended")]
    pub(super) fn fail_until(
        &mut self,
        write: Write,
        reason: WriteReason,
        wait: Option<u64>,
    ) -> JobOutcome {
        let failure = WriteFailure {
            reason,
            message: "no".to_owned(),
            retry_after: wait.map(Duration::from_secs),
        };
        self.done(&write.job, Err(failure)).unwrap()
    }

    /// Finishes all writes that are due. Says which they were, one in place with a `~`, and one by force with a `!`.
    pub(super) fn write_all(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(write) = self.index.next_write(self.now) {
            names.push(name_of(&write));
            self.finish(write);
        }
        names
    }

    /// The writes of all time to come with the moments at which they are due, as none fails.
    pub(super) fn write_as_due(&mut self) -> Vec<(String, Duration)> {
        let mut all = Vec::new();
        while let Some(due) = self.index.next() {
            self.pass_until(due);
            all.extend(self.write_all().into_iter().map(|name| (name, self.now.uptime)));
        }
        all
    }
}

pub(super) fn is_repair(write: &Write) -> bool {
    matches!(&write.job.action, Action::Apply(apply) if apply.is_repair)
}

pub(super) fn is_forced(write: &Write) -> bool {
    write.replaces.is_some_and(|replaced| replaced.version.is_some())
}

pub(super) fn name_of(write: &Write) -> String {
    let mark = match write.replaces {
        None => "",
        Some(Replaced { version: None, .. }) => "~",
        Some(_) => "!",
    };
    format!("{}{mark}", write.namespace)
}

pub(super) fn names_of(writes: &[Write]) -> Vec<String> {
    writes.iter().map(name_of).collect()
}
