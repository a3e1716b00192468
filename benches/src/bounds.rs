//! The bounds of the benchmark, and the rows that measurements make against them.

use std::time::Duration;

use crate::{
    measure::{
        edit::Edit,
        latency::Latency,
        passes::{Pass, Passes, quickest},
        rest::Rest,
        restart::Restarts,
    },
    numbers::{float, median, p99, ratio},
    row::{Bound, Row, Unit},
    usage::Memory,
};

/// Bytes of a mebibyte.
const MEBIBYTE: f64 = 1_048_576.0;

/// What must be reached. Counts are not here: they are exact, wherever they are counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Of a rollout and of a refresh, to the floor.
    pub(crate) pass: f64,
    /// Of a restart, to the lists alone.
    pub(crate) restart: f64,
    /// Of a new namespace's wait to a single write, at rest and under load.
    pub(crate) idle_latency: f64,
    pub(crate) loaded_latency: f64,
    /// In mebibytes, for up to 10,000 namespaces.
    pub(crate) resident: f64,
    pub(crate) peak: f64,
    /// Bytes for each namespace more.
    pub(crate) growth: f64,
    /// How much slower each namespace may be in a large cluster than in a small one.
    pub(crate) slowdown: f64,
    /// The processor time of one copy of a refresh, in milliseconds.
    pub(crate) cpu_of_copy: f64,
    /// The share of a core at rest, in percent.
    pub(crate) cpu_at_rest: f64,
    /// Of an edit, in milliseconds.
    pub(crate) edit: f64,
    /// Of the binary, in mebibytes.
    pub(crate) binary: f64,
    /// In an empty cluster, in milliseconds.
    pub(crate) start: f64,
}

impl Bounds {
    /// Those of a machine that does nothing else.
    pub(crate) const FULL: Self = Self {
        pass: 1.10,
        restart: 2.0,
        idle_latency: 5.0,
        loaded_latency: 3.0,
        resident: 16.0,
        peak: 20.0,
        growth: 600.0,
        slowdown: 1.2,
        cpu_of_copy: 0.2,
        cpu_at_rest: 0.1,
        edit: 50.0,
        binary: 16.0,
        start: 300.0,
    };

    /// Those of a machine that others use too, at 1,000 namespaces: a pass is short there, so that
    /// what a start costs weighs more, and a pause of the machine too.
    pub(crate) const CHECK: Self = Self {
        pass: 1.5,
        restart: 6.0,
        idle_latency: 10.0,
        loaded_latency: 6.0,
        cpu_of_copy: 0.4,
        cpu_at_rest: 0.3,
        start: 1000.0,
        ..Self::FULL
    };
}

/// All that was measured at one size.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) namespaces: usize,
    /// Copies of a first rollout and of a refresh.
    pub(crate) copies: usize,
    pub(crate) other_secrets: usize,
    pub(crate) passes: Passes,
    pub(crate) rest: Rest,
    pub(crate) restarts: Restarts,
    pub(crate) idle: Latency,
    pub(crate) loaded: Latency,
    pub(crate) edit: Edit,
}

impl Measured {
    /// The rows of this size.
    pub(crate) fn rows(&self, bounds: &Bounds) -> Vec<Row> {
        let mut rows = Vec::new();
        self.add_passes(&mut rows, bounds);
        self.add_requests(&mut rows);
        self.add_restarts(&mut rows, bounds);
        self.add_latencies(&mut rows, bounds);
        self.add_usage(&mut rows, bounds);
        self.add_edit(&mut rows, bounds);
        rows
    }

    fn row(&self, what: &str, unit: Unit, bound: Bound, measured: f64, detail: String) -> Row {
        let namespaces = Some(self.namespaces);
        Row { namespaces, what: what.to_owned(), unit, bound, measured, detail }
    }

    fn add_passes(&self, rows: &mut Vec<Row>, bounds: &Bounds) {
        let Passes { rollouts, refreshes, floor_rollouts, floor_refreshes } = &self.passes;
        for (what, passes, floor) in [
            ("first rollout, to the floor", rollouts, floor_rollouts),
            ("refresh, to the floor", refreshes, floor_refreshes),
        ] {
            let times = quickest(passes.iter().map(|pass| pass.took));
            let floor = quickest(floor.iter().copied());
            let detail = format!("{times:.2?} to {floor:.2?}");
            let bound = Bound::AtMost(bounds.pass);
            rows.push(self.row(what, Unit::Ratio, bound, ratio(times, floor), detail));
        }
    }

    fn add_requests(&self, rows: &mut Vec<Row>) {
        let refreshes = self.passes.refreshes.iter();
        let most = |count: fn(&Pass) -> usize| refreshes.clone().map(count).max().unwrap_or(0);
        let copies = float(self.copies);
        let requests = |pass: Option<&Pass>| format!("{:?}", pass.map(|pass| &pass.requests));
        let detail = requests(self.passes.refreshes.last());
        let mut count = |what, wanted, measured, detail| {
            rows.push(self.row(what, Unit::Count, Bound::Exactly(wanted), float(measured), detail));
        };
        let rollout = self.passes.rollouts.last();
        let patches = rollout.map_or(0, |pass| pass.patches);
        count("PATCHes of copies in the first rollout", copies, patches, requests(rollout));
        count("PATCHes of copies in a refresh", copies, most(|pass| pass.patches), detail);
        count("GETs of copies in a refresh", 0.0, most(|pass| pass.gets), String::new());
        count("lists in a refresh", 0.0, most(|pass| pass.lists), String::new());
        count("AWS tokens in a refresh", 1.0, most(|pass| pass.tokens), String::new());
    }

    fn add_restarts(&self, rows: &mut Vec<Row>, bounds: &Bounds) {
        let Restarts { ready, lists, patches, aws_calls } = &self.restarts;
        let none = Bound::Exactly(0.0);
        let count = |what, count| self.row(what, Unit::Count, none, float(count), String::new());
        rows.push(count("PATCHes after restarts", *patches));
        rows.push(count("AWS calls after restarts", *aws_calls));
        let (ready, lists) =
            (quickest(ready.iter().copied()), quickest(lists.iter().copied()));
        let detail = format!("{ready:.1?} to {lists:.1?}");
        let bound = Bound::AtMost(bounds.restart);
        let what = "restart until ready, to the two lists";
        rows.push(self.row(what, Unit::Ratio, bound, ratio(ready, lists), detail));
    }

    fn add_latencies(&self, rows: &mut Vec<Row>, bounds: &Bounds) {
        for (what, latency, most) in [
            ("new namespace, p99 to a write's", &self.idle, bounds.idle_latency),
            ("the same during a refresh", &self.loaded, bounds.loaded_latency),
        ] {
            let Latency { copies, writes } = latency;
            let (Some(copy), Some(write)) = (p99(copies), p99(writes)) else { continue };
            let (usual, usual_write) = (median(copies), median(writes));
            let detail = format!(
                "{copy:.1?} to {write:.1?}; median {:.1?} to {:.1?}; {} samples",
                usual.unwrap_or_default(),
                usual_write.unwrap_or_default(),
                copies.len(),
            );
            rows.push(self.row(what, Unit::Ratio, Bound::AtMost(most), ratio(copy, write), detail));
        }
    }

    fn add_usage(&self, rows: &mut Vec<Row>, bounds: &Bounds) {
        let Memory { resident, peak } = self.rest.memory;
        // What more namespaces than that may cost is the row of the growth.
        let bound = |most| if self.namespaces <= 10_000 { Bound::AtMost(most) } else { Bound::None };
        let others = format!("with {} other Secrets of 10 KB", self.other_secrets);
        for (what, bytes, most) in [
            ("memory at rest (RSS)", resident, bounds.resident),
            ("memory at its peak", peak, bounds.peak),
        ] {
            let measured = float(bytes) / MEBIBYTE;
            rows.push(self.row(what, Unit::Mebibytes, bound(most), measured, others.clone()));
        }
        let cpu = quickest(self.passes.refreshes.iter().map(|pass| pass.cpu));
        let most = Bound::AtMost(bounds.cpu_of_copy * float(self.copies) / 1000.0);
        let rollout = quickest(self.passes.rollouts.iter().map(|pass| pass.cpu));
        let detail = format!("{rollout:.2?} for start and first rollout");
        rows.push(self.row("CPU of a refresh", Unit::Seconds, most, cpu.as_secs_f64(), detail));
        let most = Bound::AtMost(bounds.cpu_at_rest);
        let percent = 100.0 * self.rest.cpu;
        rows.push(self.row("CPU at rest", Unit::Percent, most, percent, String::new()));
    }

    fn add_edit(&self, rows: &mut Vec<Row>, bounds: &Bounds) {
        let Edit { evaluation, patches, added } = self.edit;
        let milliseconds = evaluation.as_secs_f64() * 1000.0;
        let most = Bound::AtMost(bounds.edit);
        let what = "an edit of the config, CPU";
        let detail = "from the file's swap until it is in force".to_owned();
        rows.push(self.row(what, Unit::Milliseconds, most, milliseconds, detail));
        let what = "PATCHes after a pattern for a tenth more";
        let wanted = Bound::Exactly(float(added));
        rows.push(self.row(what, Unit::Count, wanted, float(patches), String::new()));
    }
}

/// The rows that compare the smallest size with the largest.
pub(crate) fn growth(sizes: &[Measured], bounds: &Bounds) -> Vec<Row> {
    let (Some(small), Some(large)) = (sizes.first(), sizes.last()) else { return Vec::new() };
    if small.namespaces == large.namespaces {
        return Vec::new();
    }
    let detail = format!("from {} to {} namespaces", small.namespaces, large.namespaces);
    let row = |what: &str, unit, most, measured| {
        let (what, bound, detail) = (what.to_owned(), Bound::AtMost(most), detail.clone());
        Row { namespaces: None, what, unit, bound, measured, detail }
    };
    let resident = |size: &Measured| float(size.rest.memory.resident);
    let bytes = (resident(large) - resident(small)) / float(large.copies - small.copies);
    let each = |size: &Measured| {
        let refresh = quickest(size.passes.refreshes.iter().map(|pass| pass.took));
        refresh.as_secs_f64() / float(size.copies)
    };
    let slowdown = each(large) / each(small);
    vec![
        row("memory of each namespace more", Unit::Bytes, bounds.growth, bytes),
        row("time of each copy of a refresh, large to small", Unit::Ratio, bounds.slowdown, slowdown),
    ]
}

/// The rows that are the same for every size.
pub(crate) fn fixed(binary: usize, starts: &[Duration], bounds: &Bounds) -> Vec<Row> {
    let row = |what: &str, unit, most, measured, detail: String| {
        let (what, bound) = (what.to_owned(), Bound::AtMost(most));
        Row { namespaces: None, what, unit, bound, measured, detail }
    };
    let start = quickest(starts.iter().copied()).as_secs_f64() * 1000.0;
    let slowest = format!("the quickest of {}", starts.len());
    vec![
        row("binary", Unit::Mebibytes, bounds.binary, float(binary) / MEBIBYTE, String::new()),
        row("start until ready, empty cluster", Unit::Milliseconds, bounds.start, start, slowest),
    ]
}
