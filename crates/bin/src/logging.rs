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

use crate::{progress::AboveBar, words::nearest};

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

/// The error in a filter, and the remedy. The part that has it has no effect.
pub(crate) fn problem(filter: &str) -> Option<(String, String)> {
    if EnvFilter::try_new(filter).is_err() {
        let levels = LEVELS.join(", ");
        let help = format!("write a level ({levels}), or CRATE=LEVEL for some");
        return Some(("this is not a filter, so the log is as without it".to_owned(), help));
    }
    parts(filter).find_map(problem_of_part)
}

/// The parts of a filter; one of fields is a single part.
fn parts(filter: &str) -> impl Iterator<Item = &str> {
    let comma = if filter.contains('[') { '\0' } else { ',' };
    filter.split(comma).map(str::trim).filter(|part| !part.is_empty())
}

/// A part that is no level and no crate of the program would turn off the whole log.
fn problem_of_part(part: &str) -> Option<(String, String)> {
    let (target, level) =
        part.split_once('=').map_or((part, None), |(it, level)| (it, Some(level)));
    let name = target.split([':', '[']).next().unwrap_or_default();
    let is_level = LEVELS.iter().any(|level| part.eq_ignore_ascii_case(level));
    let is_crate = CRATES.iter().any(|known| name.starts_with(known));
    if is_level || is_crate || name != part && level.is_none() || part.parse::<u8>().is_ok() {
        return None;
    }
    if level.is_some() {
        let known = nearest(name, CRATES)?;
        return Some((format!("no crate is named `{name}`"), format!("did you mean `{known}`?")));
    }
    let help = match nearest(part, LEVELS) {
        Some(level) => format!("did you mean `{level}`?"),
        None => format!("the levels are {}", LEVELS.join(", ")),
    };
    Some((format!("`{part}` is not a level"), help))
}

/// The filter without the parts that have a problem; `None` if nothing is left.
fn effective(filter: &str) -> Option<EnvFilter> {
    let parts: Vec<_> = parts(filter).filter(|part| problem_of_part(part).is_none()).collect();
    if parts.is_empty() { None } else { EnvFilter::try_new(parts.join(",")).ok() }
}

/// Starts logging at the level that `RUST_LOG` says, or else at `info`, or `debug` if verbose. Of a panic only the place is logged: its
/// message may hold a secret that a library was given.
pub(crate) fn start(format: LogFormat, is_verbose: bool) {
    let usual = if is_verbose { VERBOSE } else { USUAL };
    let wanted = env::var(FILTER).ok().and_then(|filter| effective(&filter));
    let filter = wanted.unwrap_or_else(|| EnvFilter::new(usual)).and(filter_fn(shows_no_secret));
    let lines =
        tracing_subscriber::fmt::layer().with_writer(|| AboveBar).with_ansi(may_colour_errors());
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
        let hyphen = "no crate is named `ecr-refresher`; did you mean `ecr_refresher`?";
        assert_eq!(words("warn,ecr-refresher=debug").as_deref(), Some(hyphen));
        assert!(words("kube=loud").is_some_and(|it| it.starts_with("this is not a filter")));
        for filter in
            ["", "info", "DEBUG", "warn,kube=debug", "ecr_refresher_sync", "kube::client=off", "3"]
        {
            assert_eq!(words(filter), None, "{filter}");
        }
    }

    #[test]
    fn a_part_that_would_turn_the_log_off_has_no_effect() {
        let effective = |filter| effective(filter).map(|filter| filter.to_string());
        for filter in ["", " ", "degub", "ecr-refresher=debug", "kube=loud"] {
            assert_eq!(effective(filter), None, "{filter}");
        }
        assert_eq!(effective("warn,degub").as_deref(), Some("warn"));
        assert_eq!(effective("info,kube=off").as_deref(), Some("kube=off,info"));
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
