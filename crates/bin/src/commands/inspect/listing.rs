//! Lists of copies: which are shown, in which order and format.

use anstyle::AnsiColor;
use serde::Serialize;

use super::{left::Left, table::Table};
use crate::{
    cli::{Output, ShowArgs, SortBy, TableOutput},
    output,
    screen::Screen,
};

/// A copy in a list.
pub(super) trait Listed {
    /// The headings of a table, and those that only a wide one has.
    const HEADINGS: (&'static [&'static str], &'static [&'static str]);

    /// The namespace and the name of the Secret.
    fn id(&self) -> (&str, &str);

    fn left(&self) -> Left;

    /// The colour of its row: red for what fails or goes, yellow for what will change.
    fn colour(&self) -> Option<AnsiColor>;

    /// The cells of a row, for all headings.
    fn cells(&self) -> Vec<String>;
}

/// The rows that `args` selects.
pub(super) fn counted<R: Listed>(rows: Vec<R>, args: &ShowArgs) -> Vec<R> {
    let is_wanted =
        |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|it| it == value);
    let is_counted = |row: &R| {
        let (namespace, name) = row.id();
        is_wanted(&args.namespace, namespace) && is_wanted(&args.secret, name)
    };
    let mut rows: Vec<_> = rows.into_iter().filter(is_counted).collect();
    let by_left = |row: &R| row.left().seconds_left.unwrap_or(i64::MAX);
    match args.sort_by {
        None => {}
        Some(SortBy::Left) => rows.sort_by_key(by_left),
        Some(SortBy::Namespace) => rows.sort_by(|one, other| one.id().cmp(&other.id())),
        Some(SortBy::Secret) => rows.sort_by(|one, other| swap(one.id()).cmp(&swap(other.id()))),
    }
    rows
}

fn swap<T>((one, other): (T, T)) -> (T, T) {
    (other, one)
}

/// The text of a list. `document` is for machines; `header` is above a table, and `summary` below it.
pub(super) fn render<R: Listed>(
    rows: &[&R],
    document: &impl Serialize,
    (header, summary): (&str, &str),
    args: &ShowArgs,
    screen: Screen,
) -> String {
    match args.output {
        TableOutput::Json => output::document(Output::Json, document).unwrap_or_default(),
        TableOutput::Yaml => output::document(Output::Yaml, document).unwrap_or_default(),
        TableOutput::Name => rows.iter().map(|row| name(row.id())).collect(),
        TableOutput::Table | TableOutput::Wide => {
            let (usual, more) = R::HEADINGS;
            let more = if args.output == TableOutput::Wide { more } else { &[] };
            let mut table = Table::new([usual, more].concat());
            for row in rows {
                let cells = row.cells();
                table.add(cells[..usual.len() + more.len()].to_vec(), row.colour());
            }
            if args.no_headers {
                table.body(screen)
            } else {
                format!("{header}{}{summary}", table.render(screen))
            }
        }
    }
}

fn name((namespace, name): (&str, &str)) -> String {
    format!("{namespace}/{name}\n")
}
