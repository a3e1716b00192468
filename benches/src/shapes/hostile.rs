//! A cluster that gives the daemon trouble: namespaces that come and go, a tenant that edits its copy
//! again and again, and namespaces with a quota that allows no Secret.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{daemon::Daemon, wait::eventually};
use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};
use k8s_openapi::api::core::v1::{Namespace, ResourceQuota, Secret};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::{
    bounds::Bounds,
    measure::latency::{Latency, Newcomers},
    numbers::float,
    population::{make_namespace, make_namespaces},
    progress::say,
    report::Report,
    row::{Bound, Unit},
    rows::Rows,
    stage::{SECRET, Stage, stop, written},
    traffic::Traffic,
    usage,
};

/// Namespaces that are as they should be.
const GOOD: usize = 1000;
/// Namespaces that get no copy, as their quota allows none.
const FULL: usize = 500;
/// How long the trouble lasts.
const MINUTE: Duration = Duration::from_mins(1);
/// A namespace comes this often, and goes after a moment.
const CHURN: Duration = Duration::from_millis(50);
const LIFE: Duration = Duration::from_secs(2);
/// The tenant edits its copy this often.
const EDITS: Duration = Duration::from_millis(100);
const TENANT: &str = "team-00000";
/// How long the controllers may take to count what quotas are about.
const PATIENCE: Duration = Duration::from_mins(2);

/// What the daemon may use of a core, in percent.
const CPU: f64 = 10.0;
/// What it may ask of the API server each second: a write for each of the 20 namespaces that come,
/// 50 for the 500 that fail (their backoff doubles from a second on: 6 tries in the first minute), and
/// 10 for all the rest.
const REQUESTS: f64 = 80.0;
/// How often it may write the copy that is edited 600 times.
const REPAIRS: f64 = 60.0;

/// Measures a minute of trouble.
pub(crate) async fn measure(bounds: &Bounds) -> Result<Report> {
    let patterns = ["team-*", "new-*", "full-*"].map(str::to_owned);
    let stage = Stage::set_up(&[SECRET], &patterns).await?;
    let client = stage.admin();
    let good = (0..GOOD).map(|number| format!("team-{number:05}"));
    let full: Vec<_> = (0..FULL).map(|number| format!("full-{number:05}")).collect();
    make_namespaces(&client, good.chain(full.iter().cloned()).collect()).await?;
    say("quotas");
    let quotas = full.iter().map(|namespace| use_up(&client, namespace));
    stream::iter(quotas).buffer_unordered(16).try_collect::<()>().await?;
    let daemon = stage.start().await?;
    written(&daemon, GOOD).await?;

    say("a minute of trouble");
    let mut newcomers = Newcomers::start(&stage).await?;
    let audit = stage.audit()?;
    let before = usage::cpu(daemon.pid())?;
    let (latency, (), ()) =
        tokio::try_join!(sample(&mut newcomers), churn(&client), edit_again_and_again(&client))?;
    let cpu = usage::cpu(daemon.pid())?.saturating_sub(before);
    let traffic = Traffic::of(&audit, &stage.installation.user())?;
    let memory = usage::memory(daemon.pid())?;
    drop(newcomers);
    good_stay(&daemon).await?;
    stop(daemon).await?;

    let mut rows = Rows::new(Some(GOOD + FULL), GOOD, bounds);
    rows.add_latency("new namespace, p99 to a write's", &latency, bounds.idle_latency);
    let seconds = MINUTE.as_secs_f64();
    let percent = 100.0 * cpu.as_secs_f64() / seconds;
    rows.add("CPU", Unit::Percent, Bound::AtMost(CPU), percent, "");
    rows.add_memory(memory, "at the end of the minute");
    let each_second = float(traffic.all()) / seconds;
    let detail = traffic.kinds_text();
    rows.add("requests each second", Unit::Rate, Bound::AtMost(REQUESTS), each_second, detail);
    let to_tenant = float(traffic.writes_in(|namespace| namespace == TENANT));
    let most = Bound::AtMost(REPAIRS);
    rows.add("writes of the copy that is edited", Unit::Count, most, to_tenant, "");
    let to_full = float(traffic.writes_in(|namespace| namespace.starts_with("full-")));
    rows.add("writes refused by quotas", Unit::Count, Bound::None, to_full, "");
    Ok(Report::new("Hostile", stage.control_plane.version(), rows.all))
}

/// The others are served, one after another.
async fn sample(newcomers: &mut Newcomers<'_>) -> Result<Latency> {
    let (end, mut latency) = (Instant::now() + MINUTE, Latency::default());
    while Instant::now() < end {
        let Latency { copies, writes } = newcomers.idle(1).await?;
        latency.copies.extend(copies);
        latency.writes.extend(writes);
        sleep(Duration::from_millis(200)).await;
    }
    Ok(latency)
}

/// Namespaces come and go.
async fn churn(client: &Client) -> Result<()> {
    let api = Api::<Namespace>::all(client.clone());
    let mut ticks = interval(CHURN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let end = Instant::now() + MINUTE;
    let mut lives = Vec::new();
    while Instant::now() < end {
        ticks.tick().await;
        let (client, api) = (client.clone(), api.clone());
        lives.push(tokio::spawn(async move {
            let name = format!("team-churn-{:08x}", fastrand::u32(..));
            make_namespace(&client, &name).await?;
            sleep(LIFE).await;
            api.delete(&name, &DeleteParams::default()).await?;
            Ok::<_, anyhow::Error>(())
        }));
    }
    for life in try_join_all(lives).await? {
        life?;
    }
    Ok(())
}

/// The tenant does not like its copy.
async fn edit_again_and_again(client: &Client) -> Result<()> {
    let api = Api::<Secret>::namespaced(client.clone(), TENANT);
    let mut ticks = interval(EDITS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let end = Instant::now() + MINUTE;
    while Instant::now() < end {
        ticks.tick().await;
        let data = fastrand::u32(..).to_string();
        let edit = json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": data } } });
        api.patch_metadata(SECRET, &PatchParams::default(), &Patch::Merge(&edit)).await?;
    }
    Ok(())
}

/// Makes a quota that allows no Secret, and waits until it is in force.
async fn use_up(client: &Client, namespace: &str) -> Result<()> {
    let quota: ResourceQuota = serde_json::from_value(json!({
        "metadata": { "name": "none" },
        "spec": { "hard": { "count/secrets": "0" } },
    }))?;
    let api = Api::<ResourceQuota>::namespaced(client.clone(), namespace);
    api.create(&PostParams::default(), &quota).await?;
    eventually("the quota to be in force", PATIENCE, async || {
        let status = api.get("none").await?.status.context("it has no status")?;
        ensure!(status.hard.is_some(), "it is not counted");
        Ok(())
    })
    .await
}

/// All good namespaces but the one that is edited have their copy.
async fn good_stay(daemon: &Daemon) -> Result<()> {
    let series = format!(r#"ecr_refresher_copies{{secret="{SECRET}",state="fresh"}}"#);
    eventually("the good namespaces to have their copies", PATIENCE, async || {
        let fresh = daemon.metric(&series).await?;
        ensure!(fresh >= float(GOOD - 1), "{fresh} have");
        Ok(())
    })
    .await
}
