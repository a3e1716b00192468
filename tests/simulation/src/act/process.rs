//! Processes that end and start, and the clocks of their machines.

use std::time::Duration;

use jiff::SignedDuration;

use super::{Random, pick};
use crate::world::{Mode, World};

/// Something that happens to a replica or its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessAct {
    /// It ends in good order, and starts again.
    Restart(usize),
    /// It ends on the spot, and starts again.
    Crash(usize),
    /// It ends on the spot, and stays down until another one starts or the config changes.
    Stop(usize),
    /// All that are down start.
    StartAll,
    /// Its wall clock is set to so many thousandths of a twentieth of a token's life from true time.
    Step(usize, i64),
    /// Its wall clock runs too fast, in millionths.
    Drift(usize, i32),
    /// All machines are suspended for so many seconds.
    Suspend(u64),
    /// The kubelet and Prometheus ask.
    Probe,
    /// A pass of the `CronJob`, where there is no daemon.
    Pass,
}

impl ProcessAct {
    pub(super) fn random(random: &mut Random) -> Self {
        let replica = random.usize(0..3);
        match random.u8(0..14) {
            0 => Self::Restart(replica),
            1..=2 => Self::Crash(replica),
            3 => Self::Stop(replica),
            4 => Self::StartAll,
            5..=7 => Self::Step(replica, random.i64(-1_000..=1_000)),
            8 => Self::Drift(replica, random.i32(-200..=200)),
            9 => Self::Suspend(pick(random, &[3, 20, 120, 1_200])),
            10 => Self::Pass,
            _ => Self::Probe,
        }
    }

    pub(super) async fn apply(&self, world: &mut World) {
        match *self {
            Self::Restart(replica) => {
                if let Some(replica) = world.replicas.get_mut(replica)
                    && let Some(failure) = replica.terminate().await
                {
                    world.truth.lock().violation(failure);
                }
                world.start_all();
            }
            Self::Crash(replica) => {
                if let Some(replica) = world.replicas.get_mut(replica) {
                    replica.kill().await;
                }
                world.start_all();
            }
            Self::Stop(replica) => {
                if let Some(replica) = world.replicas.get_mut(replica) {
                    replica.kill().await;
                }
            }
            Self::StartAll => world.start_all(),
            Self::Step(replica, thousandths) => {
                // A token that seems to live for much longer than it does is not a fault of the product.
                let most = i64::try_from(world.setting.token_life.as_millis()).unwrap() / 20;
                if let Some(replica) = world.replicas.get(replica) {
                    let offset = SignedDuration::from_millis(most * thousandths / 1_000);
                    replica.clock.set_offset(offset);
                }
            }
            Self::Drift(replica, drift) => {
                if let Some(replica) = world.replicas.get(replica) {
                    replica.clock.set_drift(drift);
                }
            }
            Self::Suspend(seconds) => {
                world.surroundings.time.suspend(Duration::from_secs(seconds));
            }
            Self::Probe => {
                for replica in &world.replicas {
                    if let Some(handle) = replica.handle() {
                        let _ = handle.engine.health().await;
                        let _ = handle.render_metrics().await;
                    }
                }
            }
            Self::Pass if world.setting.mode == Mode::Passes => world.once().await,
            Self::Pass => {}
        }
    }
}
