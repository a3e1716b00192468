//! The world of the replicas: the cluster, AWS, the config, and the running processes.

use std::{collections::BTreeSet, time::Duration};

use ecr_refresher_core::planted::Bug;
use jiff::SignedDuration;
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    api::{ApiServer, Faults, Kind, Snapshot},
    aws::{Service, SimulatedAws},
    check::{always::Always, calm, neighbour, truth::Truth},
    files::SimulatedFiles,
    plan::{FILE, Plan},
    replica::{CONFIG, HOME, NEIGHBOUR_CONFIG, NEIGHBOUR_HOME, Replica, Surroundings},
    time::TrueTime,
    trace::Trace,
};

/// The names of the replicas.
pub const REPLICAS: [&str; 3] = ["one", "two", "three"];
/// After so long without a fault, everything must be right.
const CALM: Duration = Duration::from_mins(15);

/// How the product runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As a daemon of so many replicas.
    Daemon(usize),
    /// As passes of a `CronJob`.
    Passes,
}

/// The config of the neighbour. Its list overlaps with each of the product's, and differs from it.
const NEIGHBOUR_PLAN: &str = "\
registries: [{ name: main, ecr: { region: eu-west-1 } }]
secrets: [{ name: ecr-pull, namespaces: [\"team-[3-6]\"], onConflict: adopt }]
prune: { after: 2m }
";

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Decides everything random.
    pub seed: u64,
    /// How the product runs.
    pub mode: Mode,
    /// The life of tokens.
    pub token_life: Duration,
    /// How many namespaces there are at the start.
    pub namespaces: usize,
    /// The config at the start.
    pub plan: Plan,
    /// The level of the logs that are checked for secrets.
    pub log_level: &'static str,
    /// A bug that is planted in the product.
    pub bug: Option<Bug>,
    /// Whether another release has the same pull Secret.
    pub has_neighbour: bool,
}

/// Everything, while a run lasts.
pub struct World {
    /// What the replicas share.
    pub surroundings: Surroundings,
    /// The replicas.
    pub replicas: Vec<Replica>,
    /// The daemon of another release, which has the same pull Secret.
    neighbour: Option<Replica>,
    /// What is true.
    pub truth: Truth,
    /// What happened.
    pub trace: Trace,
    pub(crate) setting: Setting,
    pub(crate) plan: Plan,
    pub(crate) former_plans: Vec<Plan>,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) hub: Hub,
    /// The clients that undo what the product does.
    pub(crate) fights: JoinSet<()>,
    /// Has the logs of this thread come into the trace.
    _logs: tracing::subscriber::DefaultGuard,
}

/// The docker config file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hub {
    /// How many hosts it has.
    pub(crate) hosts: u8,
    /// Which password.
    pub(crate) password: u8,
}

impl Hub {
    fn hosts(self) -> BTreeSet<String> {
        (0..self.hosts).map(|number| format!("hub-{number}.example.com")).collect()
    }

    fn text(self) -> String {
        let password = format!("file-secret-{}", self.password);
        let entry = |host: String| (host, json!({ "username": "me", "password": password }));
        let auths: serde_json::Map<_, _> = self.hosts().into_iter().map(entry).collect();
        json!({ "auths": auths }).to_string()
    }
}

impl World {
    /// A cluster, and the product in it, started.
    #[must_use]
    pub fn new(setting: Setting) -> Self {
        let Setting { seed, mode, token_life, namespaces, plan, .. } = setting.clone();
        let time = TrueTime::begin();
        let trace = Trace::new(time);
        let logs = trace.capture(setting.log_level);
        let api = ApiServer::new(seed ^ 1, time);
        let aws = SimulatedAws::new(seed ^ 2, time);
        aws.lock().token_life = SignedDuration::try_from(token_life).unwrap();
        let truth = Truth::new(time, aws.clone(), trace.clone(), plan.clone());
        let surroundings = Surroundings { api, aws, files: SimulatedFiles::default(), time };
        let count = match mode {
            Mode::Daemon(count) => count,
            Mode::Passes => 1,
        };
        let replicas = REPLICAS.into_iter().take(count);
        let replicas = replicas.map(|name| Replica::new(name, surroundings.clone(), seed ^ 3));
        let neighbour = || Replica::neighbour(surroundings.clone(), seed ^ 4);
        let mut world = Self {
            replicas: replicas.collect(),
            neighbour: setting.has_neighbour.then(neighbour),
            surroundings,
            truth,
            trace,
            setting,
            plan: plan.clone(),
            former_plans: Vec::new(),
            snapshot: None,
            hub: Hub { hosts: 2, password: 0 },
            fights: JoinSet::new(),
            _logs: logs,
        };
        {
            let mut server = world.surroundings.api.lock();
            server.options.default_accounts = true;
            server.set_observer(Box::new(Always(world.truth.clone())));
            server.put(Kind::Namespace, "", HOME, json!({}), "kubectl");
            server.put(Kind::Namespace, "", NEIGHBOUR_HOME, json!({}), "kubectl");
            for number in 0..namespaces {
                let labels = if number % 3 == 0 { json!({}) } else { json!({ "tier": "prod" }) };
                let namespace = json!({ "metadata": { "labels": labels } });
                server.put(Kind::Namespace, "", &format!("team-{number}"), namespace, "kubectl");
            }
        }
        world.write_hub(world.hub);
        world.surroundings.files.write(CONFIG, &plan.text());
        world.surroundings.files.write(NEIGHBOUR_CONFIG, NEIGHBOUR_PLAN);
        world.start_all();
        world
    }

    /// Writes the docker config file.
    pub(crate) fn write_hub(&mut self, hub: Hub) {
        self.hub = hub;
        self.surroundings.files.write(FILE, &hub.text());
        self.truth.lock().edit_file(hub.hosts());
    }

    /// Writes a config into the file.
    pub fn write_config(&mut self, plan: Plan) {
        self.surroundings.files.write(CONFIG, &plan.text());
        self.truth.lock().edit(plan.clone());
        self.plan = plan;
    }

    /// Whether every replica has had the time to read the config since it was last edited.
    pub(crate) fn config_is_read(&self) -> bool {
        self.truth.lock().config_age() > Duration::from_secs(3)
    }

    /// Whether every replica has had the time to read the docker config file.
    pub(crate) fn hub_is_read(&self) -> bool {
        self.truth.lock().hub_age() > Duration::from_secs(10)
    }

    /// Starts the replicas that do not run.
    pub(crate) fn start_all(&mut self) {
        if self.setting.mode != Mode::Passes {
            self.replicas.iter_mut().for_each(Replica::start);
        }
        self.neighbour.iter_mut().for_each(Replica::start);
    }

    /// Notes replicas that have ended by themselves, which none should.
    pub(crate) async fn check_running(&mut self) {
        for replica in self.replicas.iter_mut().chain(&mut self.neighbour) {
            if let Some(failure) = replica.has_failed().await {
                self.truth.lock().violation(failure);
            }
        }
        self.truth.lock().check_calls();
    }

    /// Ends all faults.
    pub async fn heal(&mut self) {
        self.fights.abort_all();
        self.surroundings.api.lock().faults = Faults::default();
        {
            let mut aws = self.surroundings.aws.lock();
            aws.faults.clear();
            aws.clock_ahead = SignedDuration::ZERO;
        }
        for replica in &self.replicas {
            replica.clock.set_drift(0);
            replica.clock.set_offset(SignedDuration::ZERO);
        }
        let (plan, hub) = (self.plan.clone(), self.hub);
        self.write_hub(hub);
        self.write_config(plan);
        self.check_running().await;
        self.start_all();
        self.trace.add("all faults have ended");
    }

    /// Waits without faults, and records the problems that remain.
    pub async fn check_calm(&mut self) {
        self.wait_calmly().await;
        self.check_running().await;
        let mut wrong = {
            let server = self.surroundings.api.lock();
            let facts = self.truth.lock();
            // One pass does not know since when a copy is unwanted, and deletes none.
            let mut wrong = calm::check(&server, &facts, self.setting.mode != Mode::Passes);
            if self.neighbour.is_some() {
                wrong.extend(neighbour::check_calm(&server, &facts));
            }
            wrong
        };
        if self.setting.mode != Mode::Passes {
            wrong.extend(self.check_reports().await);
        }
        let mut facts = self.truth.lock();
        for problem in wrong {
            facts.violation(format!("after {CALM:?} without faults: {problem}"));
        }
    }

    async fn wait_calmly(&mut self) {
        if self.setting.mode == Mode::Passes {
            sleep(Duration::from_mins(2)).await;
            self.once().await;
        } else {
            sleep(CALM).await;
            // Between two refreshes, if there is such a moment.
            for _ in 0..30 {
                if self.truth.lock().is_refreshing() {
                    sleep(Duration::from_secs(20)).await;
                }
            }
        }
    }

    /// Does a pass.
    pub(crate) async fn once(&mut self) {
        for replica in &mut self.replicas {
            match replica.once().await {
                Ok(summary) => {
                    self.trace.add(&format!("a pass ended: {:?}", summary.map(|it| it.is_good())));
                }
                Err(error) => self.trace.add(&format!("a pass failed: {error:#}")),
            }
        }
    }

    /// Whether what the replicas report is true; returns what is not.
    async fn check_reports(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut leaders = 0;
        for replica in &self.replicas {
            let Some(handle) = replica.handle() else {
                wrong.push(format!("{} does not run", replica.name));
                continue;
            };
            let text = match handle.render_metrics().await {
                Ok(text) => text,
                Err(error) => {
                    wrong.push(format!("{} renders no metrics: {error:#}", replica.name));
                    continue;
                }
            };
            if Trace::shows_secret(&text) {
                wrong.push(format!("the metrics of {} show a secret", replica.name));
            }
            let leads = handle.leadership.is_held();
            leaders += usize::from(leads);
            let (server, facts) = (self.surroundings.api.lock(), self.truth.lock());
            wrong.extend(crate::check::reports::check(&text, leads, &server, &facts));
        }
        let expected = if self.plan.election { 1 } else { self.replicas.len() };
        if leaders != expected {
            wrong.push(format!("{leaders} replicas lead"));
        }
        wrong
    }

    /// Whether a token is due to be replaced within the next `span`.
    fn refresh_is_near(&self, span: Duration) -> bool {
        let (now, soon) = (self.surroundings.time.now(), SignedDuration::try_from(span).unwrap());
        let aws = self.surroundings.aws.lock();
        let facts = self.truth.lock();
        let cached = facts.cached_passwords();
        cached.iter().filter_map(|password| aws.tokens.find(password)).any(|token| {
            let life = token.expires_at.duration_since(token.issued_at);
            // Up to a twentieth of half the life earlier, by jitter.
            let due = token.issued_at + (life / 40) * 19;
            due <= now + soon
        })
    }

    /// For an hour nothing should be written, and after a restart neither.
    pub async fn check_quiet(&mut self) {
        let (hour, moment) = (Duration::from_hours(1), Duration::from_mins(2));
        for restarts in [false, true] {
            let (span, what) =
                if restarts { (moment, "after a restart") } else { (hour, "in a quiet hour") };
            if self.refresh_is_near(span + moment) {
                return;
            }
            let before = (self.truth.lock().writes(), self.calls());
            if restarts {
                for replica in &mut self.replicas {
                    if let Some(failure) = replica.terminate().await {
                        self.truth.lock().violation(failure);
                    }
                }
                self.start_all();
            }
            sleep(span).await;
            let after = (self.truth.lock().writes(), self.calls());
            if before != after {
                let (writes, calls) = (after.0 - before.0, after.1 - before.1);
                let problem = format!("{what} there were {writes} writes and {calls} calls of AWS");
                self.truth.lock().violation(problem);
            }
        }
    }

    fn calls(&self) -> u64 {
        let aws = self.surroundings.aws.lock();
        aws.calls.total(Service::Ecr) + aws.calls.total(Service::EcrPublic)
    }
}
