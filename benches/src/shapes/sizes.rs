//! One pull Secret in more and more namespaces.

use std::time::Duration;

use anyhow::{Context, Result};
use ecr_refresher_tests::daemon;

use crate::{
    Arguments,
    bounds::Bounds,
    measure::{edit, latency::Newcomers, passes, rest, restart},
    numbers::median,
    population::{make_namespaces, make_other_secrets},
    progress::say,
    report::{Report, line},
    row::Row,
    rows::{Rows, Size},
    stage::{SECRET, Stage, stop},
};

/// How often a start is measured.
const STARTS: usize = 5;
const RESTARTS: usize = 3;

/// Measures each size in turn, in the same cluster.
pub(crate) async fn measure(arguments: &Arguments, bounds: &Bounds) -> Result<Report> {
    let binary = daemon::program()?.metadata().context("the daemon's binary")?.len();
    let patterns = ["team-*", "new-*"].map(str::to_owned);
    let stage = Stage::set_up(&[SECRET], &patterns).await?;
    // Nothing else should be written during a measurement, such as two objects for each namespace.
    stage.control_plane.stop_controller_manager().await;
    let (starts, empty) = restart::measure_empty(&stage, STARTS).await?;
    make_other_secrets(&stage.admin(), arguments.other_secrets).await?;
    stage.force_refresh().await?;
    let (listed, squads) = (Vec::new(), Vec::new());
    let mut cluster = Cluster { stage: &stage, patterns: &patterns, listed, squads };
    let (mut sizes, mut all) = (Vec::new(), Vec::new());
    for &namespaces in &arguments.namespaces {
        let (size, rows) = cluster.measure(arguments, namespaces, bounds).await?;
        for row in &rows {
            say(line(row).trim_end());
        }
        sizes.push(size);
        all.extend(rows);
    }
    let mut rows = Rows::new(None, 0, bounds);
    if let [small, .., large] = sizes.as_slice() {
        rows.add_growth(small, large);
    }
    rows.add_fixed(usize::try_from(binary)?, &starts, empty);
    all.extend(rows.all);
    Ok(Report::new("Scale", stage.control_plane.version(), all))
}

/// The namespaces so far.
struct Cluster<'a> {
    stage: &'a Stage,
    patterns: &'a [String],
    /// On the list from the beginning.
    listed: Vec<String>,
    /// On it only after an edit.
    squads: Vec<String>,
}

impl Cluster<'_> {
    /// Grows to so many namespaces, and measures.
    async fn measure(
        &mut self,
        arguments: &Arguments,
        namespaces: usize,
        bounds: &Bounds,
    ) -> Result<(Size, Vec<Row>)> {
        let stage = self.stage;
        say(&format!("{namespaces} namespaces"));
        self.grow(namespaces).await?;
        let copies = self.listed.len();
        let mut rows = Rows::new(Some(namespaces), copies, bounds);
        let rounds = arguments.rounds_of(namespaces);
        let (passes, daemon) = passes::measure(stage, &self.listed, rounds).await?;
        rows.add_passes(&passes);
        rows.add_requests(&passes);
        let rest = rest::measure(&daemon, Duration::from_secs(arguments.rest)).await?;
        rows.add_usage(&passes, &rest, arguments.other_secrets);
        let (restarts, daemon) = restart::measure(stage, daemon, RESTARTS).await?;
        rows.add_restarts(&restarts);
        rows.add_edit(edit::measure(stage, &daemon, self.patterns, &self.squads).await?);
        let mut newcomers = Newcomers::start(stage).await?;
        say("  daemon: new namespaces, at rest");
        let idle = newcomers.idle(arguments.samples).await?;
        rows.add_latency("new namespace, p99 to a write's", &idle, bounds.idle_latency);
        let loaded = newcomers.under_load(&daemon, arguments.samples).await?;
        rows.add_latency("the same during a refresh", &loaded, bounds.loaded_latency);
        self.listed.append(&mut newcomers.names);
        drop(newcomers);
        stop(daemon).await?;
        passes::clear(stage, &self.listed).await?;
        let refreshes: Vec<_> = passes.refreshes.iter().map(|pass| pass.took).collect();
        let size = Size {
            copies,
            resident: rest.memory.resident,
            refresh: median(&refreshes),
            floor: median(&passes.floor_refreshes),
            to_floor: passes::to_floor(&passes.refreshes, &passes.floor_refreshes),
        };
        Ok((size, rows.all))
    }

    async fn grow(&mut self, namespaces: usize) -> Result<()> {
        let name = |kind: &str, number: usize| format!("{kind}-{number:05}");
        let (from, squads) = (self.listed.len(), self.squads.len());
        let teams: Vec<_> = (from..namespaces).map(|number| name("team", number)).collect();
        let added: Vec<_> = (squads..namespaces / 10).map(|number| name("squad", number)).collect();
        let all = teams.iter().chain(&added).cloned().collect();
        make_namespaces(&self.stage.admin(), all).await?;
        self.listed.extend(teams);
        self.squads.extend(added);
        Ok(())
    }
}
