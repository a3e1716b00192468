//! The events of watches.

/// An event of a watch. A list comes first, and again whenever the watch could not be resumed. The
/// name is that of the object for namespaces, and its namespace for all others.
#[derive(Debug)]
pub enum Watched<T> {
    /// A list begins.
    ListBegun,
    /// An object of the list.
    Listed(String, T),
    /// The list is complete: objects that it did not show do not exist.
    ListEnded,
    /// An object was created or changed.
    Changed(String, T),
    /// An object was deleted; this was its last state.
    Gone(String, T),
}

impl<T> Watched<T> {
    /// The same with another value.
    pub(crate) fn map<U>(self, map: impl FnOnce(T) -> U) -> Watched<U> {
        match self {
            Self::ListBegun => Watched::ListBegun,
            Self::Listed(name, value) => Watched::Listed(name, map(value)),
            Self::ListEnded => Watched::ListEnded,
            Self::Changed(name, value) => Watched::Changed(name, map(value)),
            Self::Gone(name, value) => Watched::Gone(name, map(value)),
        }
    }
}
