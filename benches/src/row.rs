//! The rows of the table: what must be reached, and what was.

use serde::Serialize;

/// What must be reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Bound {
    /// At most this.
    AtMost(f64),
    /// This, and nothing else.
    Exactly(f64),
    /// Whatever comes: it is there to be read.
    None,
}

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Unit {
    /// How often.
    Count,
    /// How many times the floor.
    Ratio,
    Seconds,
    Milliseconds,
    /// 1,048,576 bytes.
    Mebibytes,
    Bytes,
    /// Of one core.
    Percent,
    /// In each second.
    Rate,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    /// The number of namespaces; `None` where it does not matter.
    pub(crate) namespaces: Option<usize>,
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) bound: Bound,
    pub(crate) measured: f64,
    /// What it is made of.
    pub(crate) detail: String,
}

impl Row {
    /// Whether the bound is kept.
    pub(crate) fn passes(&self) -> bool {
        match self.bound {
            Bound::AtMost(most) => self.measured <= most,
            // Counts are whole numbers: no two of them are nearly the same.
            Bound::Exactly(wanted) => (self.measured - wanted).abs() < 0.5,
            Bound::None => true,
        }
    }

    /// The bound as text.
    pub(crate) fn bound_text(&self) -> String {
        match self.bound {
            Bound::AtMost(most) => format!("≤ {}", self.unit.text(most)),
            Bound::Exactly(wanted) => self.unit.text(wanted),
            Bound::None => String::new(),
        }
    }

    /// What was measured as text.
    pub(crate) fn measured_text(&self) -> String {
        self.unit.text(self.measured)
    }
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::Count => format!("{value:.0}"),
            Self::Ratio => format!("{value:.2} ×"),
            Self::Seconds => format!("{value:.2} s"),
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::Mebibytes => format!("{value:.1} MiB"),
            Self::Bytes => format!("{value:.0} bytes"),
            Self::Rate => format!("{value:.1} /s"),
            Self::Percent => format!("{value:.3} %"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(unit: Unit, bound: Bound, measured: f64) -> Row {
        let (namespaces, what, detail) = (None, String::new(), String::new());
        Row { namespaces, what, unit, bound, measured, detail }
    }

    #[test]
    fn a_bound_may_be_reached_and_not_exceeded() {
        let passes = |measured| row(Unit::Ratio, Bound::AtMost(1.1), measured).passes();
        assert!(passes(1.1) && passes(0.0));
        assert!(!passes(1.11) && !passes(f64::NAN));
    }

    #[test]
    fn a_count_is_exact() {
        let passes = |measured| row(Unit::Count, Bound::Exactly(1000.0), measured).passes();
        assert!(passes(1000.0));
        assert!(!passes(999.0) && !passes(1001.0));
    }

    #[test]
    fn values_have_their_units() {
        let row = row(Unit::Mebibytes, Bound::AtMost(16.0), 15.25);
        assert_eq!(
            (row.bound_text(), row.measured_text()),
            ("≤ 16.0 MiB".into(), "15.2 MiB".into())
        );
    }
}
