//! Histories: made of a seed, run on a thread of their own, and shrunk when they fail.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use ecr_refresher_core::planted::{Bug, plant};
use ecr_refresher_real_time_guard::guard;
use tokio::time::sleep;

use crate::{
    act::{Step, USES, pick},
    plan::Plan,
    watchdog::within_real_time,
    world::{Mode, Setting, World},
};

/// How many steps a history has.
const STEPS: usize = 30;
/// All but what shows moments of the machine's own clock.
const VERBOSE: &str = "trace,kube_runtime::utils::stream_backoff=info";
/// How long one may take in real time, also on a machine that has other work.
const LIMIT: Duration = Duration::from_mins(20);

/// A history: what happens, and to what.
#[derive(Debug, Clone)]
pub struct History {
    /// The settings.
    pub setting: Setting,
    /// The steps.
    pub steps: Vec<Step>,
    /// Whether the hour after it and a restart must be quiet.
    pub ends_quietly: bool,
}

/// What came of a history.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The invariants that were broken.
    pub violations: Vec<String>,
    /// Of everything that happened.
    pub hash: u64,
    /// The last lines of the trace.
    pub lines: Vec<String>,
    /// The first lines of the logs.
    pub logged: Vec<String>,
    /// How much virtual time it took.
    pub simulated: Duration,
}

impl History {
    /// The history of a seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let hours = |hours| Duration::from_hours(hours);
        let token_life = pick(&mut random, &[Duration::from_mins(20), hours(2), hours(12)]);
        let mode = match random.u8(0..16) {
            0 => Mode::Passes,
            1..=7 => Mode::Daemon(1),
            8..=13 => Mode::Daemon(2),
            _ => Mode::Daemon(3),
        };
        let alone = matches!(mode, Mode::Daemon(1));
        let mut plan = Plan { election: !alone || random.bool(), ..Plan::default() };
        plan.registries = std::array::from_fn(|_| random.u8(0..5) < 3);
        plan.secrets[1].present = random.bool();
        plan.slow_lease = random.u8(0..4) > 0;
        plan.secrets[1].registries = pick(&mut random, &USES);
        // Everything is formatted at this level, which takes its time.
        let log_level = if random.u8(0..20) == 0 { VERBOSE } else { "info" };
        let steps = (0..STEPS).flat_map(|_| Step::random(&mut random)).take(STEPS).collect();
        let ends_quietly = random.u8(0..4) == 0;
        // The hour of a neighbour is not quiet when ours is.
        let has_neighbour = !ends_quietly && random.u8(0..3) == 0;
        let (namespaces, bug) = (10, None);
        let setting =
            Setting { seed, mode, token_life, namespaces, plan, log_level, bug, has_neighbour };
        Self { setting, steps, ends_quietly }
    }

    /// The same with a bug planted in the product.
    #[must_use]
    pub fn with_bug(self, bug: Bug) -> Self {
        Self { setting: Setting { bug: Some(bug), ..self.setting }, ..self }
    }

    /// Runs it.
    ///
    /// # Panics
    /// When virtual time stands still.
    #[must_use]
    pub fn run(&self) -> Ran {
        let history = self.clone();
        simulate(self.setting.clone(), async move |world| history.play(world).await)
    }

    async fn play(&self, world: &mut World) {
        for Step { pause, act } in &self.steps {
            sleep(*pause).await;
            act.apply(world).await;
            world.check_running().await;
        }
        world.heal().await;
        world.check_calm().await;
        if self.ends_quietly && world.setting.mode != Mode::Passes {
            world.check_quiet().await;
        }
    }

    /// A shorter history that fails too: single steps are left out as long as it does.
    #[must_use]
    pub fn shrunk(&self, limit: Duration) -> Self {
        let started = real_time();
        let mut best = self.clone();
        let mut size = best.steps.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < best.steps.len() && started.elapsed() < limit {
                let mut shorter = best.clone();
                let end = (at + size).min(shorter.steps.len());
                // What was waited for is still waited for, so that later steps keep their moments.
                let pause: Duration = shorter.steps.drain(at..end).map(|step| step.pause).sum();
                if let Some(next) = shorter.steps.get_mut(at) {
                    next.pause += pause;
                }
                if shorter.run().violations.is_empty() { at += size } else { best = shorter }
            }
            size /= 2;
        }
        best
    }

    /// The history in words.
    #[must_use]
    pub fn describe(&self) -> String {
        let Setting { mode, token_life, plan, .. } = &self.setting;
        let elects = if plan.election { "with" } else { "without" };
        let mut text =
            format!("{mode:?} {elects} leader election, tokens that live {token_life:?}\n");
        let mut time = Duration::ZERO;
        for Step { pause, act } in &self.steps {
            time += *pause;
            let _ = writeln!(text, "{:>10.3} s  {act:?}", time.as_secs_f64());
        }
        text
    }
}

/// Runs a scenario in a world of its own, on a thread of its own.
///
/// # Panics
/// When virtual time stands still, when the scenario panics, or when something reads the real clock.
pub fn simulate(setting: Setting, scenario: impl AsyncFnOnce(&mut World) + Send + 'static) -> Ran {
    let what = format!("the simulation of seed {}", setting.seed);
    within_real_time(LIMIT, &what, move || {
        let guard = guard(setting.seed);
        fastrand::seed(setting.seed);
        plant(setting.bug);
        let mut builder = tokio::runtime::Builder::new_current_thread();
        // Otherwise tokio wakes up the receivers of one channel in an order of its own.
        #[cfg(tokio_unstable)]
        builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&setting.seed.to_le_bytes()));
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        let mut ran = runtime.block_on(async {
            let mut world = World::new(setting);
            scenario(&mut world).await;
            let mut violations = world.truth.lock().violations().to_vec();
            violations.extend(
                world.trace.leaks().into_iter().map(|it| format!("a log shows a secret: {it}")),
            );
            Ran {
                violations,
                hash: world.trace.hash(),
                lines: world.trace.lines(),
                logged: world.trace.logged(),
                simulated: world.surroundings.time.elapsed(),
            }
        });
        drop(runtime);
        ran.violations.extend(
            guard.stray_read().map(|trace| format!("something reads the real clock: {trace}")),
        );
        ran
    })
}

/// Real time, for limits and figures.
#[expect(clippy::disallowed_methods, reason = "no part of a run")]
#[must_use]
pub fn real_time() -> Instant {
    Instant::now()
}
