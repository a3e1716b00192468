//! Faults of AWS.

use std::time::Duration;

use jiff::SignedDuration;

use super::{Random, pick};
use crate::{
    aws::{Fault, FaultRule, Mangling, Refusal, Service},
    plan::ROLE_ACCOUNT,
    world::World,
};

/// A fault, or the end of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwsAct {
    /// So many of 1,000 calls fail: of all services, or of private ECR in one region.
    Fault(Fault, u32, Option<&'static str>),
    /// Its clock is ahead by so many seconds.
    Clock(i64),
    /// All faults of AWS end.
    Heal,
}

impl AwsAct {
    pub(super) fn random(random: &mut Random) -> Self {
        match random.u8(0..10) {
            0..=5 => {
                let rate = pick(random, &[200, 1_000]);
                let region = pick(random, &[None, Some("eu-west-1"), Some("us-east-1")]);
                Self::Fault(fault(random), rate, region)
            }
            6 => Self::Clock(pick(random, &[-20, -5, 5, 20])),
            _ => Self::Heal,
        }
    }

    pub(super) fn apply(&self, world: &mut World) {
        let mut aws = world.surroundings.aws.lock();
        match self {
            Self::Fault(fault, rate, region) => {
                let rule = FaultRule::sometimes(fault.clone(), *rate);
                aws.faults.push(match (fault, region) {
                    // Without a role, the account that ECR answers for is as good as any.
                    (Fault::OtherAccount(_), _) => rule.of_account(ROLE_ACCOUNT),
                    (_, Some(region)) => rule.of_service(Service::Ecr).in_region(region),
                    (_, None) => rule,
                });
            }
            Self::Clock(seconds) => aws.clock_ahead = SignedDuration::from_secs(*seconds),
            Self::Heal => {
                aws.faults.clear();
                aws.clock_ahead = SignedDuration::ZERO;
            }
        }
    }
}

fn fault(random: &mut Random) -> Fault {
    match random.u8(0..10) {
        0 => Fault::Down,
        1 => Fault::Hanging,
        2 => Fault::Slow(Duration::from_secs(random.u64(1..20))),
        3 => Fault::ReplyLost,
        4..=5 => Fault::Refused(pick(
            random,
            &[
                Refusal::Throttling,
                Refusal::Throttle,
                Refusal::TooManyRequests { retry_after: None },
                Refusal::AccessDenied,
                Refusal::ExpiredCredentials,
                Refusal::UnrecognizedCredentials,
                Refusal::ServerError,
                Refusal::ServiceUnavailable,
            ],
        )),
        6..=7 => Fault::Mangled(pick(
            random,
            &[
                Mangling::Truncated,
                Mangling::EmptyBody,
                Mangling::HtmlPage,
                Mangling::NoData,
                Mangling::NoToken,
                Mangling::NoExpiry,
                Mangling::NoHost,
                Mangling::BadBase64,
                Mangling::NoPassword,
                Mangling::TwoEntries,
            ],
        )),
        8 => Fault::ExpiredOnArrival,
        _ => pick(
            random,
            &[
                Fault::OtherRegion("eu-central-1".to_owned()),
                Fault::OtherAccount("777777777777".to_owned()),
            ],
        ),
    }
}
