//! The series of single copies. There may be one for each namespace of a large cluster, so they are
//! written straight from a report: a registry would hold each of them several times over.

use std::io::{self, Write};

use ecr_refresher_core::clock::unix_seconds;

use crate::Report;

const NAME: &str = "ecr_refresher_copy_expiration_timestamp_seconds";
const HELP: &str = "When a copy expires, as a Unix time; 0 where there is no copy of ours. For which \
                    copies, `metrics.perNamespace` says.";

/// Appends the expiry of each copy in the report to `text`, in Prometheus' text format.
///
/// # Errors
/// Those of `text`.
pub fn write_copy_series(report: &Report, text: &mut impl Write) -> io::Result<()> {
    if report.secrets.iter().all(|secret| secret.copies.is_empty()) {
        return Ok(());
    }
    writeln!(text, "# HELP {NAME} {HELP}\n# TYPE {NAME} gauge")?;
    for secret in &report.secrets {
        for copy in &secret.copies {
            // Neither name can hold what would have to be escaped.
            let (namespace, name) = (&copy.namespace, &secret.name);
            let expires_at = copy.expires_at.map_or(0.0, unix_seconds);
            writeln!(text, "{NAME}{{namespace=\"{namespace}\",secret=\"{name}\"}} {expires_at}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{CopyState, report::CopyReport, report::SecretReport};

    fn report(copies: Vec<CopyReport>) -> Report {
        let secret = SecretReport {
            name: "ecr-pull".to_owned(),
            counts: [0; CopyState::ALL.len()],
            earliest_expiration: None,
            patterns: Vec::new(),
            copies,
        };
        Report { secrets: vec![secret], ..Report::default() }
    }

    fn text(report: &Report) -> String {
        let mut text = Vec::new();
        write_copy_series(report, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn each_copy_has_a_series_and_one_that_is_not_there_is_zero() {
        let copy = |namespace: &str, expires_at| CopyReport {
            namespace: namespace.into(),
            state: CopyState::Missing,
            expires_at,
            setback: None,
        };
        let at = Timestamp::from_second(1_785_000_000).unwrap();
        let text = text(&report(vec![copy("team-a", Some(at)), copy("team-b", None)]));
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                format!("# TYPE {NAME} gauge"),
                format!("{NAME}{{namespace=\"team-a\",secret=\"ecr-pull\"}} 1785000000"),
                format!("{NAME}{{namespace=\"team-b\",secret=\"ecr-pull\"}} 0"),
            ]
        );
    }

    #[test]
    fn without_a_copy_to_show_there_is_nothing() {
        assert_eq!(text(&report(Vec::new())), "");
    }
}
