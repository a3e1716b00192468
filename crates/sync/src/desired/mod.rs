//! What the config and the tokens ask for.

pub mod allow_list;
pub(crate) mod document;
pub mod manifest;
mod pattern;
pub mod settings;
