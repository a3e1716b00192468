//! The calls that AWS has received.

use std::{collections::BTreeMap, time::Duration};

use super::request::{Operation, Service};

/// One call, failed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// When the caller sent it, in virtual time from the start of the run.
    pub at: Duration,
    /// The replica that sent it.
    pub caller: String,
    /// The operation.
    pub operation: Operation,
    /// The account of the access key.
    pub account: String,
    /// The region that the request was signed for.
    pub region: String,
}

/// All calls, also those that a fault kept from AWS.
#[derive(Debug, Default)]
pub struct Calls {
    log: Vec<Call>,
    counts: BTreeMap<(Service, String), u64>,
}

impl Calls {
    pub(super) fn record(&mut self, call: Call) {
        *self.counts.entry((call.operation.service(), call.caller.clone())).or_default() += 1;
        self.log.push(call);
    }

    /// The calls since the last time that this was called, oldest first.
    pub fn drain(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.log)
    }

    /// How many calls each replica has made to each service. Draining does not change this.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<(Service, String), u64> {
        &self.counts
    }

    /// How many calls one replica has made to a service.
    #[must_use]
    pub fn count(&self, service: Service, caller: &str) -> u64 {
        self.counts.get(&(service, caller.to_owned())).copied().unwrap_or_default()
    }

    /// How many calls all replicas together have made to a service.
    #[must_use]
    pub fn total(&self, service: Service) -> u64 {
        self.counts.iter().filter(|((of, _), _)| *of == service).map(|(_, count)| count).sum()
    }
}
