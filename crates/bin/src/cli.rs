//! The commands and their flags.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::SignedDuration;

use crate::{
    check, completions, config::is_namespace, inspect, logging::LogFormat, once, run, schema,
};

/// Something failed.
const FAILED: u8 = 1;
/// The command line or the config is wrong.
const USAGE: u8 = 2;

/// Keeps a fresh Amazon ECR pull Secret in every namespace that an allow-list names.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon, or one pass with `--once`.
    Run(RunArgs),
    /// Check the config file; with `--cluster` also the rights in the cluster and at AWS.
    Check(CheckArgs),
    /// Show every copy with its state and the time it has left; exit code 1 when one is missing,
    /// expired or in conflict.
    Status(StatusArgs),
    /// Show what a config would write, skip and prune in the cluster, and write nothing.
    Plan(PlanArgs),
    /// Say why a namespace has its copies or has none; exit code 1 when one is not as it is to be.
    Explain(ExplainArgs),
    /// Print the JSON Schema of the config file, for editors.
    Schema,
    /// Print a script that completes the command line in a shell.
    Completions(CompletionsArgs),
}

/// Where the config is.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The config file.
    #[arg(
        long,
        value_name = "FILE",
        env = "ECR_REFRESHER_CONFIG",
        default_value = "/etc/ecr-refresher/config.yaml"
    )]
    pub(crate) config: PathBuf,
}

/// Which cluster to talk to.
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// The kubeconfig file; without it $KUBECONFIG, then ~/.kube/config, then the Pod's own account.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig; without it, the current one.
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
}

/// Where the daemon's own objects are.
#[derive(Debug, Args)]
pub(crate) struct HomeArgs {
    /// The home namespace, with the daemon's own objects; without it, that of the context or Pod.
    #[arg(long, value_name = "NAMESPACE", env = "POD_NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// What the names of the daemon's own objects begin with.
    #[arg(long, value_name = "NAME", env = "ECR_REFRESHER_NAME", default_value = "ecr-refresher")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// How log lines look; the variable `RUST_LOG` says which there are, and `info` is usual.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
    #[command(flatten)]
    pub(crate) once: OnceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OnceArgs {
    /// Do one pass and end, as a `CronJob` does: exit code 1 when a copy is not as it is to be.
    #[arg(long)]
    pub(crate) once: bool,
    /// How long the pass may take, such as `90s`.
    #[arg(long, value_name = "TIME", requires = "once", default_value = "5m", value_parser = parse_time)]
    pub(crate) timeout: Duration,
    /// How the summary of the pass looks.
    #[arg(short, long, value_enum, requires = "once", default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Ask the API server for the rights that the config needs, and AWS who is asking.
    #[arg(long = "cluster")]
    pub(crate) with_cluster: bool,
    /// Ask for the rights of `run --once`, and not for those of the daemon.
    #[arg(long, requires = "with_cluster")]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// How the result looks.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// What the commands look at that only look.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) inspect: InspectArgs,
    /// Show only the copies that are missing, expired or in conflict; all are counted.
    #[arg(long)]
    pub(crate) failing: bool,
    /// How the result looks.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: TableOutput,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) inspect: InspectArgs,
    /// Show also each copy that is kept, and not only how many there are.
    #[arg(long)]
    pub(crate) all: bool,
    /// How the result looks.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: TableOutput,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The namespace.
    #[arg(value_name = "NAMESPACE", value_parser = parse_namespace)]
    pub(crate) namespace: String,
    #[command(flatten)]
    pub(crate) inspect: InspectArgs,
    /// How the result looks.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// How a result with many rows looks.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum TableOutput {
    /// For people.
    #[default]
    Table,
    /// For scripts.
    Json,
}

/// How a result looks.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// For scripts.
    Json,
}

/// Reads the command line; ends the process with exit code 2 when it is wrong.
pub(crate) fn parse() -> Cli {
    Cli::parse()
}

impl Cli {
    /// Does what the command line asks for.
    pub(crate) fn execute(self) -> ExitCode {
        let result = match self.command {
            Command::Run(args) if args.once.once => once::execute(&args),
            Command::Run(args) => run::execute(&args),
            Command::Check(args) => check::execute(&args),
            Command::Status(args) => inspect::status(&args),
            Command::Plan(args) => inspect::plan(&args),
            Command::Explain(args) => inspect::explain(&args),
            Command::Schema => schema::execute(),
            Command::Completions(args) => completions::execute(&args),
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(Failure::Told) => ExitCode::from(FAILED),
            Err(Failure::Usage(message)) => fail(USAGE, &message),
            Err(Failure::Other(error)) => fail(FAILED, &format!("error: {error:#}")),
        }
    }
}

/// Why a command failed, which decides on the exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The config is wrong. An empty message has been shown already.
    Usage(String),
    /// What failed has been shown already.
    Told,
    /// Anything else.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let time = text.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    time.ok_or_else(|| "write it as `90s` or `5m`".to_owned())
}

fn parse_namespace(text: &str) -> Result<String, String> {
    let named = is_namespace(text).then(|| text.to_owned());
    named.ok_or_else(|| "a namespace has a name of lower-case letters, digits and `-`".to_owned())
}

fn fail(code: u8, message: &str) -> ExitCode {
    if !message.is_empty() {
        eprintln!("{message}");
    }
    ExitCode::from(code)
}
