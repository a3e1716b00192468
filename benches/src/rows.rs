//! Makes rows of measurements.

use std::time::Duration;

use crate::{
    bounds::Bounds,
    measure::{
        edit::Edit,
        latency::Latency,
        passes::{Pass, Passes, quickest, to_floor},
        rest::Rest,
        restart::Restarts,
    },
    numbers::{float, median, p99, ratio},
    row::{Bound, Row, Unit},
    usage::Memory,
};

/// Bytes of a mebibyte.
const MEBIBYTE: f64 = 1_048_576.0;
/// The bounds are for so many copies. Fewer are quickly written; each more may take the memory that
/// growth may.
const BOUNDED: usize = 10_000;

/// The rows of one cluster.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    namespaces: Option<usize>,
    /// Of a first rollout and of a refresh.
    copies: usize,
    bounds: &'a Bounds,
    pub(crate) all: Vec<Row>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(namespaces: Option<usize>, copies: usize, bounds: &'a Bounds) -> Self {
        Self { namespaces, copies, bounds, all: Vec::new() }
    }

    pub(crate) fn add(
        &mut self,
        what: &str,
        unit: Unit,
        bound: Bound,
        measured: f64,
        detail: impl Into<String>,
    ) {
        let (namespaces, what, detail) = (self.namespaces, what.to_owned(), detail.into());
        self.all.push(Row { namespaces, what, unit, bound, measured, detail });
    }

    pub(crate) fn count(&mut self, what: &str, wanted: usize, measured: usize, detail: String) {
        self.add(what, Unit::Count, Bound::Exactly(float(wanted)), float(measured), detail);
    }

    /// Rollouts and refreshes, to the floor.
    pub(crate) fn add_passes(&mut self, passes: &Passes) {
        for (what, passes, floor) in [
            ("first rollout, to the floor", &passes.rollouts, &passes.floor_rollouts),
            ("refresh, to the floor", &passes.refreshes, &passes.floor_refreshes),
        ] {
            let ratio = to_floor(passes, floor);
            let times: Vec<_> = passes.iter().map(|pass| pass.took).collect();
            let detail = format!("{times:.2?} to {floor:.2?}");
            let Bounds { pass, short_pass, .. } = *self.bounds;
            let most = if self.copies < BOUNDED { short_pass } else { pass };
            self.add(what, Unit::Ratio, Bound::AtMost(most), ratio, detail);
        }
    }

    /// What was asked of the API server and of AWS in each of them: no pass may differ.
    pub(crate) fn add_requests(&mut self, passes: &Passes) {
        let Passes { rollouts, refreshes, .. } = passes;
        let worst = |passes: &[Pass], wanted: usize, count: fn(&Pass) -> usize| {
            passes.iter().map(count).max_by_key(|count| count.abs_diff(wanted)).unwrap_or(wanted)
        };
        let requests =
            |passes: &[Pass]| passes.last().map(|pass| pass.requests.clone()).unwrap_or_default();
        let (copies, none) = (self.copies, String::new);
        let patches = |pass: &Pass| pass.patches;
        for (what, passes) in [("first rollout", rollouts), ("refresh", refreshes)] {
            let (what, detail) = (format!("{what}: PATCHes of copies"), requests(passes));
            self.count(&what, copies, worst(passes, copies, patches), detail);
        }
        self.count("refresh: GETs of copies", 0, worst(refreshes, 0, |pass| pass.gets), none());
        self.count("refresh: lists", 0, worst(refreshes, 0, |pass| pass.lists), none());
        self.count("refresh: tokens of AWS", 1, worst(refreshes, 1, |pass| pass.tokens), none());
    }

    /// Restarts when all is fresh.
    pub(crate) fn add_restarts(&mut self, restarts: &Restarts) {
        let Restarts { ready, lists, patches, aws_calls } = restarts;
        self.count("restart: PATCHes", 0, *patches, String::new());
        self.count("restart: AWS calls", 0, *aws_calls, String::new());
        let (ready, lists) = (quickest(ready.iter().copied()), quickest(lists.iter().copied()));
        let (what, bound) = ("restart until ready, to the lists", self.bounds.restart);
        let detail = format!("{ready:.1?} to {lists:.1?}");
        self.add(what, Unit::Ratio, Bound::AtMost(bound), ratio(ready, lists), detail);
    }

    /// How long new namespaces wait, to how long a single write takes at that time.
    pub(crate) fn add_latency(&mut self, what: &str, latency: &Latency, most: f64) {
        let Latency { copies, writes } = latency;
        let (copy, write) = (p99(copies), p99(writes));
        let detail = format!(
            "{copy:.1?} to {write:.1?}; median {:.1?} to {:.1?}; {} samples",
            median(copies),
            median(writes),
            copies.len(),
        );
        self.add(what, Unit::Ratio, Bound::AtMost(most), ratio(copy, write), detail);
    }

    /// Memory and processor time.
    pub(crate) fn add_usage(&mut self, passes: &Passes, rest: &Rest, other_secrets: usize) {
        self.add_memory(rest.memory, &format!("{other_secrets} other Secrets of 10 KB"));
        let cpu = quickest(passes.refreshes.iter().map(|pass| pass.cpu)).as_secs_f64();
        let most = Bound::AtMost(self.bounds.cpu_of_copy * float(self.copies) / 1000.0);
        let rollout = quickest(passes.rollouts.iter().map(|pass| pass.cpu));
        let detail = format!("{rollout:.2?} for start and first rollout");
        self.add("refresh: CPU", Unit::Seconds, most, cpu, detail);
        let most = Bound::AtMost(self.bounds.cpu_at_rest);
        self.add("CPU at rest", Unit::Percent, most, 100.0 * rest.cpu, "");
    }

    /// What is in memory now, and what was at the most.
    pub(crate) fn add_memory(&mut self, memory: Memory, beside: &str) {
        let Memory { resident, peak, anonymous } = memory;
        let more = self.bounds.growth * float(self.copies.saturating_sub(BOUNDED));
        let bound = |most| Bound::AtMost(most + more / MEBIBYTE);
        let (at_rest, at_peak) = (bound(self.bounds.resident), bound(self.bounds.peak));
        let data = format!("{:.1} MiB of it is data; {beside}", float(anonymous) / MEBIBYTE);
        let mebibytes = |bytes| float(bytes) / MEBIBYTE;
        self.add("memory at rest", Unit::Mebibytes, at_rest, mebibytes(resident), data);
        self.add("memory at its peak", Unit::Mebibytes, at_peak, mebibytes(peak), beside);
    }

    /// Edits of the config.
    pub(crate) fn add_edit(&mut self, edit: Edit) {
        let Edit { evaluation, patches, added } = edit;
        let (milliseconds, most) = (milliseconds(evaluation), Bound::AtMost(self.bounds.edit));
        let detail = "all CPU from the file's swap until it is in force";
        self.add("edit of the config: CPU", Unit::Milliseconds, most, milliseconds, detail);
        let what = "edit that adds a tenth: PATCHes";
        self.count(what, added, patches, String::new());
    }

    /// What is the same for every size.
    pub(crate) fn add_fixed(&mut self, binary: usize, starts: &[Duration], empty: Memory) {
        self.add_memory(empty, "in an empty cluster");
        let most = Bound::AtMost(self.bounds.binary);
        self.add("binary", Unit::Mebibytes, most, float(binary) / MEBIBYTE, "");
        let (start, most) = (quickest(starts.iter().copied()), Bound::AtMost(self.bounds.start));
        let (what, detail) = ("start until ready, empty cluster", format!("{starts:.0?}"));
        self.add(what, Unit::Milliseconds, most, milliseconds(start), detail);
    }

    /// The largest size beside the smallest. The API server too is slower the more it holds: what
    /// the floor takes for a copy is left out.
    pub(crate) fn add_growth(&mut self, small: &Size, large: &Size) {
        let detail = format!("from {} to {} copies", small.copies, large.copies);
        let more = float(large.resident) - float(small.resident);
        let bytes = more / (float(large.copies) - float(small.copies));
        let most = Bound::AtMost(self.bounds.growth);
        self.add("memory of each namespace more", Unit::Bytes, most, bytes, detail.clone());
        let each = |time: fn(&Size) -> Duration| {
            let [small, large] =
                [small, large].map(|size| milliseconds(time(size)) / float(size.copies));
            format!("{small:.3} to {large:.3} ms")
        };
        let (daemon, floor) = (each(|size| size.refresh), each(|size| size.floor));
        let detail = format!("{detail}: {daemon}, the floor {floor}");
        let slowdown = large.to_floor / small.to_floor;
        let most = Bound::AtMost(self.bounds.slowdown);
        let what = "refresh: time of each copy to the floor's, large to small";
        self.add(what, Unit::Ratio, most, slowdown, detail);
    }
}

/// What sizes are compared by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) copies: usize,
    /// Memory at rest, in bytes.
    pub(crate) resident: usize,
    pub(crate) refresh: Duration,
    /// What the floor took for the same.
    pub(crate) floor: Duration,
    /// How the two compare.
    pub(crate) to_floor: f64,
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn pass(took: u64, patches: usize) -> Pass {
        Pass { took: seconds(took), patches, tokens: 1, ..Pass::default() }
    }

    fn row<'a>(rows: &'a Rows<'_>, what: &str) -> &'a Row {
        rows.all.iter().find(|row| row.what == what).unwrap()
    }

    #[test]
    fn a_pass_is_compared_to_the_floor_of_its_round_and_the_round_in_the_middle_counts() {
        let passes = Passes {
            refreshes: vec![pass(10, 5), pass(22, 5), pass(60, 5)],
            floor_refreshes: vec![seconds(10), seconds(20), seconds(30)],
            ..Passes::default()
        };
        for (copies, passes_at) in [(9_999, "≤ 1.50 ×"), (10_000, "≤ 1.10 ×")] {
            let mut rows = Rows::new(None, copies, &Bounds::FULL);
            rows.add_passes(&passes);
            let refresh = row(&rows, "refresh, to the floor");
            assert_eq!(refresh.measured_text(), "1.10 ×");
            assert_eq!(refresh.bound_text(), passes_at);
            assert!(refresh.passes());
        }
    }

    #[test]
    fn one_pass_with_a_request_too_many_or_too_few_is_a_failure() {
        for odd in [4, 6] {
            let refreshes = vec![pass(1, 5), pass(1, odd)];
            let mut rows = Rows::new(None, 5, &Bounds::FULL);
            rows.add_requests(&Passes { refreshes, ..Passes::default() });
            assert!(!row(&rows, "refresh: PATCHes of copies").passes());
            assert!(row(&rows, "refresh: tokens of AWS").passes());
        }
    }

    #[test]
    fn growth_is_of_one_namespace() {
        let mut rows = Rows::new(None, 0, &Bounds::FULL);
        let size = |copies, resident, refresh, floor| {
            let (refresh, floor) = (seconds(refresh), seconds(floor));
            Size { copies, resident, refresh, floor, to_floor: ratio(refresh, floor) }
        };
        let (small, large) = (size(1000, 1_000_000, 1, 1), size(11_000, 7_000_000, 44, 22));
        rows.add_growth(&small, &large);
        assert_eq!(rows.all[0].measured_text(), "600 bytes");
        assert!(rows.all[0].passes());
        assert_eq!(rows.all[1].measured_text(), "2.00 ×");
        assert!(!rows.all[1].passes());
        assert!(rows.all[1].detail.ends_with("1.000 to 4.000 ms, the floor 1.000 to 2.000 ms"));
    }

    #[test]
    fn memory_may_grow_with_the_copies_beyond_10_000() {
        let resident = 22 << 20;
        let memory = Memory { resident, peak: resident, anonymous: 0 };
        // 600 bytes × 11,000 are 6.3 MiB.
        for (copies, at_rest, at_peak) in
            [(10_000, false, false), (20_000, false, true), (21_000, true, true)]
        {
            let mut rows = Rows::new(Some(5000), copies, &Bounds::FULL);
            rows.add_memory(memory, "nothing");
            let passes: Vec<_> = rows.all.iter().map(Row::passes).collect();
            assert_eq!(passes, [at_rest, at_peak], "{copies}");
        }
    }
}
