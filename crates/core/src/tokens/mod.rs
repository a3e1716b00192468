//! Tokens: where they come from, the one store that owns them, and the entries that they make.
//!
//! ```text
//! Registry ──source──► TokenSource ──ask──► fetch (I/O) ──answer──► TokenStore ──read──► entries
//! ```

mod answer;
mod cache;
mod registry;
mod shared;
mod source;
mod state;
mod store;
#[cfg(test)]
mod tests;

pub use self::{
    answer::{Ask, Failed, Fetched, LastToken, Outcome, Reading, TokenState},
    cache::{CacheDocument, CacheError},
    registry::Registry,
    shared::SharedTokenStore,
    source::{Api, AwsSource, FileEntries, SourceKey, Token, TokenSource},
    store::TokenStore,
};
