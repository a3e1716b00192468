//! One picture of the live demo: the table, the steps, and how to reach it.

use super::line::{Line, Tone};
use super::screen::Size;
use super::snapshot::Snapshot;
use super::table;

/// How much of the table is worth more than the hints: its title and a few namespaces.
const LEAST_OF_TABLE: usize = 6;

/// What is below the table.
pub(crate) struct Text {
    pub(crate) title: String,
    pub(crate) steps: Vec<Line>,
    pub(crate) hints: Vec<Line>,
    /// Why the table is not up to date.
    pub(crate) problem: Option<String>,
}

/// The daemon's own counts, as one line.
pub(crate) fn counts(snapshot: &Snapshot) -> Line {
    let Some(counts) = &snapshot.counts else {
        return Line::new(Tone::Faint, "No daemon says that it leads.");
    };
    let failing = counts.failing();
    let tone = if failing > 0 { Tone::Bad } else { Tone::Plain };
    Line::new(Tone::Plain, format!("{} fresh, {} stale, ", counts.fresh, counts.stale))
        .and(tone, format!("{failing} failing"))
        .and(Tone::Plain, format!("; writes: {}", counts.writes))
        .and(Tone::Plain, format!(", {} failed", counts.failed_writes))
        .and(Tone::Plain, format!("; calls to AWS: {}", counts.aws_calls))
        .and(Tone::Plain, format!(", {} failed", counts.failed_aws_calls))
}

/// All lines, such that they fit: where the terminal is too low, the table is cut, and before that
/// gets bad the hints go, and then the steps that are long done.
pub(crate) fn compose(snapshot: &Snapshot, text: Text, size: Size) -> Vec<Line> {
    let mut above = vec![Line::new(Tone::Strong, text.title), counts(snapshot)];
    above.extend(text.problem.map(|problem| Line::new(Tone::Bad, problem)));
    above.push(Line::default());
    let mut steps = [vec![Line::default()], text.steps].concat();
    let hints = [vec![Line::default()], text.hints].concat();

    let rows = |lines: &[Line]| lines.iter().map(|line| line.rows(size.columns)).sum::<usize>();
    let enough = LEAST_OF_TABLE.min(snapshot.namespaces.len() + 1);
    while rows(&above) + enough + rows(&steps) > size.rows && steps.len() > 2 {
        steps.remove(1);
    }
    let room = size.rows.saturating_sub(rows(&above) + rows(&steps));
    let room_with_hints = room.saturating_sub(rows(&hints));
    let (room, hints) =
        if room_with_hints < enough { (room, vec![]) } else { (room_with_hints, hints) };
    let mut lines = [above, table::render(snapshot, room), steps, hints].concat();
    drop_rows_below_the_screen(&mut lines, size);
    lines
}

fn drop_rows_below_the_screen(lines: &mut Vec<Line>, size: Size) {
    let mut rows = 0;
    let fitting = lines.iter().take_while(|line| {
        rows += line.rows(size.columns);
        rows <= size.rows
    });
    let count = fitting.count();
    lines.truncate(count);
}

#[cfg(test)]
mod tests {
    use super::super::counts::Counts;
    use super::super::snapshot::NamespaceView;
    use super::*;

    fn text<const COUNT: usize>(steps: [&str; COUNT]) -> Text {
        Text {
            title: "title".to_owned(),
            steps: steps.map(|step| Line::new(Tone::Plain, step)).to_vec(),
            hints: vec![Line::new(Tone::Plain, "h".repeat(100)).whole()],
            problem: None,
        }
    }

    fn snapshot() -> Snapshot {
        let row = |number| NamespaceView {
            name: format!("team-{number}"),
            is_listed: Some(true),
            secret: None,
        };
        Snapshot {
            taken_at: jiff::Timestamp::UNIX_EPOCH,
            namespaces: (0..10).map(row).collect(),
            counts: Some(Counts::default()),
            issued: 1,
        }
    }

    fn rows(size: Size) -> (usize, Vec<String>) {
        rows_with(["step"], size)
    }

    fn rows_with<const COUNT: usize>(steps: [&str; COUNT], size: Size) -> (usize, Vec<String>) {
        let lines = compose(&snapshot(), text(steps), size);
        let rows = lines.iter().map(|line| line.rows(size.columns)).sum();
        (rows, lines.iter().map(Line::plain).collect())
    }

    #[test]
    fn a_high_terminal_shows_everything() {
        let (rows, lines) = rows(Size { columns: 80, rows: 40 });
        assert_eq!(rows, 3 + 11 + 3 + 2);
        assert_eq!(
            lines[1],
            "0 fresh, 0 stale, 0 failing; writes: 0, 0 failed; calls to AWS: 0, 0 failed"
        );
        assert_eq!(lines[15], "step");
    }

    #[test]
    fn a_low_terminal_cuts_the_table_and_is_never_left() {
        let (rows_of_frame, lines) = rows(Size { columns: 80, rows: 14 });
        assert_eq!(rows_of_frame, 14);
        assert!(lines.contains(&"… and 6 more namespaces".to_owned()), "{lines:?}");
        assert!(lines.contains(&"step".to_owned()));
        let (_, lines) = rows(Size { columns: 80, rows: 12 });
        assert!(lines.contains(&"… and 5 more namespaces".to_owned()), "{lines:?}");
        assert_eq!(lines.last().unwrap(), "step", "the hints are gone");
        for height in 0..25 {
            assert!(rows(Size { columns: 80, rows: height }).0 <= height);
        }
    }
    #[test]
    fn a_low_terminal_shows_the_newest_steps_under_the_first_namespaces() {
        let size = Size { columns: 80, rows: 12 };
        let (rows, lines) = rows_with(["one", "two", "three", "four"], size);
        assert_eq!(rows, 12);
        assert_eq!(lines[8..], ["… and 6 more namespaces", "", "three", "four"]);
    }
}
