//! The cluster, the engine around the index, and what is checked at each step.

use super::{
    cluster::{Answer, Cluster, Connection, Secret, refused},
    config::{Config, Edit, Kind},
    shown::Shown,
    *,
};

/// A request under way; with an answer once the API server has dealt with it.
pub(super) struct Flight {
    kind: Kind,
    name: &'static str,
    request: Request,
    answer: Option<Answer>,
}

pub(super) enum Request {
    Write(Write),
    Deletion(Deletion),
}

impl Flight {
    /// The API server deals with it, unless it has already.
    fn reach(&mut self, cluster: &mut Cluster) {
        let Self { kind, name, request, answer } = self;
        if answer.is_some() {
            return;
        }
        let old = cluster.secret(*kind, name);
        *answer = Some(match request {
            Request::Write(write) => cluster.apply(*kind, name, write),
            Request::Deletion(deletion) => cluster.delete(*kind, name, deletion),
        });
        let is_foreign = |old: &Secret| old.observed.ownership == Ownership::Foreign;
        let replaces = match request {
            Request::Write(write) => write.replaces,
            Request::Deletion(_) => None,
        };
        let is_named = |old: &Secret| {
            replaces.is_some_and(|Replaced { uid, .. }| Some(uid) == old.observed.uid)
        };
        let untouched = cluster.secret(*kind, name) == old;
        let is_lost = !untouched && old.is_some_and(|old| is_foreign(&old) && !is_named(&old));
        assert!(!is_lost, "{name} was foreign");
    }
}

/// The cluster, the index, and what the index was shown.
pub(super) struct World {
    pub(super) cluster: Cluster,
    pub(super) config: Config,
    pub(super) index: Index,
    pub(super) now: Now,
    leads: bool,
    tokens: u32,
    pub(super) manifests: Vec<Manifest>,
    pub(super) flights: Vec<Flight>,
    /// Requests that were cut off when another process came to lead: they may be done still.
    late: Vec<Flight>,
    pub(super) shown: Shown,
}

impl World {
    /// A daemon that has just started, and has a token.
    pub(super) fn new() -> Self {
        let config = Config::simple();
        let mut world = Self {
            cluster: Cluster::default(),
            index: Index::new(&config.settings(), 7),
            config,
            now: moment(0),
            leads: true,
            tokens: 0,
            manifests: Vec::new(),
            flights: Vec::new(),
            late: Vec::new(),
            shown: Shown::default(),
        };
        world.token();
        world.relist_namespaces();
        world.relist_copies(Kind::One);
        world
    }

    pub(super) fn take(&mut self, step: &Step) {
        match *step {
            Step::MakeNamespace(name, tier) => self.cluster.put_namespace(name, namespace(tier)),
            Step::TerminateNamespace(name) => self.cluster.terminate_namespace(name),
            Step::RemoveNamespace(name) => self.cluster.remove_namespace(name),
            Step::MakeForeign(kind, name) => self.cluster.make_foreign(kind, name),
            Step::RemoveSecret(kind, name) => self.cluster.remove_secret(kind, name),
            Step::Edit(kind, name) => self.cluster.edit(kind, name),
            Step::Strip(kind, name, the_one) => self.cluster.strip(kind, name, the_one),
            Step::Webhook(on) => self.cluster.webhook = on,
            Step::Token => self.token(),
            Step::DeliverNamespace => drop(self.deliver_namespace()),
            Step::DeliverCopy(kind) => drop(self.deliver_copy(kind)),
            Step::RelistNamespaces => self.relist_namespaces(),
            Step::RelistCopies(kind) => self.relist_copies(kind),
            Step::ListNamespaces => self.cluster.list_namespaces(),
            Step::ListCopies(kind) => self.cluster.list_copies(kind),
            Step::Start(count) => self.start(count),
            Step::Do(flight) => self.deal_with(flight, |answer| answer),
            Step::DoInSilence(flight) => {
                self.deal_with(flight, |_| Err(refused(WriteReason::Timeout)));
            }
            Step::Refuse(flight, reason) => self.refuse(flight, reason),
            Step::Answer(flight) => self.answer(flight),
            Step::Pass(seconds) => self.pass(Duration::from_secs(seconds)),
            Step::SetDate(seconds, replan) => self.set_date(seconds, replan),
            Step::Configure(edit, at_once) => self.configure(edit, at_once),
            Step::StandBy => self.stand_by(),
            Step::Lead => self.lead(),
            Step::BackUp => self.cluster.back_up(),
            Step::Restore => self.restore(),
        }
        self.shown.note_unwanted(&self.config, self.now);
    }

    fn apply(&mut self, event: Event) {
        self.index.apply(event, self.now);
    }

    // Time.

    pub(super) fn pass(&mut self, time: Duration) {
        self.now.uptime += time;
        self.now.wall += SignedDuration::try_from(time).unwrap();
    }

    /// The date is set, which causes no write and postpones none, though all are planned anew.
    pub(super) fn set_date(&mut self, seconds: i64, replan: bool) {
        self.now.wall += SignedDuration::from_secs(seconds);
        if replan {
            let due = |index: &Index| index.next().map(|due| due.max(self.now.uptime));
            let before = due(&self.index);
            let _ = self.index.reconfigure(&self.config.settings(), self.now);
            let after = due(&self.index);
            assert_eq!(after.is_some(), before.is_some());
            assert!(after <= before, "{after:?} {before:?}");
        }
    }

    // The engine.

    /// The slot of a pull Secret.
    fn slot(&self, kind: Kind) -> Option<SecretSlot> {
        let mut secrets = self.index.secrets();
        secrets.find(|(_, secret)| secret.name == kind.name()).map(|(slot, _)| slot)
    }

    fn token(&mut self) {
        self.tokens += 1;
        let text = |kind: Kind| format!("{} token {}", kind as u8, self.tokens);
        self.manifests = Kind::ALL.map(|kind| manifest(&text(kind), self.now.wall, LIFE)).into();
        self.render();
    }

    fn render(&mut self) {
        for kind in self.config.kinds().collect::<Vec<_>>() {
            if let Some(secret) = self.slot(kind).filter(|_| self.leads) {
                let manifest = Arc::new(self.manifests[kind as usize].clone());
                self.apply(Event::Manifest { secret, manifest });
            }
        }
    }

    fn configure(&mut self, edit: Edit, at_once: bool) {
        let before = self.config.clone();
        self.config.edit(edit);
        let slots = [Kind::One, Kind::Other].map(|kind| self.slot(kind));
        let labels_are_missing = self.index.reconfigure(&self.config.settings(), self.now);
        let (had, has) =
            (|kind| before.get(kind).is_some(), |kind| self.config.get(kind).is_some());
        let removed: Vec<_> = Kind::ALL.into_iter().filter(|&it| had(it) && !has(it)).collect();
        let added: Vec<_> = Kind::ALL.into_iter().filter(|&it| !had(it) && has(it)).collect();
        for kind in Kind::ALL {
            let slot = self.slot(kind);
            assert_eq!(slot.is_some(), has(kind));
            assert!(added.contains(&kind) || slot.is_none() || slot == slots[kind as usize]);
        }
        assert_eq!(labels_are_missing, self.config.selects() && !before.selects());
        for kind in removed {
            self.cluster.collection_mut(kind).watch.end();
            self.shown.forget(kind);
        }
        if labels_are_missing {
            self.cluster.namespace_watch.end();
            self.shown.labels_are_missing();
        }
        if at_once {
            self.take_up_watches();
        }
        self.render();
    }

    pub(super) fn take_up_watches(&mut self) {
        if self.cluster.namespace_watch.connection == Connection::Lost {
            self.relist_namespaces();
        }
        for kind in self.config.kinds().collect::<Vec<_>>() {
            if self.cluster.collection(kind).watch.connection == Connection::Lost {
                self.relist_copies(kind);
            }
        }
    }

    fn stand_by(&mut self) {
        self.leads = false;
        self.late.append(&mut self.flights);
        self.index.end_term(self.now);
    }

    pub(super) fn lead(&mut self) {
        for mut flight in std::mem::take(&mut self.late) {
            flight.reach(&mut self.cluster);
        }
        self.leads = true;
        self.render();
    }

    /// Etcd is restored to an older state, for which the API servers are down for a while.
    fn restore(&mut self) {
        self.cluster.restore();
        self.late.clear();
        for flight in &mut self.flights {
            flight.answer = Some(Err(refused(WriteReason::Network)));
        }
        self.relist_namespaces();
        for kind in self.config.kinds().collect::<Vec<_>>() {
            self.relist_copies(kind);
        }
    }

    // Events.

    fn deliver_namespace(&mut self) -> Option<()> {
        let (_, change) = self.cluster.namespace_watch.events.pop_front()?;
        self.shown.of_namespace(&change);
        self.apply(Event::Namespace(change));
        Some(())
    }

    pub(super) fn relist_namespaces(&mut self) {
        self.cluster.namespace_watch.relist();
        self.shown.of_namespace(&Watched::ListBegun);
        self.apply(Event::Namespace(Watched::ListBegun));
    }

    fn deliver_copy(&mut self, kind: Kind) -> Option<()> {
        let (version, change) = self.cluster.collection_mut(kind).watch.events.pop_front()?;
        self.shown.of_copy(kind, version, &change);
        let secret = self.slot(kind).expect("only what is in the config is watched");
        self.apply(Event::Copy { secret, change });
        Some(())
    }

    pub(super) fn deliver_all(&mut self) {
        while self.deliver_namespace().is_some() {}
        for kind in Kind::ALL {
            while self.deliver_copy(kind).is_some() {}
        }
    }

    pub(super) fn relist_copies(&mut self, kind: Kind) {
        let Some(secret) = self.slot(kind) else { return };
        self.cluster.collection_mut(kind).watch.relist();
        self.shown.of_copy(kind, 0, &Watched::ListBegun);
        self.apply(Event::Copy { secret, change: Watched::ListBegun });
    }

    // Requests.

    pub(super) fn start(&mut self, count: usize) {
        for _ in 0..if self.leads { count } else { 0 } {
            let (secret, namespace, request) = if let Some(write) = self.index.next_write(self.now)
            {
                (Arc::clone(&write.job.name), Arc::clone(&write.namespace), Request::Write(write))
            } else if let Some(it) = self.index.next_deletion(self.now) {
                (Arc::clone(&it.job.name), Arc::clone(&it.namespace), Request::Deletion(it))
            } else {
                return;
            };
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == &*secret).unwrap();
            match &request {
                Request::Write(write) => {
                    let manifest = &self.manifests[kind as usize];
                    self.shown.check_write(kind, write, manifest, &self.config);
                }
                Request::Deletion(deletion) => {
                    self.shown.check_deletion(kind, deletion, &self.config, self.now);
                }
            }
            let name = NAMES.into_iter().find(|&name| name == &*namespace).unwrap();
            let mut others = self.flights.iter();
            let is_alone = others.all(|other| (other.kind, other.name) != (kind, name));
            assert!(is_alone, "two requests for {name} are under way");
            self.shown.of_start(kind, name);
            self.flights.push(Flight { kind, name, request, answer: None });
        }
    }

    pub(super) fn deal_with(&mut self, flight: usize, and: impl FnOnce(Answer) -> Answer) {
        if let Some(flight) = self.flights.get_mut(flight) {
            flight.reach(&mut self.cluster);
            flight.answer = flight.answer.take().map(and);
        }
    }

    fn refuse(&mut self, flight: usize, reason: WriteReason) {
        if let Some(flight) = self.flights.get_mut(flight) {
            flight.answer.get_or_insert(Err(refused(reason)));
        }
    }

    fn answer(&mut self, flight: usize) {
        if self.flights.get(flight).is_none_or(|flight| flight.answer.is_none()) {
            return;
        }
        let Flight { kind, name, request, answer } = self.flights.remove(flight);
        let answer = answer.unwrap();
        // Without the pull Secret in the config, nothing is shown.
        let shown = self.config.get(kind).map(|_| &mut self.shown);
        match request {
            Request::Write(write) => {
                if let (Ok(Some(observed)), Some(shown)) = (&answer, shown) {
                    shown.of_answer(kind, name, observed.clone());
                }
                let result = answer.map(|observed| Written::Copy(observed.unwrap()));
                self.index.job_done(&write.job, result, self.now);
            }
            Request::Deletion(deletion) => {
                if let (Ok(_), Some(shown)) = (&answer, shown) {
                    shown.of_deletion(kind, name, deletion.resource_version);
                }
                let result = answer.map(|_| Written::Deleted);
                self.index.job_done(&deletion.job, result, self.now);
            }
        }
    }

    /// Whether the request for a write is under way.
    pub(super) fn is_writing(&self) -> bool {
        self.flights.iter().any(|flight| matches!(flight.request, Request::Write(_)))
    }

    pub(super) fn answer_all(&mut self) {
        for flight in (0..self.flights.len()).rev() {
            self.answer(flight);
        }
    }
}
