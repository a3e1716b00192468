//! The commands and their flags.

mod examples;
mod values;

use std::{
    env,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use ecr_refresher_sync::release::Release;

use self::values::{parse_name, parse_namespace, parse_release, parse_state, parse_time};
use crate::{home::Home, logging::LogFormat};

/// The environment variables of the chart's Pod that name its release.
const NAMESPACE: &str = "POD_NAMESPACE";
const NAME: &str = "ECR_REFRESHER_NAME";
const DEFAULT_NAME: &str = "ecr-refresher";

// Headings of the help.
const CLUSTER: &str = "Cluster";
const RELEASE: &str = "Release";
const OUTPUT: &str = "Output";

/// The version, and the commit if the build was told it.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    option_env!("ECR_REFRESHER_COMMIT")
        .filter(|commit| !commit.is_empty())
        .map_or_else(|| version.to_owned(), |commit| format!("{version} (commit {commit})"))
});

/// Keeps a fresh Amazon ECR pull Secret in every namespace that an allow-list names.
#[derive(Debug, Parser)]
#[command(version = VERSION.as_str(), arg_required_else_help = true, after_help = examples::ALL)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// The command line of the process. Ends the process if it is invalid or asks for help.
    pub(crate) fn of_process() -> Self {
        let program = env::args_os().next().unwrap_or_default();
        let matches = Self::called(Path::new(&program)).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// The commands of the program with this name: as a plugin, `kubectl` is what users type.
    fn called(program: &Path) -> clap::Command {
        let is_plugin = program.file_stem().is_some_and(|name| name == "kubectl-ecr_refresher");
        let command = Self::command();
        if is_plugin { command.bin_name("kubectl ecr-refresher") } else { command }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon, or one pass with `--once`.
    #[command(after_help = examples::RUN)]
    Run(RunArgs),
    /// Check the config file; with `--cluster`, also the permissions in the cluster and the registries.
    #[command(after_help = examples::CHECK)]
    Check(CheckArgs),
    /// Show every copy with its state and time left; exit code 1 if any is missing, expired or in
    /// conflict.
    #[command(after_help = examples::STATUS)]
    Status(StatusArgs),
    /// Show what a config would write, skip and prune in the cluster, without writing.
    #[command(after_help = examples::PLAN)]
    Plan(PlanArgs),
    /// Explain why a namespace has its copies, or none; exit code 1 if any copy is not up to date.
    #[command(after_help = examples::EXPLAIN)]
    Explain(ExplainArgs),
    /// Print the JSON Schema of the config file, for editors.
    Schema,
    /// Print the completion script of a shell.
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Write the man pages of all commands to a folder.
    #[command(after_help = examples::MAN_PAGES)]
    ManPages(ManPagesArgs),
}

/// Where the config file is by default.
pub(crate) const DEFAULT_CONFIG: &str = "/etc/ecr-refresher/config.yaml";
/// The environment variable that names the config file.
const CONFIG: &str = "ECR_REFRESHER_CONFIG";

/// The config.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The config file; `-` for standard input (default: `$ECR_REFRESHER_CONFIG`, then
    /// /etc/ecr-refresher/config.yaml).
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The same with a name.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

impl ConfigArgs {
    /// The file; by default, where the chart mounts it.
    pub(crate) fn path(&self) -> PathBuf {
        self.named().unwrap_or_else(|| DEFAULT_CONFIG.into())
    }

    /// The file that is asked for, or that is where the chart mounts it.
    pub(crate) fn existing(&self) -> Option<PathBuf> {
        self.named().or_else(|| Some(DEFAULT_CONFIG.into()).filter(|file: &PathBuf| file.exists()))
    }

    fn named(&self) -> Option<PathBuf> {
        let from_environment = || env::var_os(CONFIG).map(PathBuf::from);
        self.file.clone().or_else(|| self.config.clone()).or_else(from_environment)
    }
}

/// The log.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Log at `debug`, unless `RUST_LOG` has a filter.
    #[arg(short, long, help_heading = OUTPUT)]
    pub(crate) verbose: bool,
}

/// The cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = CLUSTER)]
pub(crate) struct ClusterArgs {
    /// Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config, then the Pod's ServiceAccount).
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig (default: the current one).
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
}

/// The daemon's own objects.
#[derive(Debug, Args)]
#[command(next_help_heading = RELEASE)]
pub(crate) struct HomeArgs {
    /// Home namespace, with the daemon's own objects (default: that of the context or Pod).
    #[arg(long, value_name = "NAMESPACE", env = NAMESPACE, value_parser = parse_namespace)]
    pub(crate) namespace: Option<String>,
    /// Prefix of the names of the daemon's own objects.
    #[arg(long, value_name = "NAME", env = NAME, default_value = DEFAULT_NAME, value_parser = parse_name)]
    pub(crate) name: String,
}

impl HomeArgs {
    /// The home in this namespace, unless the arguments name one.
    pub(crate) fn home(&self, default_namespace: &str) -> Home {
        let namespace = self.namespace.as_deref().unwrap_or(default_namespace).to_owned();
        Home { namespace, name: self.name.clone() }
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// Log format. `RUST_LOG` sets the filter (default `info`).
    #[arg(long, value_enum, default_value_t, help_heading = OUTPUT)]
    pub(crate) log_format: LogFormat,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) once: OnceArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "One pass")]
pub(crate) struct OnceArgs {
    /// Run one pass and exit, as a `CronJob` does; exit code 1 if any copy is not up to date.
    #[arg(long)]
    pub(crate) once: bool,
    /// Time limit of the pass, such as `90s`.
    #[arg(long, value_name = "TIME", requires = "once", default_value = "5m", value_parser = parse_time)]
    pub(crate) timeout: Duration,
    /// Output format of the summary.
    #[arg(short, long, value_enum, requires = "once", default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Also check the permissions in the cluster, and get credentials of each registry, which are discarded.
    #[arg(long = "cluster")]
    pub(crate) with_cluster: bool,
    /// Check the permissions of this user, such as `system:serviceaccount:ecr-refresher:ecr-refresher`.
    #[arg(long = "as", value_name = "USER", requires = "with_cluster")]
    pub(crate) user: Option<String>,
    /// Check the permissions of `run --once` instead of those of the daemon.
    #[arg(long, requires = "with_cluster")]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t, help_heading = OUTPUT)]
    pub(crate) output: Output,
}

/// The arguments of the commands that only read.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Release whose copies are ours (default: `ecr-refresher` in the namespace of the context, or that of
    /// the Pod).
    #[arg(
        long,
        value_name = "NAMESPACE/NAME",
        value_parser = parse_release,
        help_heading = RELEASE
    )]
    pub(crate) release: Option<Release>,
    /// Show it again whenever it changes, until Ctrl-C.
    #[arg(short, long, help_heading = OUTPUT)]
    pub(crate) watch: bool,
}

impl InspectArgs {
    /// The release that is asked for; in a Pod of the chart, that of the Pod.
    pub(crate) fn release(&self, default_namespace: &str) -> Release {
        let or =
            |variable, default: &str| env::var(variable).unwrap_or_else(|_| default.to_owned());
        self.release.clone().unwrap_or_else(|| {
            Release::new(&or(NAMESPACE, default_namespace), &or(NAME, DEFAULT_NAME))
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) inspect: InspectArgs,
    /// Show only copies that are missing, expired or in conflict; all are counted.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) failing: bool,
    /// Show only copies in these states, such as `missing,expired`; all are counted.
    #[arg(
        long,
        value_name = "STATE",
        value_delimiter = ',',
        value_parser = parse_state,
        help_heading = OUTPUT
    )]
    pub(crate) state: Vec<String>,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
}

/// Which copies are shown, and how.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = OUTPUT)]
pub(crate) struct ShowArgs {
    /// Show and count only the copies in this namespace.
    #[arg(short, long, value_name = "NAMESPACE", value_parser = parse_namespace)]
    pub(crate) namespace: Option<String>,
    /// Show and count only the copies of this pull Secret.
    #[arg(long, value_name = "NAME")]
    pub(crate) secret: Option<String>,
    /// Order of the copies (default: what fails or changes first).
    #[arg(long, value_enum)]
    pub(crate) sort_by: Option<SortBy>,
    /// Leave out the headings and the sum of a table.
    #[arg(long)]
    pub(crate) no_headers: bool,
    /// When rows are coloured; `auto` is on a terminal, unless `NO_COLOR` is set.
    #[arg(long, value_name = "WHEN", default_value_t)]
    pub(crate) color: ColorChoice,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: TableOutput,
}

/// An order of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SortBy {
    /// By namespace, then pull Secret.
    Namespace,
    /// By pull Secret, then namespace.
    Secret,
    /// By the time left; copies that do not expire last.
    Left,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) inspect: InspectArgs,
    /// Also show each copy that is kept.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The namespace.
    #[arg(value_name = "NAMESPACE", value_parser = parse_namespace)]
    pub(crate) namespace: String,
    #[command(flatten)]
    pub(crate) inspect: InspectArgs,
    /// Explain only this pull Secret.
    #[arg(long, value_name = "NAME", help_heading = OUTPUT)]
    pub(crate) secret: Option<String>,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t, help_heading = OUTPUT)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManPagesArgs {
    /// The folder, such as `~/.local/share/man/man1`. It is created if need be.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

/// The output format of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableOutput {
    /// Human-readable.
    #[default]
    Table,
    /// The same with more columns.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// One `NAMESPACE/NAME` per line.
    Name,
}

/// The output format of a result.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Output {
    /// Human-readable.
    #[default]
    Text,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

#[cfg(test)]
mod tests;
