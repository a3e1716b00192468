//! Lines of the config file in messages, with a mark below what is wrong.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// The text of a config file, without what may be a secret.
pub(super) struct Source {
    lines: Vec<String>,
}

/// A line, and the characters of it that are wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    number: usize,
    line: String,
    wrong: Range<usize>,
}

impl Source {
    /// `hidden` are characters of the text, counted from 0.
    pub(super) fn new(text: &str, hidden: impl IntoIterator<Item = Range<usize>>) -> Self {
        let mut letters: Vec<char> = text.chars().collect();
        for Range { start, end } in hidden {
            let end = end.min(letters.len());
            let hidden = letters.get_mut(start..end).unwrap_or_default();
            for letter in hidden.iter_mut().filter(|it| !matches!(it, '\n' | '\r')) {
                *letter = '*';
            }
        }
        let text: String = letters.into_iter().collect();
        Self { lines: text.lines().map(str::to_owned).collect() }
    }

    /// A text that is not YAML, so that only its lines can be hidden: those with one of these keys and its text.
    pub(super) fn unparsed(text: &str, secrets: &[(&str, &str)]) -> Self {
        let hide = |line: &str| {
            secrets.iter().any(|(key, mark)| line.contains(key) && line.contains(mark))
        };
        let lines = text.lines().map(|line| if hide(line) { "" } else { line }.to_owned());
        Self { lines: lines.collect() }
    }

    /// The excerpt of a line and a column, both from 1, with this number of wrong characters.
    pub(super) fn excerpt(&self, line: u64, column: u64, width: usize) -> Option<Excerpt> {
        let [number, column] = [line, column].map(|it| usize::try_from(it).unwrap_or_default());
        let line = self.lines.get(number.checked_sub(1)?)?;
        let mut bytes = line.char_indices().map(|(byte, _)| byte).chain([line.len()]);
        let start = bytes.nth(column.checked_sub(1)?)?;
        let rest = line[start..].chars().take(width.max(1)).map(char::len_utf8).sum::<usize>();
        (!line.is_empty()).then(|| Excerpt {
            number,
            line: line.clone(),
            wrong: start..start + rest,
        })
    }
}

impl Excerpt {
    /// A few lines, each with its end.
    pub(super) fn text(&self, coloured: bool) -> String {
        let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
        let snippet = Snippet::source(&self.line)
            .line_start(self.number)
            .annotation(AnnotationKind::Primary.span(self.wrong.clone()));
        let text = renderer.render(&[Group::with_level(Level::ERROR).element(snippet)]);
        format!("{text}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_with_a_mark_and_without_secrets() {
        let source = Source::new("a: 1\nkéy: geheim, b: 2\n", std::iter::once(10..16));
        let excerpt = source.excerpt(2, 14, 1).unwrap();
        assert_eq!(excerpt.text(false), "  |\n2 | kéy: ******, b: 2\n  |              ^\n");
        assert_eq!(source.excerpt(3, 1, 1), None);
        assert!(source.excerpt(1, 5, 1).is_some(), "the end of a line");
    }

    #[test]
    fn a_line_that_may_hold_a_secret_is_not_shown() {
        let source = Source::unparsed("externalId: x\n[\n", &[("externalId", "")]);
        assert_eq!(source.excerpt(1, 1, 1), None);
        assert!(source.excerpt(2, 1, 1).is_some());
    }
}
