//! The bounds of the benchmark.

/// What must be reached. Counts are not here: they are exact, wherever they are counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Of a rollout and of a refresh, to the floor, of 10,000 copies or more.
    pub(crate) pass: f64,
    /// The same of fewer, which takes a second or so: what a start costs weighs more, such as to
    /// get the Lease and the token, and so does a pause of the machine.
    pub(crate) short_pass: f64,
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
        short_pass: 1.5,
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

    /// Those of a machine that others use too, at 1,000 namespaces.
    pub(crate) const CHECK: Self = Self {
        short_pass: 2.0,
        restart: 6.0,
        idle_latency: 10.0,
        loaded_latency: 8.0,
        cpu_at_rest: 0.3,
        start: 1000.0,
        ..Self::FULL
    };
}
