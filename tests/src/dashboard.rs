//! The chart's Grafana dashboard.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

const DASHBOARD: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../helm/ecr-refresher/dashboards/ecr-refresher.json"
));

/// The dashboard as Grafana reads it.
///
/// # Errors
/// When it is not JSON.
pub fn read() -> Result<Value> {
    serde_json::from_str(DASHBOARD).context("the dashboard is not JSON")
}

/// All expressions of all panels, with what Grafana puts in place of its variables when all is
/// selected.
///
/// # Errors
/// When the dashboard cannot be read.
pub fn expressions() -> Result<BTreeSet<String>> {
    let dashboard = read()?;
    let targets = panels(&dashboard).flat_map(|panel| elements(&panel["targets"]));
    let expressions = targets.filter_map(|target| target["expr"].as_str());
    Ok(expressions.map(with_all_selected).collect())
}

fn with_all_selected(expression: &str) -> String {
    let replaced = expression.replace("$job", ".+").replace("$instance", ".+");
    replaced.replace("$__rate_interval", "1m")
}

/// What is shown, and no rows.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    elements(&dashboard["panels"]).filter(|panel| panel["type"] != "row")
}

fn elements(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The rules of Grafana's dashboard-linter, strictly, and some of our own.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::selectors;

    const DATASOURCE: &str = "${datasource}";

    fn variable<'a>(dashboard: &'a Value, name: &str) -> &'a Value {
        let mut variables = elements(&dashboard["templating"]["list"]);
        variables.find(|variable| variable["name"] == name).unwrap()
    }

    fn expressions_of(panel: &Value) -> Vec<&str> {
        elements(&panel["targets"]).map(|target| target["expr"].as_str().unwrap()).collect()
    }

    #[test]
    fn it_is_the_same_in_every_grafana_and_not_editable() {
        let dashboard = read().unwrap();
        assert_eq!(dashboard["editable"], false);
        assert!(dashboard["id"].is_null());
        assert!(!dashboard["uid"].as_str().unwrap().is_empty());
    }

    #[test]
    fn it_has_one_data_source_by_choice() {
        let dashboard = read().unwrap();
        let datasource = variable(&dashboard, "datasource");
        assert_eq!(datasource["type"], "datasource");
        assert_eq!(datasource["query"], "prometheus");
        assert_eq!(datasource["label"], "Data source");
        for panel in panels(&dashboard) {
            assert_eq!(panel["datasource"]["uid"], DATASOURCE, "{}", panel["title"]);
        }
    }

    #[test]
    fn jobs_and_instances_can_be_chosen_and_are_looked_up_again_with_the_time_range() {
        let dashboard = read().unwrap();
        for (name, label) in [("job", "Job"), ("instance", "Instance")] {
            let variable = variable(&dashboard, name);
            assert_eq!(variable["type"], "query");
            assert_eq!(variable["datasource"]["uid"], DATASOURCE);
            assert_eq!(variable["label"], label);
            assert_eq!(variable["multi"], true);
            assert_eq!(variable["includeAll"], true);
            assert_eq!(variable["allValue"], ".+");
            assert_eq!(variable["refresh"], 2);
            assert!(variable["query"]["query"].as_str().unwrap().starts_with("label_values("));
        }
    }

    #[test]
    fn every_panel_has_a_title_a_description_a_unit_and_something_to_show() {
        let dashboard = read().unwrap();
        assert!(panels(&dashboard).count() > 20);
        for panel in panels(&dashboard) {
            let title = &panel["title"];
            for key in ["title", "description"] {
                assert!(panel[key].as_str().is_some_and(|text| !text.is_empty()), "{title}");
            }
            assert!(!expressions_of(panel).is_empty(), "{title}");
            let unit = &panel["fieldConfig"]["defaults"]["unit"];
            let needs_none =
                ["heatmap", "state-timeline"].contains(&panel["type"].as_str().unwrap());
            assert!(needs_none || unit.is_string(), "{title}");
        }
    }

    #[test]
    fn panels_have_numbers_of_their_own_and_do_not_overlap() {
        let dashboard = read().unwrap();
        let mut ids = BTreeSet::new();
        let mut cells = BTreeSet::new();
        for panel in elements(&dashboard["panels"]) {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
            let side = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            for x in side("x")..side("x") + side("w") {
                assert!(x < 24, "{}", panel["title"]);
                for y in side("y")..side("y") + side("h") {
                    assert!(cells.insert((x, y)), "{} at {x},{y}", panel["title"]);
                }
            }
        }
    }

    #[test]
    fn every_selector_follows_the_chosen_jobs_and_instances() {
        let dashboard = read().unwrap();
        for expression in panels(&dashboard).flat_map(expressions_of) {
            let selectors = selectors(expression);
            assert!(!selectors.is_empty(), "{expression}");
            for (metric, matchers) in selectors {
                for matcher in ["job=~\"$job\"", "instance=~\"$instance\""] {
                    assert!(matchers.split(',').any(|other| other == matcher), "{metric}");
                }
            }
        }
    }

    #[test]
    fn counters_are_seen_as_rates_over_grafanas_interval() {
        let dashboard = read().unwrap();
        for expression in panels(&dashboard).flat_map(expressions_of) {
            let ranges = expression.matches("[$__rate_interval]").count();
            assert_eq!(expression.matches('[').count(), ranges, "{expression}");
            let functions = ["rate(", "increase("].map(|name| expression.matches(name).count());
            assert_eq!(functions.iter().sum::<usize>(), ranges, "{expression}");
            for (metric, _) in selectors(expression) {
                let is_counter = metric.ends_with("_total") || metric.ends_with("_bucket");
                let counted = expression.contains(&format!("rate({metric}{{"))
                    || expression.contains(&format!("increase({metric}{{"));
                assert_eq!(is_counter, counted, "{expression}");
            }
        }
    }
}
