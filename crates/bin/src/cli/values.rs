//! The values of flags.

use std::time::Duration;

use ecr_refresher_sync::{
    release::Release,
    report::{CopyState, UNWANTED},
};
use jiff::SignedDuration;
use strum::VariantArray;

use crate::{
    config::{is_namespace, is_subdomain},
    home::LONGEST_NAME,
};

pub(super) fn parse_time(text: &str) -> Result<Duration, String> {
    let time = text.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    time.ok_or_else(|| "write it as `90s` or `5m`".to_owned())
}

pub(super) fn parse_release(text: &str) -> Result<Release, String> {
    Release::parse(text).ok_or_else(|| "write it as `NAMESPACE/NAME`".to_owned())
}

pub(super) fn parse_name(text: &str) -> Result<String, String> {
    let is_name = is_subdomain(text) && text.len() <= LONGEST_NAME;
    is_name.then(|| text.to_owned()).ok_or_else(|| {
        format!("a name has lower-case letters, digits, `-` and `.`, at most {LONGEST_NAME}")
    })
}

pub(super) fn parse_state(text: &str) -> Result<String, String> {
    let known = CopyState::VARIANTS.iter().map(|state| state.as_str()).chain([UNWANTED]);
    let known: Vec<_> = known.filter(|state| *state != CopyState::Failed.as_str()).collect();
    let help = || format!("the states are {}", known.join(", "));
    known.contains(&text).then(|| text.to_owned()).ok_or_else(help)
}

pub(super) fn parse_namespace(text: &str) -> Result<String, String> {
    let named = is_namespace(text).then(|| text.to_owned());
    named.ok_or_else(|| "the name of a namespace has lower-case letters, digits and `-`".to_owned())
}
