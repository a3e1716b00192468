//! `status`: every copy with its state and the time it has left.

use std::sync::Arc;

use anstyle::AnsiColor;
use ecr_refresher_sync::report::{ConflictReason, CopyState, UNWANTED};
use jiff::Timestamp;
use serde::Serialize;
use strum::VariantArray;

use super::{
    Inspection,
    counts::Counts,
    header::Header,
    inspect,
    left::Left,
    listing::{Listed, counted, render},
    selection::unselected,
    show::{Rendered, show},
};
use crate::{cli::StatusArgs, failure::Failure, screen::Screen};

/// Prints the state of all copies.
pub(crate) fn status(args: &StatusArgs) -> Result<(), Failure> {
    let screen = Screen::of_stdout(args.show.color);
    show(&args.inspect, screen, async || {
        let only = args.show.namespace.as_deref();
        let (inspection, cluster) = inspect(&args.inspect, "status", only).await?;
        inspection.check_secret(args.show.secret.as_deref())?;
        let Status { at, rows } = Status::of(&inspection);
        let header = Header::read((&args.inspect, &args.show), &cluster, at).await;
        let status = Status { at, rows: counted(rows, &args.show) };
        Ok(Rendered {
            text: status.render(&header, args, screen),
            notes: inspection.note.clone() + &unselected(&inspection),
            is_good: status.is_good(),
        })
    })
}

/// The copies, what fails first.
#[derive(Debug)]
struct Status {
    at: Timestamp,
    rows: Vec<Row>,
}

/// One copy. The order of its fields is that of the rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(skip)]
    order: (bool, i64),
    secret: String,
    namespace: String,
    state: &'static str,
    /// Why it is in conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The other release that keeps the Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<String>,
    #[serde(flatten)]
    left: Left,
}

impl Status {
    fn of(inspection: &Inspection) -> Self {
        let at = inspection.now();
        let mut rows: Vec<_> = inspection
            .snapshot
            .copies()
            .filter(|view| !view.terminating)
            .filter_map(|view| {
                let state = if view.is_wanted() {
                    Some(inspection.state(&view))
                } else if view.is_ours() {
                    None
                } else {
                    return None;
                };
                let left = Left::new(view.expires_at(), at);
                let row = Row::new(&view.secret.name, view.namespace, state, left);
                Some(row.in_conflict(view.conflict_reason(), view.other_release()))
            })
            .collect();
        rows.sort();
        Self { at, rows }
    }

    /// Whether no Pod can fail to pull for want of a copy.
    fn is_good(&self) -> bool {
        !self.rows.iter().any(Row::is_failing)
    }

    fn render(&self, header: &Header, args: &StatusArgs, screen: Screen) -> String {
        #[derive(Serialize)]
        struct Document<'a> {
            at: Timestamp,
            #[serde(flatten)]
            header: &'a Header,
            good: bool,
            counts: Counts,
            copies: Vec<&'a Row>,
        }
        let is_shown = |row: &&Row| {
            (!args.failing || row.is_failing())
                && (args.state.is_empty() || args.state.iter().any(|state| state == row.state))
        };
        let rows: Vec<_> = self.rows.iter().filter(is_shown).collect();
        let document = Document {
            at: self.at,
            header,
            good: self.is_good(),
            counts: self.counts(),
            copies: rows.clone(),
        };
        render(&rows, &document, (&header.text(), &self.counts().summary()), &args.show, screen)
    }

    fn counts(&self) -> Counts {
        // No job has run, so none has failed.
        let states = CopyState::VARIANTS.iter().filter(|&&state| state != CopyState::Failed);
        let states: Vec<_> = states.map(|state| state.as_str()).chain([UNWANTED]).collect();
        Counts::new(&states, self.rows.iter().map(|row| row.state))
    }
}

impl Listed for Row {
    const HEADINGS: (&'static [&'static str], &'static [&'static str]) =
        (&["SECRET", "NAMESPACE", "STATE", "LEFT"], &["EXPIRES", "REASON"]);

    fn id(&self) -> (&str, &str) {
        (&self.namespace, &self.secret)
    }

    fn left(&self) -> Left {
        self.left
    }

    fn colour(&self) -> Option<AnsiColor> {
        if self.is_failing() {
            Some(AnsiColor::Red)
        } else {
            (self.state != CopyState::Fresh.as_str()).then_some(AnsiColor::Yellow)
        }
    }

    fn cells(&self) -> Vec<String> {
        let Self { secret, namespace, state, release, left, reason, .. } = self;
        let state = match release {
            Some(release) => format!("{state} with {release}"),
            None => (*state).to_owned(),
        };
        let expires = left.expires_at.map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"));
        let reason = reason.unwrap_or("-").to_owned();
        vec![secret.clone(), namespace.clone(), state, left.words(), expires, reason]
    }
}

impl Row {
    /// A row; `state` is `None` for an unwanted copy.
    fn new(secret: &str, namespace: &str, state: Option<CopyState>, left: Left) -> Self {
        let failing = state.is_some_and(CopyState::is_failing);
        Self {
            order: (!failing, left.seconds_left.unwrap_or(i64::MAX)),
            secret: secret.to_owned(),
            namespace: namespace.to_owned(),
            state: state.map_or(UNWANTED, CopyState::as_str),
            reason: (state == Some(CopyState::Conflict)).then(|| ConflictReason::Foreign.as_str()),
            release: None,
            left,
        }
    }

    /// The row, with the reason of a conflict and the other release that keeps the Secret.
    fn in_conflict(self, reason: ConflictReason, release: Option<&Arc<String>>) -> Self {
        let reason = self.reason.map(|_| reason.as_str());
        Self { reason, release: release.map(ToString::to_string), ..self }
    }

    fn is_failing(&self) -> bool {
        let (good, _) = self.order;
        !good
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use strum::VariantArray;

    use super::{
        super::fixture::{below_header, status_args},
        *,
    };

    fn status(rows: &[(&str, Option<CopyState>, Option<i64>)]) -> Status {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let mut rows: Vec<_> = rows
            .iter()
            .map(|&(namespace, state, seconds)| {
                let expires_at =
                    seconds.map(|seconds| Timestamp::from_second(1_800_000_000 + seconds).unwrap());
                Row::new("ecr-pull", namespace, state, Left::new(expires_at, at))
            })
            .collect();
        rows.sort();
        Status { at, rows }
    }

    fn render(status: &Status, arguments: &[&str]) -> String {
        let text = status.render(&Header::default(), &status_args(arguments), Screen::default());
        below_header(&text).to_owned()
    }

    fn of_every_state() -> Status {
        status(&[
            ("team-a", Some(CopyState::Fresh), Some(30_000)),
            ("team-b", Some(CopyState::Fresh), Some(18_720)),
            ("team-c", Some(CopyState::Missing), None),
            ("team-d", Some(CopyState::Expired), Some(-180)),
            ("team-e", Some(CopyState::Conflict), None),
            ("team-f", Some(CopyState::Stale), Some(20_000)),
            ("team-g", None, Some(19_000)),
            ("team-h", Some(CopyState::Expired), Some(-3600)),
            ("team-i", Some(CopyState::Fresh), None),
        ])
    }

    #[test]
    fn failing_copies_come_first_and_then_those_that_expire_first() {
        assert_eq!(
            render(&of_every_state(), &[]),
            "\
SECRET     NAMESPACE   STATE      LEFT
ecr-pull   team-h      expired    expired 1h ago
ecr-pull   team-d      expired    expired 3m ago
ecr-pull   team-c      missing    -
ecr-pull   team-e      conflict   -
ecr-pull   team-b      fresh      5h 12m
ecr-pull   team-g      unwanted   5h 16m
ecr-pull   team-f      stale      5h 33m
ecr-pull   team-a      fresh      8h 20m
ecr-pull   team-i      fresh      -
9 copies: 3 fresh, 1 stale, 2 expired, 1 missing, 1 conflict, 1 unwanted
"
        );
    }

    #[test]
    fn a_copy_of_another_release_is_a_conflict_that_names_it() {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let row = Row::new("ecr-pull", "team-a", Some(CopyState::Conflict), Left::new(None, at));
        let other = Arc::new("other/refresher".to_owned());
        let row = row.in_conflict(ConflictReason::AnotherRelease, Some(&other));
        let status = Status { at, rows: vec![row] };
        let table = render(&status, &[]);
        assert!(table.contains("conflict with other/refresher   -"), "{table}");
        let json: Value = serde_json::from_str(&render(&status, &["-o", "json"])).unwrap();
        let row = &json["copies"][0];
        assert_eq!(row["state"], "conflict");
        assert_eq!(
            (&row["reason"], &row["release"]),
            (&"another_release".into(), &"other/refresher".into())
        );
    }

    #[test]
    fn only_failing_copies_are_shown_on_request_and_all_are_counted() {
        let status = of_every_state();
        let shown = render(&status, &["--failing"]);
        assert_eq!(shown.lines().count(), 6);
        assert!(shown.ends_with(
            "9 copies: 3 fresh, 1 stale, 2 expired, 1 missing, 1 conflict, 1 unwanted\n"
        ));
        let good = self::status(&[("team-a", Some(CopyState::Fresh), Some(60))]);
        assert_eq!(render(&good, &["--failing"]), "1 copy: 1 fresh\n");
    }

    #[test]
    fn it_is_good_unless_a_copy_is_missing_expired_or_in_conflict() {
        for &state in CopyState::VARIANTS {
            let good = matches!(state, CopyState::Fresh | CopyState::Stale);
            assert_eq!(status(&[("team-a", Some(state), None)]).is_good(), good, "{state:?}");
        }
        assert!(status(&[("team-a", None, Some(-60))]).is_good(), "it is not wanted");
        assert!(status(&[]).is_good());
        assert_eq!(render(&status(&[]), &[]), "0 copies\n");
    }

    #[test]
    fn scripts_get_times_and_seconds() {
        let status = status(&[("team-a", Some(CopyState::Fresh), Some(60))]);
        let json: Value = serde_json::from_str(&render(&status, &["-o", "json"])).unwrap();
        let expected = serde_json::json!({
            "at": "2027-01-15T08:00:00Z",
            "cluster": "", "release": "", "leader": null, "registries": [],
            "good": true,
            "counts": {
                "fresh": 1, "stale": 0, "expired": 0, "missing": 0, "conflict": 0, "unwanted": 0,
            },
            "copies": [{
                "secret": "ecr-pull", "namespace": "team-a", "state": "fresh",
                "expiresAt": "2027-01-15T08:01:00Z", "secondsLeft": 60,
            }],
        });
        assert_eq!(json, expected);
    }

    /// The output with these arguments.
    fn shown(arguments: &[&str]) -> String {
        let args = status_args(arguments);
        let Status { at, rows } = of_every_state();
        render(&Status { at, rows: counted(rows, &args.show) }, arguments)
    }

    #[test]
    fn rows_are_selected_sorted_and_formatted_as_asked() {
        let names = |arguments: &[&str]| shown(&[arguments, &["-o", "name"]].concat());
        assert_eq!(names(&["--state", "missing,conflict"]), "team-c/ecr-pull\nteam-e/ecr-pull\n");
        assert_eq!(names(&["-n", "team-f"]), "team-f/ecr-pull\n");
        assert_eq!(names(&["--secret", "other"]), "");
        assert!(names(&["--sort-by", "namespace"]).starts_with("team-a/ecr-pull\nteam-b/"));
        assert!(
            names(&["--sort-by", "left"]).starts_with("team-h/ecr-pull\nteam-d/ecr-pull\nteam-b/")
        );
        assert_eq!(
            shown(&["-n", "team-b", "-o", "wide"]),
            "\
SECRET     NAMESPACE   STATE   LEFT     EXPIRES                REASON
ecr-pull   team-b      fresh   5h 12m   2027-01-15T13:12:00Z   -
1 copy: 1 fresh
"
        );
        assert_eq!(
            shown(&["-n", "team-b", "--no-headers"]),
            "ecr-pull   team-b   fresh   5h 12m\n"
        );
        let yaml: Value = serde_saphyr::from_str(&shown(&["-o", "yaml"])).unwrap();
        let json: Value = serde_json::from_str(&shown(&["-o", "json"])).unwrap();
        assert_eq!(yaml, json);
    }
}
