//! Bugs that a simulation plants, to prove that it would find them. Without the feature `planted-bugs`
//! there are none, and every place that asks for one is compiled away.

#[cfg(all(feature = "planted-bugs", not(debug_assertions)))]
compile_error!("planted bugs must not get into a release build");

macro_rules! bugs {
    ($($(#[doc = $doc:literal])+ $bug:ident,)+) => {
        /// A bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug {
            $($(#[doc = $doc])+ $bug,)+
        }

        impl Bug {
            /// Every bug.
            pub const ALL: &[Self] = &[$(Self::$bug,)+];
        }
    };
}

bugs! {
    /// A new token is read before the token cache holds it.
    TokenBeforeCache,
    /// The token cache keeps the first token.
    CacheKeepsFirstToken,
    /// Another client's change of the token cache is not repaired.
    CacheNotRepaired,
    /// A new leader uses its own tokens, without reading the token cache.
    TermWithoutCache,
    /// A registry with other settings keeps its source.
    SourceStays,
    /// A source that was removed and added again is never asked again.
    RemovedSourceForgotten,
    /// A failure of a source drops its token.
    FailureDropsToken,
    /// A failed source is asked again at once.
    NoBackoff,
    /// A token is replaced after its expiry.
    RefreshTooLate,
    /// A document does not wait for registries that have not answered.
    DocumentTooSoon,
    /// New tokens are not rendered after the first.
    RenderedOnce,
    /// Writes go on after the term has ended.
    WritesOutliveTerm,
    /// A rival's Lease is taken after a fifth of its duration.
    LeaseTakenTooSoon,
    /// The Lease is written without a precondition.
    LeaseWithoutPrecondition,
    /// A forced apply has no UID.
    ForceWithoutUid,
    /// An apply is always forced.
    AlwaysForced,
    /// Whether another client has taken over a field of a copy does not count.
    OwnedFieldsIgnored,
    /// A list removes nothing.
    ListRemovesNothing,
    /// A write that failed counts as running for ever.
    FailedWriteStaysUnderWay,
    /// A restore of etcd is not noticed.
    RestoreIgnored,
    /// Repairs of a contested copy do not slow down.
    RepairsNeverSlowDown,
    /// A copy is deleted without a grace period.
    NoGracePeriod,
    /// A foreign Secret is deleted.
    ForeignDeleted,
    /// Labels of namespaces are read once.
    LabelsReadOnce,
    /// The names of others are dropped from a ServiceAccount.
    AccountNamesDropped,
    /// A replica that does not lead shows copies in its metrics.
    FollowerShowsCopies,
    /// A token is logged.
    TokenLogged,
    /// An Event shows a token.
    TokenInEvent,
}

#[cfg(feature = "planted-bugs")]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants a bug on this thread, or takes it away.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether a bug is planted on this thread.
    #[must_use]
    pub fn is_planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted-bugs")]
pub use switch::{is_planted, plant};

/// Whether a bug is planted: never.
#[cfg(not(feature = "planted-bugs"))]
#[must_use]
pub const fn is_planted(_: Bug) -> bool {
    false
}
