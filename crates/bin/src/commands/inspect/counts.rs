//! How many copies there are of each kind.

use serde::{Serialize, Serializer};

use crate::words::plural;

/// The kinds in their order, each with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counts(Vec<(&'static str, u64)>);

impl Counts {
    /// Counts how often each of `kinds` is among `all`.
    pub(super) fn new(kinds: &[&'static str], all: impl Iterator<Item = &'static str>) -> Self {
        let mut counts: Vec<_> = kinds.iter().map(|&kind| (kind, 0)).collect();
        for one in all {
            if let Some((_, count)) = counts.iter_mut().find(|(kind, _)| *kind == one) {
                *count += 1;
            }
        }
        Self(counts)
    }

    /// A line such as `7 copies: 5 fresh, 2 missing`.
    pub(super) fn summary(&self) -> String {
        let total = self.0.iter().map(|(_, count)| count).sum();
        let copies = plural(total, "copy", "copies");
        let counts = self.0.iter().filter(|(_, count)| *count > 0);
        let counts: Vec<_> = counts.map(|(kind, count)| format!("{count} {kind}")).collect();
        if counts.is_empty() {
            format!("{copies}\n")
        } else {
            format!("{copies}: {}\n", counts.join(", "))
        }
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}
