//! The daemon's own counts, out of the text of its metrics.

use std::collections::BTreeSet;

use ecr_refresher_tests::metrics;

/// What the header of the table says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) fresh: u64,
    pub(crate) stale: u64,
    missing: u64,
    expired: u64,
    pub(crate) conflict: u64,
    failed: u64,
    pub(crate) writes: u64,
    pub(crate) failed_writes: u64,
    pub(crate) aws_calls: u64,
    pub(crate) failed_aws_calls: u64,
    /// Whether it is this replica that calls AWS and writes. One that does not knows no copies.
    pub(crate) leads: bool,
    /// The namespaces that are on the list.
    pub(crate) listed: BTreeSet<String>,
}

impl Counts {
    /// Reads a page of metrics; what is not there is 0.
    pub(crate) fn of(metrics: &str) -> Self {
        let metrics = Metrics(metrics);
        let copies = |state| metrics.sum("ecr_refresher_copies", &[("state", state)]);
        let writes = |result| metrics.sum("ecr_refresher_copy_writes_total", &[("result", result)]);
        let requests = |labels: &[_]| metrics.sum("ecr_refresher_token_requests_total", labels);
        Self {
            fresh: copies("fresh"),
            stale: copies("stale"),
            missing: copies("missing"),
            expired: copies("expired"),
            conflict: copies("conflict"),
            failed: copies("failed"),
            writes: writes("success") + writes("failure"),
            failed_writes: writes("failure"),
            aws_calls: requests(&[]),
            failed_aws_calls: requests(&[("result", "failure")]),
            leads: metrics.value("ecr_refresher_leader") == Some(1),
            // There is a series for each, as the demo's config has `metrics.perNamespace: all`.
            listed: metrics
                .series("ecr_refresher_copy_expiration_timestamp_seconds")
                .filter_map(|(labels, _)| Some(label(labels, "namespace")?.to_owned()))
                .collect(),
        }
    }

    /// How many copies are not as they should be, so that Pods may be unable to pull.
    pub(crate) fn failing(&self) -> u64 {
        self.missing + self.expired + self.conflict + self.failed
    }
}

/// A page in Prometheus' text format.
struct Metrics<'a>(&'a str);

impl<'a> Metrics<'a> {
    /// The labels and the value of each series of that name.
    fn series(&self, name: &str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.lines().filter_map(move |line| {
            let (labels, value) = line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} ")?;
            Some((labels, value.trim().parse().ok()?))
        })
    }

    /// The value of a series without labels.
    fn value(&self, name: &str) -> Option<u64> {
        metrics::value(self.0, name).ok()
    }

    /// The sum of all series of that name that have these labels.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    fn sum(&self, name: &str, wanted: &[(&str, &str)]) -> u64 {
        let has = |labels| wanted.iter().all(|(key, value)| label(labels, key) == Some(value));
        let found = self.series(name).filter(|(labels, _)| has(labels));
        found.map(|(_, value)| value as u64).sum()
    }
}

/// The value of a label. None of those that the demo asks for has a quote in it.
fn label<'a>(labels: &'a str, key: &str) -> Option<&'a str> {
    labels
        .split(',')
        .find_map(|label| label.strip_prefix(key)?.strip_prefix("=\"")?.strip_suffix('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"
# HELP ecr_refresher_copies Copies by state.
ecr_refresher_copies{secret="a",state="fresh"} 3
ecr_refresher_copies{secret="b",state="fresh"} 1
ecr_refresher_copies{secret="a",state="missing"} 2
ecr_refresher_copies{secret="a",state="stale"} 0
ecr_refresher_copy_writes_total{reason="",result="success",secret="a"} 7
ecr_refresher_copy_writes_total{reason="conflict",result="failure",secret="a"} 1
ecr_refresher_copy_expiration_timestamp_seconds{namespace="team-a",secret="a"} 1.7e9
ecr_refresher_leader 1
ecr_refresher_token_requests_total{reason="",registry="main",result="success"} 2
ecr_refresher_token_requests_total{reason="throttled",registry="main",result="failure"} 3
"#;

    #[test]
    fn counts_are_sums_over_the_selected_series() {
        let counts = Counts::of(PAGE);
        assert_eq!((counts.fresh, counts.stale, counts.failing()), (4, 0, 2));
        assert_eq!((counts.writes, counts.failed_writes), (8, 1));
        assert_eq!((counts.aws_calls, counts.failed_aws_calls, counts.leads), (5, 3, true));
        assert_eq!(counts.listed, BTreeSet::from(["team-a".to_owned()]));
    }

    #[test]
    fn a_page_without_them_counts_nothing() {
        assert_eq!(Counts::of("ecr_refresher_copies_other{a=\"b\"} 1\n"), Counts::default());
    }
}
