//! The chart's alerts and dashboard, on a real Prometheus that scrapes the real daemon.

use std::{collections::BTreeSet, fs, process::Command, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    chart,
    cluster::create_namespace,
    control_plane::ControlPlane,
    daemon::{Daemon, Installation},
    dashboard,
    fake_aws::{FakeAws, Fault},
    prometheus::{Prometheus, Target},
    promql::selectors,
    tools::Tool,
    wait::eventually,
};
use serde_json::{Value, json};

use crate::scenario::Scenario;

const PATIENCE: Duration = Duration::from_mins(1);
/// What `promtool` tests the alerts with.
const ALERT_TESTS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/monitoring/alerts_test.yaml"));
const CRON_JOB_ALERT_TESTS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/monitoring/cronjob_alerts_test.yaml"));

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::apart("promtool sees each alert fire when it is to, and not before", promtool)
            .needing(&[Tool::Promtool]),
        Scenario::new("every expression of alerts and panels has data of a daemon", all_have_data)
            .needing(&[Tool::Prometheus]),
        Scenario::new("while AWS fails, the alerts on it are pending, fire, and resolve", outage)
            .needing(&[Tool::Prometheus]),
    ]
}

async fn promtool() -> Result<()> {
    for (mode, tests) in [("daemon", ALERT_TESTS), ("cronJob", CRON_JOB_ALERT_TESTS)] {
        let values = json!({ "mode": mode, "prometheusRule": { "enabled": true } });
        let rules = rules("ecr-refresher", "ecr-refresher", config("ecr-pull"), values).await?;
        test_rules(&rules, tests).await?;
    }
    Ok(())
}

/// Has `promtool` test the rules, each of which has a test.
async fn test_rules(rules: &Value, tests: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("rules.yaml"), rules.to_string())?;
    fs::write(folder.path().join("alerts_test.yaml"), tests)?;
    let program = tokio::task::spawn_blocking(|| Tool::Promtool.path()).await??;
    for arguments in [["check", "rules", "rules.yaml"], ["test", "rules", "alerts_test.yaml"]] {
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(folder.path());
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let said = [output.stdout, output.stderr].concat();
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    }
    let tested = alerts(rules);
    let untested = tested.iter().find(|(name, _)| !tests.contains(&format!("alertname: {name}")));
    ensure!(untested.is_none(), "{untested:?} is tested nowhere");
    Ok(())
}

async fn all_have_data(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let mut config = config("data");
    config["secrets"][0]["serviceAccounts"] = json!(["default"]);
    config["metrics"] = json!({ "perNamespace": "all" });
    let (installation, daemon) = start(&control_plane, &aws, "data", &config).await?;
    let values = json!({ "prometheusRule": { "enabled": true } });
    let rules = rules("data", "data-home", config, values).await?;
    let prometheus = Prometheus::start(target(&installation, &daemon), &rules).await?;

    let alerts_of_rules = alerts(&rules);
    let selectors = alerts_of_rules.iter().flat_map(|(_, expression)| selectors(expression));
    let of_alerts = selectors.map(|(metric, matchers)| format!("{metric}{{{matchers}}}"));
    let of_panels = dashboard::expressions()?.into_iter().map(without_comparison);
    let expressions: BTreeSet<_> = of_alerts.chain(of_panels).collect();
    ensure!(expressions.len() > 40, "only {} expressions", expressions.len());
    for expression in expressions {
        eventually(&format!("data of {expression}"), PATIENCE, async || {
            ensure!(!prometheus.query(&expression).await?.is_empty(), "there is none");
            Ok(())
        })
        .await?;
    }
    // The whole alerts are valid, and none of them has anything to say.
    for (name, expression) in &alerts_of_rules {
        let samples = prometheus.query(expression).await?;
        ensure!(samples.is_empty(), "{name} would fire: {samples:?}");
    }
    Ok(())
}

async fn outage(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.set_token_life(Duration::from_secs(30));
    let config = config("alert");
    let (installation, daemon) = start(&control_plane, &aws, "alert", &config).await?;
    let soon = |hours: f64| json!({ "hoursLeft": hours, "for": "1s", "severity": "any" });
    let values = json!({ "prometheusRule": {
        "enabled": true,
        "absent": { "for": "3s" },
        // 7 s and 2 s: of a life of 30 s, a new token comes when 15 are left.
        "expiring": { "warning": soon(7.0 / 3600.0), "critical": soon(2.0 / 3600.0) },
        "tokenNotRefreshed": { "for": "3s" },
    } });
    let rules = rules("alert", "alert-home", config, values).await?;
    let prometheus = Prometheus::start(target(&installation, &daemon), &rules).await?;
    // Before its first scrape, the daemon is absent.
    is_quiet(&prometheus).await?;

    aws.fail_with(Fault::ServerError(500));
    is(&prometheus, "EcrRefresherTokenNotRefreshed", &["pending", "firing"]).await?;
    for alert in
        ["EcrRefresherTokenNotRefreshed", "EcrRefresherTokenExpiring", "EcrRefresherCopyExpiring"]
    {
        is(&prometheus, alert, &["firing"]).await?;
    }
    aws.heal();
    is_quiet(&prometheus).await?;
    daemon.kill()?;
    is(&prometheus, "EcrRefresherAbsent", &["firing"]).await
}

/// Waits until the daemon is scraped, and no alert has anything to say.
async fn is_quiet(prometheus: &Prometheus) -> Result<()> {
    eventually("all alerts to resolve", PATIENCE, async || {
        let (seen, alerts) =
            (prometheus.query("ecr_refresher_build_info").await?, prometheus.alerts().await?);
        ensure!(!seen.is_empty() && alerts.is_empty(), "{alerts:?}");
        Ok(())
    })
    .await
}

/// Waits for each state of an alert, in turn.
async fn is(prometheus: &Prometheus, name: &str, states: &[&str]) -> Result<()> {
    for state in states {
        eventually(&format!("{name} to be {state}"), PATIENCE, async || {
            let alerts = prometheus.alerts().await?;
            ensure!(alerts.iter().any(|(other, is)| other == name && is == state), "{alerts:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

fn config(name: &str) -> Value {
    json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": format!("{name}-pull"), "namespaces": [format!("{name}-?")] }],
        "refresh": { "spread": "0s" },
    })
}

async fn start(
    control_plane: &Arc<ControlPlane>,
    aws: &FakeAws,
    name: &str,
    config: &Value,
) -> Result<(Installation, Daemon)> {
    create_namespace(&control_plane.admin_client(), &format!("{name}-a"), &[]).await?;
    let installation = Installation::new(control_plane, name, config.clone()).await?;
    let daemon = installation.start_ready(aws).await?;
    let fresh = format!(r#"ecr_refresher_copies{{secret="{name}-pull",state="fresh"}}"#);
    daemon.metric_becomes(&fresh, 1.0).await?;
    Ok((installation, daemon))
}

/// A daemon, as a `ServiceMonitor` has it scraped.
fn target<'a>(installation: &'a Installation, daemon: &'a Daemon) -> Target<'a> {
    Target { address: daemon.address(), job: installation.name(), namespace: installation.home() }
}

/// The `spec` of the `PrometheusRule` of a release with these values.
async fn rules(release: &str, namespace: &str, config: Value, mut values: Value) -> Result<Value> {
    values["config"] = config;
    let (release, namespace) = (release.to_owned(), namespace.to_owned());
    let rendering = move || chart::render(&values, &release, &namespace);
    let objects = tokio::task::spawn_blocking(rendering).await??;
    let rule = objects.into_iter().find(|object| object["kind"] == "PrometheusRule");
    Ok(rule.context("the chart renders no PrometheusRule")?["spec"].take())
}

/// The names and expressions of all alerts.
fn alerts(rules: &Value) -> Vec<(String, String)> {
    let groups = rules["groups"].as_array().into_iter().flatten();
    let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rules.map(|rule| (text(&rule["alert"]), text(&rule["expr"]))).collect()
}

/// An expression without what picks out the series that are bad, or good.
fn without_comparison(expression: String) -> String {
    for comparison in [" > 0", " == 0"] {
        if let Some(compared) = expression.strip_suffix(comparison) {
            return compared.to_owned();
        }
    }
    expression
}
