//! What can happen in a history: faults, edits, and other clients. Each act is plain data, so that a
//! history can be shrunk and replayed.

mod api;
mod aws;
mod config;
mod process;
mod tenants;

use std::time::Duration;

pub(crate) use self::config::USES;
pub use self::{
    api::ApiAct,
    aws::AwsAct,
    config::{ConfigAct, Edit},
    process::ProcessAct,
    tenants::TenantAct,
};
use crate::world::World;

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// To the API server, or on the way to it.
    Api(ApiAct),
    /// To AWS.
    Aws(AwsAct),
    /// To the config or the docker config file.
    Config(ConfigAct),
    /// To the processes and their machines.
    Process(ProcessAct),
    /// By other clients of the cluster.
    Tenant(TenantAct),
}

/// A step of a history: a pause, and then an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The pause.
    pub pause: Duration,
    /// The act.
    pub act: Act,
}

/// Random numbers of a history.
pub(crate) type Random = fastrand::Rng;

/// One of several values.
pub(crate) fn pick<T: Clone>(random: &mut Random, from: &[T]) -> T {
    from[random.usize(0..from.len())].clone()
}

impl Step {
    /// A random step; after an edit of the config, often its undoing too.
    pub fn random(random: &mut Random) -> Vec<Self> {
        let step = Self::one(random);
        let is_edit = matches!(step.act, Act::Config(ConfigAct::Edit(_)));
        if is_edit && random.u8(0..3) == 0 {
            let pause = Duration::from_millis(random.u64(0..30_000));
            return vec![step, Self { pause, act: Act::Config(ConfigAct::Undo) }];
        }
        vec![step]
    }

    fn one(random: &mut Random) -> Self {
        // Some things happen at once, and some long after.
        let longest = pick(random, &[50, 1_000, 10_000, 60_000, 600_000]);
        let pause = Duration::from_millis(random.u64(0..longest));
        let act = match random.u8(0..20) {
            0..=4 => Act::Config(ConfigAct::random(random)),
            5..=8 => Act::Api(ApiAct::random(random)),
            9..=10 => Act::Aws(AwsAct::random(random)),
            11..=13 => Act::Process(ProcessAct::random(random)),
            _ => Act::Tenant(TenantAct::random(random)),
        };
        Self { pause, act }
    }
}

impl Act {
    /// Does it.
    pub async fn apply(&self, world: &mut World) {
        world.trace.add(&format!("ACT {self:?}"));
        match self {
            Self::Api(act) => act.apply(world),
            Self::Aws(act) => act.apply(world),
            Self::Config(act) => act.apply(world),
            Self::Process(act) => act.apply(world).await,
            Self::Tenant(act) => act.apply(world),
        }
    }
}
