//! The chart computes minimal rights and policies from the config.

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{chart, tools::Tool};
use serde_json::{Value, json};

use crate::{
    chart_manifests::{example, render},
    scenario::Scenario,
};

pub(crate) fn tests() -> Vec<Scenario> {
    [
        Scenario::apart("the right to delete copies is there only where they are pruned", delete),
        Scenario::apart(
            "rights to service accounts are there only for those in the config",
            accounts,
        ),
        Scenario::apart("rights to Secrets are bound to the names in the config", names),
        Scenario::apart("rights to Leases and Events are there only where they are used", leases),
        Scenario::apart("only Secrets that may be adopted are so in the policy", adopted),
    ]
    .map(|scenario| scenario.needing(&[Tool::Helm]))
    .into()
}

/// The rules about a resource in the first role of that kind.
fn rules<'a>(objects: &'a [Value], role: &str, resource: &str) -> Result<Vec<&'a Value>> {
    let rules = chart::find(objects, role)?["rules"].as_array().into_iter().flatten();
    let about = |rule: &&Value| rule["resources"] == json!([resource]);
    Ok(rules.filter(about).collect())
}

async fn delete() -> Result<()> {
    for (name, prunes) in [
        ("default", true),
        ("no-leader-election", false),
        // One pass does not know since when a copy is unwanted.
        ("cronjob-least", false),
        ("cronjob", true),
    ] {
        let objects = example(name).await?;
        let mut verbs = vec!["list", "watch", "create", "patch"];
        verbs.extend(prunes.then_some("delete"));
        let rules = rules(&objects, "ClusterRole", "secrets")?;
        ensure!(rules.len() == 1 && rules[0]["verbs"] == json!(verbs), "{name}: {rules:?}");
    }
    Ok(())
}

async fn accounts() -> Result<()> {
    let objects = example("default").await?;
    ensure!(rules(&objects, "ClusterRole", "serviceaccounts")?.is_empty());
    // Those of both pull Secrets, each once.
    let objects = example("all-options").await?;
    let rules = rules(&objects, "ClusterRole", "serviceaccounts")?;
    ensure!(rules.len() == 1, "{rules:?}");
    ensure!(rules[0]["resourceNames"] == json!(["builder", "default"]), "{rules:?}");
    ensure!(rules[0]["verbs"] == json!(["list", "watch", "patch"]), "{rules:?}");
    Ok(())
}

async fn names() -> Result<()> {
    for file in chart::examples()? {
        let objects =
            tokio::task::spawn_blocking(move || chart::render_file(&file, "release", "home"))
                .await??;
        let config = chart::documents(chart::config(&objects)?)?.remove(0);
        let secrets = config["secrets"].as_array().into_iter().flatten();
        let mut configured: Vec<_> = secrets.map(|secret| secret["name"].clone()).collect();
        configured.sort_by_key(ToString::to_string);
        let everywhere = rules(&objects, "ClusterRole", "secrets")?;
        ensure!(everywhere.len() == 1 && everywhere[0]["resourceNames"] == json!(configured));
        let cache = format!("{}-tokens", chart::daemon_name(&objects)?);
        let at_home = rules(&objects, "Role", "secrets")?;
        ensure!(at_home.len() == 1 && at_home[0]["resourceNames"] == json!([cache]));
    }
    Ok(())
}

async fn leases() -> Result<()> {
    for (name, leads, publishes) in
        [("default", true, true), ("no-leader-election", false, true), ("cronjob", false, false)]
    {
        let objects = example(name).await?;
        let leases = rules(&objects, "Role", "leases")?;
        let events = rules(&objects, "ClusterRole", "events")?;
        ensure!(leases.len() == if leads { 2 } else { 0 }, "{name}: {leases:?}");
        ensure!(events.len() == usize::from(publishes), "{name}: {events:?}");
    }
    Ok(())
}

async fn adopted() -> Result<()> {
    let rule_of = async |on_conflict: [&str; 2]| {
        let secrets = ["left", "right"].into_iter().zip(on_conflict);
        let secrets: Vec<_> = secrets
            .map(|(name, rule)| json!({ "name": name, "namespaces": ["*"], "onConflict": rule }))
            .collect();
        let registries = json!([{ "name": "main", "ecr": { "region": "eu-west-1" } }]);
        let config = json!({ "registries": registries, "secrets": secrets });
        let objects = render(json!({ "config": config })).await?;
        let policy = chart::find(&objects, "ValidatingAdmissionPolicy")?;
        let rules = policy["spec"]["validations"].as_array().into_iter().flatten();
        let mut ours = rules.filter(|rule| {
            rule["message"].as_str().is_some_and(|message| message.starts_with("rule `ours`"))
        });
        let rule = ours.next().and_then(|rule| rule["expression"].as_str());
        anyhow::Ok(rule.context("there is no rule `ours`")?.to_owned())
    };
    let none = rule_of(["skip", "skip"]).await?;
    ensure!(!none.contains("request.name in"), "{none}");
    let one = rule_of(["skip", "adopt"]).await?;
    ensure!(one.contains("request.name in ['right'] && "), "{one}");
    let both = rule_of(["adopt", "adopt"]).await?;
    ensure!(both.contains("request.name in ['left', 'right'] && "), "{both}");
    Ok(())
}
