//! Faults of the API server and of the network to it.

use std::time::Duration;

use super::{Random, pick};
use crate::{
    api::{Faults, Partition, Quota, Rates, Silence, Webhook},
    world::{REPLICAS, World},
};

/// A fault, or the end of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiAct {
    /// Single requests fail, as this mix says.
    Rates(Rates),
    /// Nothing reaches it, or everything again.
    Down(bool),
    /// A replica is cut off.
    Partition(usize, bool),
    /// A replica is slow, in milliseconds each way.
    Slow(usize, u64),
    /// A namespace has a quota.
    Quota(u8, bool),
    /// A namespace has an admission webhook.
    Webhook(u8, u8),
    /// The home namespace has one that denies.
    HomeWebhook,
    /// Watches are late, in milliseconds.
    Lag(u64),
    /// Watches are silent.
    Silence(bool),
    /// Of 1,000 events, watches, how many are doubled, end early, or expire.
    WatchRates(u32),
    /// Lists are out of date by so many versions.
    StaleLists(u64),
    /// All watches end, and cannot be resumed.
    Compact,
    /// All watches end.
    CutWatches,
    /// The state now is what etcd will be restored to.
    Backup,
    /// Etcd is restored.
    Restore,
    /// All faults of the API server end.
    Heal,
}

impl ApiAct {
    pub(super) fn random(random: &mut Random) -> Self {
        match random.u8(0..20) {
            0..=3 => Self::Rates(rates(random)),
            4 => Self::Down(random.bool()),
            5 => Self::Partition(random.usize(0..3), random.bool()),
            6 => Self::Slow(random.usize(0..3), pick(random, &[50, 500, 2_000])),
            7 => Self::Quota(random.u8(0..12), random.bool()),
            8 => Self::Webhook(random.u8(0..12), random.u8(0..5)),
            9 if random.u8(0..4) == 0 => Self::HomeWebhook,
            9..=10 => Self::Lag(pick(random, &[0, 500, 5_000, 30_000])),
            11 => Self::Silence(random.bool()),
            12 => Self::WatchRates(pick(random, &[0, 100, 500])),
            13 => Self::StaleLists(pick(random, &[0, 5, 50])),
            14 => Self::Compact,
            15 => Self::CutWatches,
            16 => Self::Backup,
            17 => Self::Restore,
            _ => Self::Heal,
        }
    }

    pub(super) fn apply(&self, world: &mut World) {
        let elects = world.plan.election;
        let mut server = world.surroundings.api.lock();
        let faults = &mut server.faults;
        match self {
            Self::Rates(rates) => faults.rates = *rates,
            Self::Down(down) => {
                faults.down = *down;
                server.cut_watches();
            }
            Self::Partition(replica, hangs) => {
                let kind = if *hangs { Partition::Hang } else { Partition::Refuse };
                faults.partitioned.insert(REPLICAS[*replica].to_owned(), kind);
                server.cut_watches();
            }
            Self::Slow(replica, millis) => {
                let delay = Duration::from_millis(*millis);
                faults.slow.insert(REPLICAS[*replica].to_owned(), delay);
            }
            Self::Quota(team, contended) => {
                let quota = if *contended { Quota::Contended } else { Quota::Exceeded };
                faults.quotas.insert(format!("team-{team}"), quota);
            }
            Self::Webhook(team, kind) => {
                faults.webhooks.insert(format!("team-{team}"), webhook(*kind));
            }
            Self::HomeWebhook => {
                faults.webhooks.insert("home".to_owned(), Webhook::Deny(403));
            }
            Self::Lag(millis) => faults.watches.lag = *millis,
            Self::Silence(dead) => {
                faults.watches.silence = Some(if *dead { Silence::Dead } else { Silence::Pause });
            }
            Self::WatchRates(rate) => {
                faults.watches.duplicates = *rate;
                faults.watches.early_ends = *rate;
                faults.watches.expirations = *rate;
            }
            Self::StaleLists(versions) => faults.stale_lists = *versions,
            Self::Compact => server.compact(),
            Self::CutWatches => server.cut_watches(),
            Self::Backup => world.snapshot = Some(server.snapshot()),
            // Without leader election the product notices it only with its next write.
            Self::Restore if elects => {
                if let Some(snapshot) = &world.snapshot {
                    server.restore(snapshot);
                    world.truth.lock().restored(&server);
                }
            }
            Self::Restore => {}
            Self::Heal => server.faults = Faults::default(),
        }
    }
}

fn rates(random: &mut Random) -> Rates {
    let rate = pick(random, &[10, 50, 200]);
    let mut rates = Rates::default();
    for _ in 0..random.u8(1..4) {
        let field = match random.u8(0..15) {
            0 => &mut rates.refused,
            1 => &mut rates.answer_lost,
            2 => &mut rates.hang,
            3 => &mut rates.hang_after_effect,
            4 => &mut rates.unauthorized,
            5 => &mut rates.forbidden,
            6 => &mut rates.conflict,
            7 => &mut rates.manager_conflict,
            8 => &mut rates.expired_list,
            9 => &mut rates.expired_watch,
            10 => &mut rates.invalid,
            11 => &mut rates.throttled,
            12 => &mut rates.throttled_with_wait,
            13 => &mut rates.internal_error,
            _ => &mut rates.unavailable,
        };
        *field = rate;
    }
    rates
}

fn webhook(kind: u8) -> Webhook {
    let (key, value) = ("example.com/injected".to_owned(), "yes".to_owned());
    match kind {
        0 => Webhook::Deny(403),
        1 => Webhook::Deny(400),
        2 => Webhook::Fail,
        3 => Webhook::AddLabel(key, value),
        // Not one that replaces the data alone: from metadata, that cannot be seen.
        _ => Webhook::AddAnnotation(key, value),
    }
}
