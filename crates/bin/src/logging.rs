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

use crate::words::nearest;

/// The format of log lines.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum LogFormat {
    /// Human-readable.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Which lines there are unless `RUST_LOG` says otherwise.
const USUAL: &str = "info";
/// Those of `--verbose`.
const VERBOSE: &str = "info,ecr_refresher=debug";

/// The variable with the filter.
pub(crate) const FILTER: &str = EnvFilter::DEFAULT_ENV;
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// The beginnings of the names of the crates that log.
const CRATES: [&str; 8] =
    ["ecr_refresher", "kube", "aws", "hyper", "h2", "rustls", "tokio", "tower"];

/// The error in a filter, and the remedy.
pub(crate) fn problem(filter: &str) -> Option<(String, String)> {
    let levels = LEVELS.join(", ");
    if EnvFilter::try_new(filter).is_err() {
        let help = format!("write a level ({levels}), or CRATE=LEVEL for some");
        return Some(("this is not a filter, so the log is as without it".to_owned(), help));
    }
    let is_odd = |word: &&str| {
        let is_level = LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level));
        let is_crate = CRATES.iter().any(|name| word.starts_with(name));
        !(word.is_empty() || word.contains(['=', '[', ':']) || is_level || is_crate)
            && word.parse::<u8>().is_err()
    };
    let word = filter.split(',').map(str::trim).find(is_odd)?;
    let help = match nearest(word, LEVELS) {
        Some(level) => format!("did you mean `{level}`?"),
        None => format!("the levels are {levels}"),
    };
    Some((format!("`{word}` is not a level"), help))
}

/// Starts logging at the level that `RUST_LOG` says, or else at `info`, or `debug` if verbose. Of a panic only the place is logged: its
/// message may hold a secret that a library was given.
pub(crate) fn start(format: LogFormat, is_verbose: bool) {
    let usual = if is_verbose { VERBOSE } else { USUAL };
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let filter = wanted.and(filter_fn(shows_no_secret));
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(may_colour_errors());
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

/// Whether there may be colours on standard error.
pub(crate) fn may_colour_errors() -> bool {
    stderr().is_terminal() && environment_allows_colours()
}

/// Whether the environment of the process allows colours.
pub(crate) fn environment_allows_colours() -> bool {
    may_colour(|name| env::var(name).ok())
}

/// Whether the environment allows colours, by the conventions of no-color.org and of terminals without any.
fn may_colour(variable: impl Fn(&str) -> Option<String>) -> bool {
    variable("NO_COLOR").is_none_or(|value| value.is_empty())
        && variable("TERM").is_none_or(|value| value != "dumb")
}

/// As [`start`], but only if verbose or if `RUST_LOG` is set: for commands that print only their result.
pub(crate) fn start_if_asked(is_verbose: bool) {
    if is_verbose || env::var_os(FILTER).is_some() {
        start(LogFormat::Text, is_verbose);
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
    fn a_filter_without_a_level_is_noticed() {
        let words = |filter| problem(filter).map(|(message, help)| format!("{message}; {help}"));
        let typo = "`degub` is not a level; did you mean `debug`?";
        assert_eq!(words("degub").as_deref(), Some(typo));
        assert!(words("verbose").is_some_and(|it| it.contains("the levels are off,")));
        assert!(words("kube=loud").is_some_and(|it| it.starts_with("this is not a filter")));
        for filter in
            ["", "info", "DEBUG", "warn,kube=debug", "ecr_refresher_sync", "kube::client=off", "3"]
        {
            assert_eq!(words(filter), None, "{filter}");
        }
    }

    #[test]
    fn no_color_and_a_dumb_terminal_turn_colours_off() {
        let may = |name: &str, value: &str| {
            may_colour(|variable| (variable == name).then(|| value.to_owned()))
        };
        assert!(may("TERM", "xterm-256color") && may("NO_COLOR", ""));
        assert!(!may("TERM", "dumb") && !may("NO_COLOR", "1"));
    }
}
