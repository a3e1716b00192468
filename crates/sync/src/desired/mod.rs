//! The desired state, by the config and the tokens.

pub mod allow_list;
pub(crate) mod document;
pub mod manifest;
mod pattern;
pub mod settings;
pub mod size;
