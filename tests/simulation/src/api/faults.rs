//! Everything that can go wrong with requests and watches. All of it is plain data, which may be changed
//! at any time.

use std::{collections::BTreeMap, time::Duration};

use super::request::{Request, Verb};

/// The faults of requests and watches. There are none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// How often single requests fail.
    pub rates: Rates,
    /// Whether all requests are refused: no API server is reachable. Watches break when there is
    /// something to deliver, or at once with [`Server::cut_watches`](super::Server::cut_watches).
    pub down: bool,
    /// Callers that cannot reach the API server. For their watches the same holds.
    pub partitioned: BTreeMap<String, Partition>,
    /// Callers with requests and answers that take this much longer, each way.
    pub slow: BTreeMap<String, Duration>,
    /// Quotas of Secrets, by namespace.
    pub quotas: BTreeMap<String, Quota>,
    /// Admission webhooks, by namespace. They see creations and changes of Secrets, ServiceAccounts
    /// and Leases by requests.
    pub webhooks: BTreeMap<String, Webhook>,
    /// The faults of watches.
    pub watches: WatchFaults,
    /// By how many versions at most a list may be out of date. It is then served as a lagging cache
    /// does, and may be older than what the caller has seen already.
    pub stale_lists: u64,
}

/// Of 1,000 requests, how many fail in which way. A failure hits only requests that can fail so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// The connection is refused; nothing happens.
    pub refused: u32,
    /// The request has its effect, and the connection breaks before the answer.
    pub answer_lost: u32,
    /// No answer ever comes; nothing happens.
    pub hang: u32,
    /// No answer ever comes, and the request has its effect.
    pub hang_after_effect: u32,
    /// 401.
    pub unauthorized: u32,
    /// 403, for want of a right.
    pub forbidden: u32,
    /// 404, although the object exists.
    pub not_found: u32,
    /// 409 by an optimistic lock: changes and deletions only.
    pub conflict: u32,
    /// 409 by a conflict with another field manager: unforced applies only.
    pub manager_conflict: u32,
    /// 410: lists with a `continue` only.
    pub expired_list: u32,
    /// 410 at the start: watches only.
    pub expired_watch: u32,
    /// 422: writes only.
    pub invalid: u32,
    /// 429 without a wait that the server asks for.
    pub throttled: u32,
    /// 429 with a `Retry-After` of 1 to 5 s.
    pub throttled_with_wait: u32,
    /// 500.
    pub internal_error: u32,
    /// 503.
    pub unavailable: u32,
}

/// How a caller is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// Connections are refused, and watches break.
    Refuse,
    /// Requests are never answered, and watches stay silent.
    Hang,
}

/// A quota of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// It is used up: 403 for creations.
    Exceeded,
    /// Other requests change it all the time: 409 for creations.
    Contended,
}

/// An admission webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Webhook {
    /// It denies the request: 403, or another status that it gives.
    Deny(u16),
    /// It cannot be called: 500.
    Fail,
    /// It adds a label.
    AddLabel(String, String),
    /// It adds an annotation.
    AddAnnotation(String, String),
    /// It replaces the data by that of before the request.
    KeepData,
}

/// The faults of watches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WatchFaults {
    /// By how many milliseconds at most events are late.
    pub lag: u64,
    /// Whether watches deliver nothing and do not end.
    pub silence: Option<Silence>,
    /// Of 1,000 events, how many are sent twice.
    pub duplicates: u32,
    /// Of 1,000 watches, how many end before their time.
    pub early_ends: u32,
    /// Of 1,000 watches, how many end with a 410 after a while.
    pub expirations: u32,
}

/// How watches are silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// For as long as this is set; then they go on.
    Pause,
    /// Those that there are while this is set stay silent for good.
    Dead,
}

/// The outcome of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Handled,
    Refused,
    AnswerLost,
    Hang,
    HangAfterEffect,
    Unauthorized,
    Forbidden,
    NotFound,
    Conflict,
    ManagerConflict,
    ExpiredList,
    ExpiredWatch,
    Invalid,
    Throttled,
    ThrottledWithWait,
    InternalError,
    Unavailable,
}

impl Rates {
    /// The outcome for a number of 0 to 999.
    fn outcome(&self, mut roll: u32) -> Outcome {
        for (rate, outcome) in [
            (self.refused, Outcome::Refused),
            (self.answer_lost, Outcome::AnswerLost),
            (self.hang, Outcome::Hang),
            (self.hang_after_effect, Outcome::HangAfterEffect),
            (self.unauthorized, Outcome::Unauthorized),
            (self.forbidden, Outcome::Forbidden),
            (self.not_found, Outcome::NotFound),
            (self.conflict, Outcome::Conflict),
            (self.manager_conflict, Outcome::ManagerConflict),
            (self.expired_list, Outcome::ExpiredList),
            (self.expired_watch, Outcome::ExpiredWatch),
            (self.invalid, Outcome::Invalid),
            (self.throttled, Outcome::Throttled),
            (self.throttled_with_wait, Outcome::ThrottledWithWait),
            (self.internal_error, Outcome::InternalError),
            (self.unavailable, Outcome::Unavailable),
        ] {
            if roll < rate {
                return outcome;
            }
            roll -= rate;
        }
        Outcome::Handled
    }
}

impl Outcome {
    fn fits(self, request: &Request) -> bool {
        match self {
            Self::Conflict => request.verb.writes() && request.verb != Verb::Create,
            Self::ManagerConflict => request.verb == Verb::Apply && !request.query.force,
            Self::ExpiredList => {
                request.verb == Verb::List && !request.query.continue_token.is_empty()
            }
            Self::ExpiredWatch => request.verb == Verb::Watch,
            Self::Invalid => request.verb.is_admitted(),
            _ => true,
        }
    }
}

impl Faults {
    /// Draws the outcome of a request, which is `None` when its path is unknown.
    pub(super) fn outcome(
        &self,
        caller: &str,
        request: Option<&Request>,
        rng: &mut fastrand::Rng,
    ) -> Outcome {
        // Always drawn, so that a change of the faults changes as little else as possible.
        let roll = rng.u32(0..1_000);
        match self.partitioned.get(caller) {
            Some(Partition::Refuse) => return Outcome::Refused,
            Some(Partition::Hang) => return Outcome::Hang,
            None if self.down => return Outcome::Refused,
            None => {}
        }
        let outcome = self.rates.outcome(roll);
        if request.is_some_and(|request| outcome.fits(request)) {
            outcome
        } else {
            Outcome::Handled
        }
    }

    /// How long a request or an answer takes on its way.
    pub(super) fn latency(&self, caller: &str, rng: &mut fastrand::Rng) -> Duration {
        let usual = Duration::from_micros(rng.u64(500..5_000));
        usual + self.slow.get(caller).copied().unwrap_or_default()
    }
}
