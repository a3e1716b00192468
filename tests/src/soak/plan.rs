//! Which faults happen when. Pure: a seed decides.
//!
//! Faults that keep the daemon from its work (of AWS, the network and the processes) come in storms of
//! at most [`STORM`], with a lull of at least [`LULL`] between two. So each token's last half, which
//! is 30 s, has a whole lull in it: AWS can be reached, and some replica can lead. Edits of the config
//! and of the cluster happen at any time.

use std::time::Duration;

use fastrand::Rng;

use super::fault::{Act, Edit, Fault, Network, Process, Target};
use crate::{fake_aws, fault_proxy::NetworkFault};

/// How long faults of AWS, the network and the processes last, at most.
pub(super) const STORM: Duration = Duration::from_secs(10);
/// How long there are none of them, at least.
pub(super) const LULL: Duration = Duration::from_secs(12);
/// How long before the end the last connection is silenced for good: a watch notices it after 64 s.
const LAST_FORGET: Duration = Duration::from_secs(80);
/// How many regions there are.
pub(super) const REGIONS: usize = 3;

/// One fault of the plan.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Planned {
    /// When it begins.
    pub(super) at: Duration,
    /// How long it lasts, where it lasts at all.
    pub(super) lasts: Duration,
    pub(super) fault: Fault,
}

impl Planned {
    pub(super) fn end(&self) -> Duration {
        self.at + self.lasts
    }
}

/// The faults of a soak, in the order in which they begin. All end within `duration`.
pub(super) fn plan(seed: u64, duration: Duration) -> Vec<Planned> {
    let mut rng = Rng::with_seed(seed);
    // Dice of their own, so that a longer soak begins with the faults of a shorter one.
    let mut dice = [rng.fork(), rng.fork(), rng.fork()];
    let [of_storms, of_edits, of_acts] = &mut dice;
    let mut planned = storms(of_storms, duration);
    planned.extend(edits(of_edits, duration));
    planned.extend(acts(of_acts, duration));
    planned.sort_by_key(|planned| planned.at);
    planned
}

fn storms(rng: &mut Rng, duration: Duration) -> Vec<Planned> {
    let mut planned = Vec::new();
    let mut start = between(rng, 2.0, 6.0);
    loop {
        let length = between(rng, 6.0, STORM.as_secs_f64());
        if start + length > duration {
            return planned;
        }
        // One to three of the three lanes, each with one fault.
        let mut lanes = [0, 1, 2];
        rng.shuffle(&mut lanes);
        let may_forget = start + LAST_FORGET < duration;
        for lane in &lanes[..rng.usize(1..=3)] {
            let fault = match lane {
                0 => aws(rng),
                1 => network(rng, may_forget),
                _ => process(rng),
            };
            let delay = match fault {
                // Long enough for a lease to end.
                Fault::Process { fault: Process::Suspend, .. } => Duration::ZERO,
                _ => between(rng, 0.0, 2.0),
            };
            planned.push(Planned { at: start + delay, lasts: length.saturating_sub(delay), fault });
        }
        start += length + LULL + between(rng, 0.0, 4.0);
    }
}

fn aws(rng: &mut Rng) -> Fault {
    use fake_aws::Fault as Aws;
    let fault = match rng.usize(0..7) {
        0 => Aws::Disconnect,
        1 => Aws::ServerError(503),
        2 => Aws::Throttled,
        3 => Aws::TooManyRequests(Some(3)),
        4 => Aws::AccessDenied,
        5 => Aws::Slow(Duration::from_millis(rng.u64(1_000..4_000))),
        _ => Aws::Hang,
    };
    let region = rng.bool().then(|| rng.usize(0..REGIONS));
    Fault::Aws { fault, region }
}

fn network(rng: &mut Rng, may_forget: bool) -> Fault {
    let fault = match rng.usize(0..7) {
        0 => Network::For(NetworkFault::Refuse),
        1 => Network::Cut,
        2 => Network::For(NetworkFault::Freeze),
        // Well under the two seconds between the end of a leader's work and that of its lease.
        3 => Network::For(NetworkFault::Slow(Duration::from_millis(rng.u64(50..400)))),
        4 => Network::For(NetworkFault::LoseAnswers),
        5 => Network::For(NetworkFault::Partition),
        _ if may_forget => Network::Forget,
        _ => Network::Cut,
    };
    let (both, one) = (rng.u8(0..4) == 0, one(rng));
    // Of two replicas that are both cut off for good, none could do anything.
    let target = if both && fault != Network::Forget { Target::Both } else { one };
    Fault::Network { fault, target }
}

fn process(rng: &mut Rng) -> Fault {
    let fault = match rng.usize(0..3) {
        0 => Process::Kill,
        1 => Process::Terminate,
        _ => Process::Suspend,
    };
    Fault::Process { fault, target: one(rng) }
}

fn one(rng: &mut Rng) -> Target {
    if rng.u8(0..3) == 0 { Target::Follower } else { Target::Leader }
}

fn edits(rng: &mut Rng, duration: Duration) -> Vec<Planned> {
    let mut planned = Vec::new();
    let mut at = between(rng, 3.0, 8.0);
    loop {
        let fault = Fault::Config(match rng.usize(0..5) {
            0 => Edit::DropRegistry,
            1 => Edit::RemoveRegistry,
            2 => Edit::Narrow,
            3 => Edit::Label,
            _ => Edit::Break,
        });
        let lasts = between(rng, 4.0, 25.0);
        if at + lasts > duration {
            return planned;
        }
        planned.push(Planned { at, lasts, fault });
        at += lasts + between(rng, 5.0, 15.0);
    }
}

fn acts(rng: &mut Rng, duration: Duration) -> Vec<Planned> {
    let mut planned = Vec::new();
    let mut at = between(rng, 1.0, 6.0);
    while at < duration {
        let act = match rng.usize(0..12) {
            0 => Act::DeleteTokenCache,
            1 | 2 => Act::DeleteCopy,
            3 => Act::SpoilCopy,
            4 => Act::EmptyCopy,
            5 => Act::RestoreCopy,
            6..=8 => Act::CreateNamespace,
            9 => Act::DeleteNamespace,
            _ => Act::RelabelNamespace,
        };
        let fault = Fault::Cluster { act, pick: rng.u32(..) };
        planned.push(Planned { at, lasts: Duration::ZERO, fault });
        at += between(rng, 3.0, 9.0);
    }
    planned
}

fn between(rng: &mut Rng, least: f64, most: f64) -> Duration {
    Duration::from_secs_f64(least + rng.f64() * (most - least))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::fault::Lane;
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_seed_replays_the_plan_and_another_one_does_not() {
        assert_eq!(plan(7, HOUR), plan(7, HOUR));
        assert_ne!(plan(7, HOUR), plan(8, HOUR));
    }

    #[test]
    fn a_longer_soak_begins_with_the_faults_of_a_shorter_one() {
        let short = plan(7, Duration::from_mins(10));
        let early = |planned: &Planned| planned.at < Duration::from_mins(8);
        let early_of =
            |planned: Vec<Planned>| planned.into_iter().filter(early).collect::<Vec<_>>();
        assert_eq!(early_of(short), early_of(plan(7, HOUR)));
    }

    #[test]
    fn each_thirty_seconds_hold_a_whole_lull() {
        for seed in 0..50 {
            let storms = plan(seed, HOUR).into_iter().filter(|planned| {
                matches!(planned.fault.lane(), Lane::Aws | Lane::Network | Lane::Process)
            });
            let (mut began, mut over) = (Duration::ZERO, None);
            for planned in storms {
                if over.is_none_or(|over| planned.at >= over + LULL) {
                    began = planned.at;
                }
                assert!(planned.at < began + STORM, "seed {seed}: {planned:?} after {over:?}");
                over = over.max(Some(planned.end()));
                assert!(planned.end() <= began + STORM, "seed {seed}: {planned:?}");
            }
        }
    }

    #[test]
    fn the_faults_of_a_lane_come_one_after_the_other_and_end_in_time() {
        for seed in 0..50 {
            let all = plan(seed, HOUR);
            for lane in Lane::ALL {
                let mut over = Duration::ZERO;
                for planned in all.iter().filter(|planned| planned.fault.lane() == lane) {
                    assert!(planned.at >= over, "seed {seed}: {planned:?}");
                    over = planned.end();
                }
                assert!(over <= HOUR && over > Duration::ZERO, "seed {seed}");
            }
        }
    }

    #[test]
    fn an_hour_has_every_kind_of_fault_and_two_minutes_every_lane() {
        // The names of the faults, without their numbers.
        let kind = |planned: &Planned| match &planned.fault {
            Fault::Aws { fault, .. } => {
                format!("{fault:?}").replace(|c: char| !c.is_alphabetic(), "")
            }
            Fault::Network { fault, .. } => {
                format!("{fault:?}").replace(|c: char| !c.is_alphabetic(), "")
            }
            other => other.to_string(),
        };
        let kinds: BTreeSet<_> = plan(1, HOUR).iter().map(kind).collect();
        assert!(kinds.len() >= 7 + 7 + 6 + 5 + 8, "{kinds:?}");
        let lanes = |seed| {
            let planned = plan(seed, Duration::from_secs(105));
            planned.iter().map(|planned| planned.fault.lane()).collect::<BTreeSet<_>>().len()
        };
        assert!((0..50).filter(|&seed| lanes(seed) == Lane::ALL.len()).count() > 40);
    }

    #[test]
    fn nothing_is_silenced_for_good_shortly_before_the_end() {
        for seed in 0..50 {
            for planned in plan(seed, HOUR) {
                let forgets =
                    matches!(planned.fault, Fault::Network { fault: Network::Forget, .. });
                assert!(!forgets || planned.at + LAST_FORGET < HOUR + STORM);
            }
        }
    }
}
