//! The table of namespaces and their copies.

use jiff::Timestamp;

use super::line::{Line, Tone};
use super::snapshot::{NamespaceView, Snapshot, TokenView};
use super::stage::SECRET;

/// The columns, and what stands where there is nothing to say.
const TITLES: [&str; 5] = ["NAMESPACE", "SECRET", "STATE", "TIME LEFT", "TOKEN"];
const NOTHING: &str = "-";
const GAP: usize = 3;

/// The state of a copy, in the daemon's own words where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The daemon does not say yet what it wants.
    Unknown,
    NotListed,
    Missing,
    /// A foreign Secret has that name.
    Conflict,
    /// The same, where no copy is wanted.
    Foreign,
    /// Ours, in a namespace that is not on the list any more.
    Leftover,
    Expired,
    /// It holds a good token, and there is a newer one.
    Stale,
    Fresh,
}

impl State {
    fn of(namespace: &NamespaceView, snapshot: &Snapshot) -> Self {
        match (namespace.is_listed, &namespace.secret) {
            (None, None) => Self::Unknown,
            (Some(false), None) => Self::NotListed,
            (Some(true), None) => Self::Missing,
            (Some(true), Some(secret)) if !secret.is_ours => Self::Conflict,
            (_, Some(secret)) if !secret.is_ours => Self::Foreign,
            (Some(false), Some(_)) => Self::Leftover,
            (_, Some(secret)) => match secret.token {
                Some(token) if token.expires_at <= snapshot.taken_at => Self::Expired,
                Some(token) if token.number == snapshot.issued => Self::Fresh,
                _ => Self::Stale,
            },
        }
    }

    fn words(self) -> (Tone, &'static str) {
        match self {
            Self::Unknown => (Tone::Faint, "no copy yet"),
            Self::NotListed => (Tone::Faint, "not on the list"),
            Self::Missing => (Tone::Bad, "missing"),
            Self::Conflict => (Tone::Bad, "conflict"),
            Self::Foreign => (Tone::Warning, "not ours"),
            Self::Leftover => (Tone::Warning, "to be pruned"),
            Self::Expired => (Tone::Bad, "expired"),
            Self::Stale => (Tone::Warning, "stale, still good"),
            Self::Fresh => (Tone::Good, "fresh"),
        }
    }
}

/// Renders the table in `rows` rows at most; what does not fit is counted in the last one.
pub(crate) fn render(snapshot: &Snapshot, rows: usize) -> Vec<Line> {
    let mut cells: Vec<_> =
        snapshot.namespaces.iter().map(|namespace| cells_of(namespace, snapshot)).collect();
    let widths = widths(&cells);
    let room = rows.saturating_sub(1);
    let hidden = if cells.len() > room { cells.len() + 1 - room.max(1) } else { 0 };
    cells.truncate(cells.len() - hidden);
    let mut lines = vec![line(TITLES.map(|title| (Tone::Faint, title.to_owned())), widths)];
    lines.extend(cells.into_iter().map(|cells| line(cells, widths)));
    if hidden > 0 {
        lines.push(Line::new(Tone::Faint, format!("… and {hidden} more namespaces")));
    }
    lines.truncate(rows);
    lines
}

type Cells = [(Tone, String); TITLES.len()];

fn cells_of(namespace: &NamespaceView, snapshot: &Snapshot) -> Cells {
    let (tone, state) = State::of(namespace, snapshot).words();
    let token = namespace.secret.as_ref().and_then(|secret| secret.token);
    let secret = if namespace.secret.is_some() { SECRET } else { NOTHING };
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
    [
        (Tone::Plain, namespace.name.clone()),
        (Tone::Plain, secret.to_owned()),
        (tone, state.to_owned()),
        (Tone::Plain, or_nothing(token.map(|token| time_left(token, snapshot.taken_at)))),
        (Tone::Plain, or_nothing(token.map(|token| format!("#{}", token.number)))),
    ]
}

fn time_left(token: TokenView, now: Timestamp) -> String {
    let seconds = token.expires_at.duration_since(now).as_secs().max(0);
    format!("{seconds:>2} s")
}

fn widths(cells: &[Cells]) -> [usize; TITLES.len()] {
    std::array::from_fn(|column| {
        let texts = cells.iter().map(|cells| cells[column].1.chars().count());
        texts.max().unwrap_or(0).max(TITLES[column].len())
    })
}

fn line(cells: Cells, widths: [usize; TITLES.len()]) -> Line {
    let padded = cells.into_iter().zip(widths);
    padded.fold(Line::default(), |line, ((tone, text), width)| {
        let width = width + GAP;
        line.and(tone, format!("{text:width$}"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::SecretView;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn holding(number: usize, expires_at: i64) -> SecretView {
        let token = TokenView { number, expires_at: at(expires_at) };
        SecretView { is_ours: true, token: Some(token) }
    }

    fn namespace(name: &str, is_listed: Option<bool>, secret: Option<SecretView>) -> NamespaceView {
        NamespaceView { name: name.to_owned(), is_listed, secret }
    }

    fn snapshot(namespaces: Vec<NamespaceView>) -> Snapshot {
        Snapshot { taken_at: at(100), namespaces, counts: None, issued: 3 }
    }

    fn texts(snapshot: &Snapshot, rows: usize) -> Vec<String> {
        render(snapshot, rows).iter().map(Line::plain).collect()
    }

    #[test]
    fn each_namespace_has_a_row_and_columns_line_up() {
        let foreign = SecretView { is_ours: false, token: None };
        let snapshot = snapshot(vec![
            namespace("conflict", Some(true), Some(foreign.clone())),
            namespace("dead", Some(true), Some(holding(1, 100))),
            namespace("empty", Some(true), None),
            namespace("left", Some(false), Some(holding(3, 140))),
            namespace("other", Some(false), None),
            namespace("private", Some(false), Some(foreign)),
            namespace("team-a", Some(true), Some(holding(3, 139))),
            namespace("team-b", Some(true), Some(holding(2, 104))),
        ]);
        assert_eq!(
            texts(&snapshot, usize::MAX),
            [
                "NAMESPACE   SECRET     STATE               TIME LEFT   TOKEN",
                "conflict    ecr-pull   conflict            -           -",
                "dead        ecr-pull   expired              0 s        #1",
                "empty       -          missing             -           -",
                "left        ecr-pull   to be pruned        40 s        #3",
                "other       -          not on the list     -           -",
                "private     ecr-pull   not ours            -           -",
                "team-a      ecr-pull   fresh               39 s        #3",
                "team-b      ecr-pull   stale, still good    4 s        #2",
            ]
        );
    }

    #[test]
    fn before_the_daemon_is_up_no_copy_is_missing() {
        let snapshot =
            snapshot(vec![namespace("a", None, None), namespace("b", None, Some(holding(3, 140)))]);
        let texts = texts(&snapshot, usize::MAX);
        assert!(texts[1].contains("no copy yet") && texts[2].contains("fresh"), "{texts:?}");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let names = ["a", "b", "c", "d"];
        let namespaces = names.map(|name| namespace(name, Some(false), None));
        let snapshot = snapshot(namespaces.to_vec());
        assert_eq!(texts(&snapshot, 5).len(), 5);
        let four = texts(&snapshot, 4);
        assert_eq!((four.len(), four[3].as_str()), (4, "… and 2 more namespaces"));
        assert_eq!(texts(&snapshot, 2)[1], "… and 4 more namespaces");
        assert_eq!(texts(&snapshot, 1).len(), 1);
        assert!(texts(&snapshot, 0).is_empty());
    }
}
