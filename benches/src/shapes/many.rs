//! Three pull Secrets of twenty patterns each, in 5,000 namespaces.

use std::time::Duration;

use anyhow::Result;

use crate::{
    Arguments,
    bounds::Bounds,
    measure::{passes, rest},
    population::make_namespaces,
    progress::say,
    report::Report,
    rows::Rows,
    stage::{Stage, stop},
};

const SECRETS: [&str; 3] = ["ecr-pull", "ecr-pull-staging", "ecr-pull-tools"];
const NAMESPACES: usize = 5000;
const PATTERNS: usize = 20;
const REST: Duration = Duration::from_mins(1);

/// Measures rollouts, refreshes and rest.
pub(crate) async fn measure(arguments: &Arguments, bounds: &Bounds) -> Result<Report> {
    let stage = Stage::set_up(&SECRETS, &patterns()).await?;
    stage.control_plane.stop_controller_manager().await;
    say(&format!("{NAMESPACES} namespaces"));
    let names: Vec<_> = (0..NAMESPACES).map(|number| format!("team-{number:05}")).collect();
    make_namespaces(&stage.admin(), names.clone()).await?;
    let rounds = arguments.rounds_of(NAMESPACES);
    let (passes, daemon) = passes::measure(&stage, &names, rounds).await?;
    let rest = rest::measure(&daemon, REST).await?;
    stop(daemon).await?;
    let mut rows = Rows::new(Some(NAMESPACES), NAMESPACES * SECRETS.len(), bounds);
    rows.add_passes(&passes);
    rows.add_requests(&passes);
    rows.add_usage(&passes, &rest, 0);
    Ok(Report::new("Three pull Secrets", stage.control_plane.version(), rows.all))
}

/// Each is for every twentieth namespace, and none for the same as another.
fn patterns() -> Vec<String> {
    let endings = |first| (0..5).map(move |step| format!("{:02}", first + PATTERNS * step));
    let pattern = |first| format!("team-*{{{}}}", endings(first).collect::<Vec<_>>().join(","));
    (0..PATTERNS).map(pattern).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ending_is_in_one_pattern() {
        let patterns = patterns();
        assert_eq!(patterns[3], "team-*{03,23,43,63,83}");
        for ending in (0..100).map(|ending| format!("{ending:02}")) {
            let matching = patterns.iter().filter(|pattern| pattern.contains(&ending));
            assert_eq!(matching.count(), 1, "{ending}");
        }
    }
}
