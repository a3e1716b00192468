//! Log lines: as text or JSON, on standard error.

use std::{
    env,
    io::{IsTerminal, stderr},
    panic,
};

use clap::ValueEnum;
use tracing::{Level, Metadata, error};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// The format of log lines.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum LogFormat {
    /// Human-readable.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Which lines there are unless `RUST_LOG` says otherwise. The Kubernetes client has a line of its own for
/// every request that fails, which our own lines report.
const USUAL: &str = "info,kube_client::client::builder=off";

/// Starts logging at the level that `RUST_LOG` says, or else at `info`. Of a panic only the place is logged: its
/// message may hold a secret that a library was given.
pub(crate) fn start(format: LogFormat) {
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(USUAL));
    let filter = wanted.and(filter_fn(shows_no_secret));
    let colours = stderr().is_terminal() && may_colour(|name| env::var(name).ok());
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(colours);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(place, "a panic");
    }));
}

/// Whether the environment allows colours, by the conventions of no-color.org and of terminals without any.
fn may_colour(variable: impl Fn(&str) -> Option<String>) -> bool {
    variable("NO_COLOR").is_none_or(|value| value.is_empty())
        && variable("TERM").is_none_or(|value| value != "dumb")
}

/// As [`start`], but only if `RUST_LOG` is set: for commands that print only their result.
pub(crate) fn start_if_asked() {
    if env::var_os(EnvFilter::DEFAULT_ENV).is_some() {
        start(LogFormat::Text);
    }
}

/// At TRACE the AWS SDK logs whole replies, tokens included, and HTTP libraries log what goes over the
/// wire: whatever the user asks for, that level is not for them.
#[must_use]
pub fn shows_no_secret(line: &Metadata<'_>) -> bool {
    *line.level() < Level::TRACE || line.target().starts_with("ecr_refresher")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_and_a_dumb_terminal_turn_colours_off() {
        let may = |name: &str, value: &str| {
            may_colour(|variable| (variable == name).then(|| value.to_owned()))
        };
        assert!(may("TERM", "xterm-256color") && may("NO_COLOR", ""));
        assert!(!may("TERM", "dumb") && !may("NO_COLOR", "1"));
    }
}
