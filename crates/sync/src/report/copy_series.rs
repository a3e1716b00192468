//! The series of single copies. There may be one for each namespace of a large cluster, so their text
//! is written piece by piece, straight from a report: a registry would hold each of them several
//! times over.

use std::{fmt::Write, iter, sync::Arc};

use ecr_refresher_core::clock::unix_seconds;

use crate::report::{CopyReport, Report};

const NAME: &str = "ecr_refresher_copy_expiration_timestamp_seconds";
const HELP: &str = "When a copy expires, as a Unix time; 0 where there is no copy of ours. For which \
                    copies, `metrics.perNamespace` says.";
/// How many series are one piece: about 25 KB.
const PIECE: usize = 256;

/// The expiry of each copy in the report, in Prometheus' text format: pieces of whole lines, each
/// written when it is asked for. None where the report shows no copies.
pub fn copy_series(report: Report) -> impl Iterator<Item = String> {
    let copies = report.secrets.into_iter().flat_map(|secret| {
        let name: Arc<str> = secret.name.into();
        secret.copies.into_iter().map(move |copy| (Arc::clone(&name), copy))
    });
    let mut copies = copies.peekable();
    let mut head = format!("# HELP {NAME} {HELP}\n# TYPE {NAME} gauge\n");
    iter::from_fn(move || {
        copies.peek()?;
        let mut piece = std::mem::take(&mut head);
        for (secret, copy) in copies.by_ref().take(PIECE) {
            write_series(&mut piece, &secret, &copy);
        }
        Some(piece)
    })
}

fn write_series(text: &mut String, secret: &str, copy: &CopyReport) {
    let expires_at = copy.expires_at.map_or(0.0, unix_seconds);
    let namespace = &copy.namespace;
    // Neither name can hold what would have to be escaped. Writing to a String never fails.
    let _ = writeln!(text, "{NAME}{{namespace=\"{namespace}\",secret=\"{secret}\"}} {expires_at}");
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use strum::VariantArray;

    use super::*;
    use crate::report::{CopyState, Counts, SecretReport};

    fn secret(name: &str, copies: Vec<CopyReport>) -> SecretReport {
        SecretReport {
            name: name.to_owned(),
            counts: [0; CopyState::VARIANTS.len()],
            earliest_expiration: None,
            patterns: Vec::new(),
            conflicts: Counts::new(),
            contested: Counts::new(),
            unwanted: 0,
            unselected: None,
            copies,
        }
    }

    fn copy(namespace: &str, expires_at: Option<Timestamp>) -> CopyReport {
        let state = CopyState::Missing;
        CopyReport { namespace: namespace.into(), state, expires_at, release: None, failure: None }
    }

    fn pieces(secrets: Vec<SecretReport>) -> Vec<String> {
        copy_series(Report { secrets, ..Report::default() }).collect()
    }

    #[test]
    fn each_copy_has_a_series_and_one_that_is_not_there_is_zero() {
        let at = Timestamp::from_second(1_785_000_000).unwrap();
        let one = secret("one", vec![copy("team-a", Some(at)), copy("team-b", None)]);
        let text = pieces(vec![one, secret("two", vec![copy("team-a", None)])]).concat();
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                format!("# TYPE {NAME} gauge"),
                format!("{NAME}{{namespace=\"team-a\",secret=\"one\"}} 1785000000"),
                format!("{NAME}{{namespace=\"team-b\",secret=\"one\"}} 0"),
                format!("{NAME}{{namespace=\"team-a\",secret=\"two\"}} 0"),
            ]
        );
    }

    #[test]
    fn many_copies_come_in_pieces_of_which_only_the_first_has_the_head() {
        let name = |number| format!("team-{number}");
        let copies = (0..=PIECE).map(|number| copy(&name(number), None)).collect();
        let pieces = pieces(vec![secret("ecr-pull", copies)]);
        assert_eq!(pieces.len(), 2);
        assert!(pieces[0].starts_with("# HELP") && pieces[0].ends_with(" 0\n"));
        assert_eq!(pieces[0].lines().count(), 2 + PIECE);
        let last = name(PIECE);
        assert_eq!(pieces[1], format!("{NAME}{{namespace=\"{last}\",secret=\"ecr-pull\"}} 0\n"));
    }

    #[test]
    fn without_a_copy_to_show_there_is_nothing() {
        assert!(pieces(Vec::new()).is_empty());
        assert!(pieces(vec![secret("ecr-pull", Vec::new())]).is_empty());
    }
}
