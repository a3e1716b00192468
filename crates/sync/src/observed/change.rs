//! What a watch shows.

/// What a watch tells. A list comes first, and again whenever the watch has lost its place.
#[derive(Debug)]
pub enum Watched<T> {
    /// A list begins: what it does not name is gone when it ends.
    ListBegun,
    /// In the list there is this object.
    Listed(String, T),
    /// The list is complete.
    ListEnded,
    /// An object was made or changed.
    Changed(String, T),
    /// An object is gone.
    Gone(String, T),
}
