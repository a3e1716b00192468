//! Every command in the docs, as a reader types it, and its documented output.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{create, create_namespace, eventually_secret},
    control_plane::ControlPlane,
    daemon::program,
    doc_commands::{DocCommand, commands, yaml_after},
    helm::Release,
    node::Nodes,
    tools::Tool,
    wait::eventually,
};
use k8s_openapi::api::{batch::v1::CronJob, core::v1::Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{events::eventually_event, installed::Surroundings, scenario::Scenario};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PATIENCE: Duration = Duration::from_mins(2);
const RELEASE: Release<'_> = Release { name: "ecr-refresher", namespace: "ecr-refresher" };

/// Commands that are not run, and why.
const LEFT_OUT: [(&str, &str); 7] = [
    ("make demo", "CI runs it apart"),
    ("make test", "this is a part of it"),
    ("aws ", "there is no AWS"),
    ("clusterexternalsecret", "there is no External Secrets operator"),
    ("port-forward", "nothing reaches the kubelets of these nodes"),
    ("curl http://127.0.0.1:8080", "it needs the one before"),
    (" logs ", "nothing reaches the kubelets of these nodes"),
];
/// Parts that readers replace, and the replacements.
const REPLACED: [(&str, &str); 3] = [
    ("-n NAMESPACE patch cronjob NAME", "-n docs-old patch cronjob old"),
    ("-n NAMESPACE patch", "-n docs-old patch"),
    // Nothing reaches the kubelets of these nodes.
    ("kubectl -n ecr-refresher exec deployment/ecr-refresher -- /ecr-refresher", "ecr-refresher"),
];

pub(crate) fn tests() -> Vec<Scenario> {
    const NEEDS: [Tool; 6] =
        [Tool::Buildah, Tool::MuslGcc, Tool::CrossGcc, Tool::Helm, Tool::Kubectl, Tool::Jq];
    vec![
        Scenario::on_nodes("every command in the docs works as they say", as_documented)
            .needing(&NEEDS),
    ]
}

async fn as_documented(control_plane: Arc<ControlPlane>, nodes: Arc<Nodes>) -> Result<()> {
    let client = control_plane.admin_client();
    for namespace in ["payments", "team-blue", "team-lilac", "team-red", "team-sandbox", "docs-old"]
    {
        create_namespace(&client, namespace, &[]).await?;
    }
    own_by_helm(&client, "team-green").await?;
    let mut reader = Reader::new(&control_plane)?;

    reader.run("docs/install.md", "kubectl create")?;
    let mut around = Surroundings::in_home(&control_plane, &nodes, RELEASE.namespace).await?;
    around.aws.add_identity("id", "123456789012", "arn:aws:iam::123456789012:user/puller");
    around.aws.set_token_life(Duration::from_hours(12));
    around.values["config"] = yaml(&page("docs/commands.md")?, "The examples below")?;
    around.values["aws"]["credentials"]["existingSecret"] = "aws-keys".into();
    reader.write("values.yaml", &around.values.to_string())?;
    reader.environment.insert("AWS_ENDPOINT_URL".to_owned(), around.aws.endpoint());
    reader.run("docs/install.md", "ecr-refresher plan")?;
    reader.run("docs/install.md", "helm install").with_context(|| nodes.last_words())?;
    reader.run("docs/install.md", "kubectl -n ecr-refresher exec")?;

    as_in_the_examples(&client, &reader).await?;
    reader.run_with_output("docs/commands.md")?;
    reader.shell("kubectl -n ecr-refresher scale deployment/ecr-refresher --replicas 1")?;
    reader.run("docs/commands.md", "")?;
    reader.run("docs/runbooks.md", "")?;

    reader.write("config.yaml", &many_accounts())?;
    reader.shell("kubectl -n ecr-refresher delete secret aws-keys")?;
    let china =
        yaml(&page("docs/registries.md")?, "of its own, with a pull Secret of another name")?;
    reader.write("values-cn.yaml", &china.to_string())?;
    reader.run("docs/registries.md", "")?;
    reader.shell("helm uninstall ecr-refresher-cn --namespace ecr-refresher")?;

    for name in ["old", "k8s-ecr-login-renew-cron"] {
        create(&Api::<CronJob>::namespaced(client.clone(), "docs-old"), cron_job(name)).await?;
    }
    reader.run("docs/migrating.md", "")?;

    around.values["mode"] = json!("cronJob");
    around.upgrade(RELEASE).await?;
    reader.run("docs/install.md", "create job")?;
    reader.shell("helm uninstall ecr-refresher --namespace ecr-refresher")?;
    reader.run("README.md", "")?;
    reader.run("docs/install.md", "")?;
    reader.has_run_all()
}

/// A Secret in the way, as a Helm chart would have made it.
async fn own_by_helm(client: &Client, namespace: &str) -> Result<()> {
    create_namespace(client, namespace, &[]).await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = json!({ "metadata": { "name": "ecr-pull" }, "type": "kubernetes.io/dockerconfigjson",
        "stringData": { ".dockerconfigjson": "{}" } });
    let by_helm = PostParams { field_manager: Some("helm".to_owned()), ..PostParams::default() };
    secrets.create(&by_helm, &serde_json::from_value(secret)?).await?;
    Ok(())
}

/// The cluster of docs/commands.md: the daemon is stopped after its roll-out, there is a new
/// namespace, and a copy was edited.
async fn as_in_the_examples(client: &Client, reader: &Reader) -> Result<()> {
    for namespace in ["payments", "team-blue", "team-lilac", "team-red"] {
        eventually_secret(client, namespace, "ecr-pull", PATIENCE, |_| Ok(())).await?;
    }
    eventually_event(client, "team-green", "ecr-pull", "ConflictingSecret").await?;
    reader.shell("kubectl -n ecr-refresher scale deployment/ecr-refresher --replicas 0")?;
    eventually("the leader to release its Lease", PATIENCE, async || {
        let holder =
            "kubectl -n ecr-refresher get lease ecr-refresher -o jsonpath={.spec.holderIdentity}";
        let holder = reader.shell(holder)?;
        ensure!(holder.is_empty(), "{holder} holds it");
        Ok(())
    })
    .await?;
    create_namespace(client, "team-new", &[]).await?;
    let edit = Patch::Merge(json!({ "data": { ".dockerconfigjson": "e30=" } }));
    let by_kubectl =
        PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    Api::<Secret>::namespaced(client.clone(), "team-blue")
        .patch("ecr-pull", &by_kubectl, &edit)
        .await?;
    Ok(())
}

/// The config of "Many accounts": 100 in all variants.
fn many_accounts() -> String {
    let accounts: Vec<_> =
        (0..100).map(|number| format!("\"{:012}\"", 111_111_111_111_u64 + number)).collect();
    format!(
        "registries:\n  - name: all\n    ecr: {{ region: us-east-1, variants: [standard, fips, dualStack], \
         accounts: [{}] }}\nsecrets:\n  - name: ecr-pull\n    namespaces: [\"team-*\"]\n",
        accounts.join(", ")
    )
}

fn cron_job(name: &str) -> Value {
    let container = json!({ "name": "renew", "image": "example.com/renew" });
    let pod = json!({ "containers": [container], "restartPolicy": "Never" });
    let job = json!({ "spec": { "template": { "spec": pod } } });
    json!({ "metadata": { "name": name }, "spec": { "schedule": "0 0 1 1 *", "jobTemplate": job } })
}

fn yaml(page: &str, start: &str) -> Result<Value> {
    let text = yaml_after(page, start).with_context(|| format!("no YAML after {start:?}"))?;
    Ok(serde_saphyr::from_str(text)?)
}

/// Somebody who reads the docs and types what they say.
struct Reader {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
    /// The commands that have not run yet.
    commands: Vec<DocCommand>,
}

impl Reader {
    /// A reader in a folder with the files that the docs name.
    fn new(control_plane: &ControlPlane) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let bin = folder.path().join("bin");
        fs::create_dir(&bin)?;
        symlink(program()?, bin.join("ecr-refresher"))?;
        for tool in [Tool::Kubectl, Tool::Helm] {
            symlink(tool.path()?, bin.join(tool.name()))?;
        }
        symlink(Path::new(REPOSITORY).join("helm"), folder.path().join("helm"))?;
        fs::copy(control_plane.admin_kubeconfig(), folder.path().join("kubeconfig"))?;
        let path = std::env::var("PATH").unwrap_or_default();
        let home = folder.path().display().to_string();
        let environment = [
            ("PATH", format!("{}:{path}", bin.display())),
            ("HOME", home.clone()),
            ("KUBECONFIG", format!("{home}/kubeconfig")),
            ("AWS_REGION", "eu-west-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "id".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "example".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
        let mut reader = Self { folder, environment, commands: Vec::new() };
        for name in pages()? {
            reader.commands.extend(commands(&name, &page(&name)?));
        }
        for (part, why) in LEFT_OUT {
            let before = reader.commands.len();
            reader.commands.retain(|it| !it.text.contains(part));
            ensure!(reader.commands.len() < before, "no command has {part:?} any more ({why})");
        }
        let text = page("docs/commands.md")?;
        let config = yaml_after(&text, "The examples below").context("no config")?;
        reader.write("config.yaml", config)?;
        let edited = config.replace("payments", "paymets");
        reader.write(
            "edited.yaml",
            &edited.replace("[team-sandbox]", "[team-sandbox, team-lilac]"),
        )?;
        let wrong = "registries:\n  - name: main\n    ecr: { regoin: eu-west-1 }\nsecrets:\n  - name: ecr-pull\n    namespaces: [Team-*, payments]\n";
        reader.write("wrong.yaml", wrong)?;
        reader.write("AWS_ACCESS_KEY_ID", "id")?;
        reader.write("AWS_SECRET_ACCESS_KEY", "example")?;
        reader.write("ca.crt", "a certificate")?;
        reader.shell("kubectl config set-context --current --namespace ecr-refresher")?;
        Ok(reader)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.folder.path().join(name), text)?)
    }

    /// Runs the remaining commands of a page that contain `part`.
    fn run(&mut self, page: &str, part: &str) -> Result<()> {
        self.run_those(|it| it.place.starts_with(page) && it.text.contains(part))
    }

    /// Runs the remaining commands of a page that have an output there.
    fn run_with_output(&mut self, page: &str) -> Result<()> {
        self.run_those(|it| it.place.starts_with(page) && it.output.is_some())
    }

    fn run_those(&mut self, are_meant: impl Fn(&DocCommand) -> bool) -> Result<()> {
        let (meant, rest) = std::mem::take(&mut self.commands).into_iter().partition(are_meant);
        self.commands = rest;
        let meant: Vec<DocCommand> = meant;
        ensure!(!meant.is_empty(), "there is no such command");
        for command in meant {
            let DocCommand { place, text, output } = &command;
            let printed = self.shell(text).with_context(|| format!("{place}: {text}"))?;
            let Some(output) = output else { continue };
            let (expected, seen) = (normal(output), normal(&printed));
            ensure!(seen == expected, "{place}: {text}\nprints:\n{seen}\nand not:\n{expected}");
        }
        Ok(())
    }

    /// Runs a command, and returns its output. `status` and `explain` may say that a copy fails, and
    /// `check` that a config is wrong.
    fn shell(&self, command: &str) -> Result<String> {
        let text =
            REPLACED.iter().fold(command.to_owned(), |text, (one, other)| text.replace(one, other));
        let mut bash = Command::new("bash");
        bash.args(["-euc", &format!("exec 2>&1; {text}")]).current_dir(&self.folder);
        bash.env_clear().envs(&self.environment);
        let ended = bash.output()?;
        let printed = String::from_utf8_lossy(&ended.stdout).into_owned();
        let may_fail = ["status", "explain", "check"]
            .iter()
            .any(|name| text.starts_with(&format!("ecr-refresher {name}")));
        let is_good =
            ended.status.success() || may_fail && matches!(ended.status.code(), Some(1 | 2));
        ensure!(is_good, "{}: {printed}", ended.status);
        Ok(printed)
    }

    fn has_run_all(&self) -> Result<()> {
        ensure!(self.commands.is_empty(), "these were not run: {:?}", self.commands);
        Ok(())
    }
}

fn page(page: &str) -> Result<String> {
    fs::read_to_string(Path::new(REPOSITORY).join(page)).with_context(|| page.to_owned())
}

/// The pages, as paths from the repository.
fn pages() -> Result<Vec<String>> {
    let docs = fs::read_dir(Path::new(REPOSITORY).join("docs"))?;
    let paths: Vec<PathBuf> = docs.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    let pages = paths.iter().filter(|path| path.extension().is_some_and(|it| it == "md"));
    let names = pages.filter_map(|path| Some(format!("docs/{}", path.file_name()?.to_str()?)));
    Ok(names.chain(["README.md".to_owned()]).collect())
}

/// An output without the parts that differ from run to run: times, addresses, users and white space.
fn normal(output: &str) -> String {
    if let Ok(mut json) = serde_json::from_str::<Value>(output) {
        for field in ["at", "cluster", "user", "registries"] {
            json[field] = field.into();
        }
        return json.to_string();
    }
    let line = |line: &str| {
        let words = line.split_whitespace().filter(|word| !is_duration(word));
        let words = words.map(|word| {
            let is_time = word.contains('T') && word.contains('Z') && word.contains("20");
            if is_time || word.starts_with("https://") { "…" } else { word }
        });
        let words: Vec<_> = words.collect();
        match words.as_slice() {
            ["cluster", place, "as", _] => format!("cluster {place} as …"),
            words => words.join(" "),
        }
    };
    output.lines().map(line).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Whether a word is a part of `5h 12m`.
fn is_duration(word: &str) -> bool {
    let number = word.trim_end_matches([',', ':']).trim_end_matches(['d', 'h', 'm', 's']);
    number.len() < word.len() && !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit())
}
