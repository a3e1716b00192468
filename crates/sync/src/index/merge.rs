//! Merges lists and watch events into the records of the namespaces.

use super::namespaces::{Entry, Namespaces};
use crate::observed::{
    change::Watched,
    tracked::{Change, Lists},
};

/// The state of one object.
pub(super) trait Record {
    type Value;

    fn merge(&mut self, change: Change<Self::Value>);
}

/// The namespaces with records that may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touched {
    None,
    One(u32),
    All,
}

/// Merges what the watch of one collection shows into its `record` in each namespace.
pub(super) fn merge<R: Record>(
    lists: &mut Lists,
    namespaces: &mut Namespaces,
    watched: Watched<R::Value>,
    record: impl Fn(&mut Entry) -> &mut R,
) -> Touched {
    let (name, change) = match watched {
        Watched::ListBegun => {
            lists.begin();
            return Touched::None;
        }
        Watched::ListEnded => {
            lists.end();
            let records = namespaces.iter_mut().map(record);
            records.for_each(|record| record.merge(Change::ListEnded(*lists)));
            return Touched::All;
        }
        Watched::Listed(name, value) => (name, Change::Listed(value, *lists)),
        Watched::Changed(name, value) => (name, Change::Changed(value)),
        Watched::Gone(name, value) => (name, Change::Gone(value)),
    };
    let id = namespaces.intern(&name);
    if let Some(entry) = namespaces.get_mut(id) {
        record(entry).merge(change);
    }
    Touched::One(id)
}
