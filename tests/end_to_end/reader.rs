//! A reader of the docs, who types their commands.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    control_plane::ControlPlane,
    daemon::program,
    doc_commands::{DocCommand, commands, yaml_after},
    process::{Guarded, write_script},
    tools::Tool,
};
use serde_json::Value;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Commands that are not run, and why.
const LEFT_OUT: [(&str, &str); 2] =
    [("make demo", "CI runs it apart"), ("make test", "this is a part of it")];
/// Parts that readers replace, and the replacements.
const REPLACED: [(&str, &str); 4] = [
    ("-n NAMESPACE patch cronjob NAME", "-n docs-old patch cronjob old"),
    ("-n NAMESPACE patch", "-n docs-old patch"),
    ("clusterexternalsecret NAME", "clusterexternalsecret docs"),
    ("port-forward POD", "port-forward deployment/ecr-refresher"),
];
/// How long a Pod may take to be reachable.
const PATIENCE: Duration = Duration::from_mins(1);
/// The docs' port of a Pod, and of the reader's machine.
const PORT: &str = "8080";

/// Somebody who reads the docs and types what they say.
pub(crate) struct Reader {
    folder: tempfile::TempDir,
    pub(crate) environment: BTreeMap<String, String>,
    /// The last command that makes a Pod reachable, and the port of this machine for [`PORT`].
    forwarding: Option<(Guarded, String)>,
    /// The commands that have not run yet.
    commands: Vec<DocCommand>,
}

impl Reader {
    /// A reader in a folder with the files that the docs name.
    pub(crate) fn new(control_plane: &ControlPlane) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let bin = folder.path().join("bin");
        fs::create_dir(&bin)?;
        symlink(program()?, bin.join("ecr-refresher"))?;
        for tool in [Tool::Kubectl, Tool::Helm] {
            symlink(tool.path()?, bin.join(tool.name()))?;
        }
        // It compares a command with its model of AWS, and sends nothing.
        let aws = Tool::AwsCli.path()?;
        let compare = format!("exec {} \"$@\" --generate-cli-skeleton output", aws.display());
        write_script(&bin.join("aws"), &compare)?;
        symlink(Path::new(REPOSITORY).join("helm"), folder.path().join("helm"))?;
        fs::copy(control_plane.admin_kubeconfig(), folder.path().join("kubeconfig"))?;
        let path = std::env::var("PATH").unwrap_or_default();
        let home = folder.path().display().to_string();
        let environment = [
            ("PATH", format!("{}:{path}", bin.display())),
            ("HOME", home.clone()),
            ("KUBECONFIG", format!("{home}/kubeconfig")),
            ("AWS_REGION", "eu-west-1".to_owned()),
            // The one that the AWS CLI reads.
            ("AWS_DEFAULT_REGION", "eu-west-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "id".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "example".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
        let mut reader = Self { folder, environment, forwarding: None, commands: Vec::new() };
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

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.folder.path().join(name), text)?)
    }

    /// Runs the remaining commands of a page that contain `part`.
    pub(crate) async fn run(&mut self, page: &str, part: &str) -> Result<()> {
        self.run_those(|it| it.place.starts_with(page) && it.text.contains(part)).await
    }

    /// Runs the remaining commands of a page that have an output there.
    pub(crate) async fn run_with_output(&mut self, page: &str) -> Result<()> {
        self.run_those(|it| it.place.starts_with(page) && it.output.is_some()).await
    }

    async fn run_those(&mut self, are_meant: impl Fn(&DocCommand) -> bool) -> Result<()> {
        let (meant, rest) = std::mem::take(&mut self.commands).into_iter().partition(are_meant);
        self.commands = rest;
        let meant: Vec<DocCommand> = meant;
        ensure!(!meant.is_empty(), "there is no such command");
        for command in meant {
            let DocCommand { place, text, output } = &command;
            if text.contains("port-forward") {
                self.forward(text).await.with_context(|| format!("{place}: {text}"))?;
                continue;
            }
            let printed = self.shell(text).with_context(|| format!("{place}: {text}"))?;
            let Some(output) = output else { continue };
            let (expected, seen) = (normal(output), normal(&printed));
            ensure!(seen == expected, "{place}: {text}\nprints:\n{seen}\nand not:\n{expected}");
        }
        Ok(())
    }

    /// Leaves a command running that makes a Pod reachable, until the next such command.
    async fn forward(&mut self, command: &str) -> Result<()> {
        // kubectl finds a free port.
        let command = command.replace(PORT, &format!(":{PORT}"));
        let log = self.folder.path().join("port-forward.log");
        // The one of the last command: a log is appended to.
        if log.exists() {
            fs::remove_file(&log)?;
        }
        let mut forwarding = Guarded::spawn("port-forward", &self.bash(&command), &log)?;
        let port = forwarding.logs("the Pod to be reachable", PATIENCE, forwarded_port).await?;
        self.forwarding = Some((forwarding, port));
        let answer =
            self.shell(&format!("curl --silent --show-error --fail http://127.0.0.1:{PORT}/"))?;
        ensure!(answer.contains("<html"), "it is no page: {answer}");
        Ok(())
    }

    fn bash(&self, command: &str) -> Command {
        let text =
            REPLACED.iter().fold(command.to_owned(), |text, (one, other)| text.replace(one, other));
        let mut bash = Command::new("bash");
        bash.args(["-euc", &format!("exec 2>&1; {text}")]).current_dir(&self.folder);
        bash.env_clear().envs(&self.environment);
        bash
    }

    /// Runs a command, and returns its output. `status` and `explain` may say that a copy fails, and
    /// `check` that a config is wrong.
    pub(crate) fn shell(&self, command: &str) -> Result<String> {
        let local = |port: &str| format!("http://127.0.0.1:{port}/");
        let port = self.forwarding.as_ref().map_or(PORT, |(_, port)| port);
        let command = command.replace(&local(PORT), &local(port));
        let ended = self.bash(&command).output()?;
        let printed = String::from_utf8_lossy(&ended.stdout).into_owned();
        let may_fail = command.starts_with("ecr-refresher check")
            || ["status", "explain"]
                .iter()
                .any(|it| command.contains(&format!("ecr-refresher {it}")));
        let is_good =
            ended.status.success() || may_fail && matches!(ended.status.code(), Some(1 | 2));
        ensure!(is_good, "{}: {printed}", ended.status);
        Ok(printed)
    }

    pub(crate) fn has_run_all(&self) -> Result<()> {
        ensure!(self.commands.is_empty(), "these were not run: {:?}", self.commands);
        Ok(())
    }
}

/// The port that kubectl says it listens on.
fn forwarded_port(log: &str) -> Result<String> {
    let (_, rest) = log.split_once("127.0.0.1:").context("it does not listen yet")?;
    let (port, _) = rest.split_once(" -> ").context("its port is not complete yet")?;
    Ok(port.to_owned())
}

pub(crate) fn page(page: &str) -> Result<String> {
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
