//! Text that is not YAML, in plain words.

use serde_saphyr::Error;

use super::problem::{Location, Problem};

/// Words of the parser's message, and what to say instead: message and remedy.
const SENTENCES: [(&str, &str, &str); 17] = [
    (
        "multiple YAML documents",
        "the file has several documents",
        "keep one: a line `---` begins another",
    ),
    (
        "while scanning an anchor or alias",
        "`*` and `&` have a meaning of their own in YAML",
        "put the pattern in quotes: \"*\"",
    ),
    (
        "unknown anchor",
        "a text that begins with `*` is an alias in YAML",
        "put the pattern in quotes, such as \"*-dev\"",
    ),
    ("unclosed bracket", "this bracket is never closed", "close it"),
    ("unclosed quote", "this quote is never closed", "close it"),
    (
        "mapping values are not allowed",
        "there cannot be a `:` here",
        "indent the keys of a mapping alike, and put a text with `: ` in quotes",
    ),
    (
        "expected '-' indicator",
        "there must be an item of the list here",
        "begin it with `- `, or indent the line like the key that it is beside",
    ),
    ("did not find expected key", "there must be a key here", "indent the keys of a mapping alike"),
    (
        "did not find expected ','",
        "a `,` or a closing bracket is missing before this",
        "put commas between what is in brackets",
    ),
    (
        "unknown escape",
        "a text in double quotes has a `\\` that means nothing",
        "use single quotes",
    ),
    (
        "non-finite",
        "this number is too large, or none",
        "write a smaller one, or put a text in quotes",
    ),
    ("!!binary", "`!!binary` needs base64", "remove the tag"),
    ("expected string scalar", "a key must be a text", "write `key: value`"),
    ("simple key expected", "a `:` is missing after the key", "write `key: value`"),
    ("null into string", "a key is empty", "write `key: value`"),
    (
        "invalid trailing content",
        "there is more after the closing quote",
        "put the whole text in quotes",
    ),
    ("unexpected character", "no text can begin with this character", "put the text in quotes"),
];

/// The problem of a text that the parser refuses.
pub(super) fn explain(text: &str, error: &Error) -> Problem {
    let message = error.without_snippet().to_string();
    let at = error.location();
    let is_of_tab = ["found a tab", "tabs disallowed"].iter().any(|it| message.contains(it));
    let tab = at.filter(|_| is_of_tab).and_then(|at| indented_by_tab(text, at.line()));
    if let Some(tab) = tab {
        return Problem::new(tab, "a tab indents this line").help("use spaces");
    }
    let line = at.and_then(|at| text.lines().nth(usize::try_from(at.line()).ok()?.checked_sub(1)?));
    let location = at.map_or(Location::File, |at| Location::in_file(at.line(), at.column()));
    if line.is_some_and(|line| line.contains("{{")) {
        return Problem::new(location, "this is a template")
            .help("render it first, as `helm template` does");
    }
    let known = SENTENCES.iter().find(|(words, ..)| message.contains(words));
    let (_, sentence, help) = known.unwrap_or(&(
        "",
        "this is not valid YAML",
        "check the quotes, the brackets and the indentation",
    ));
    Problem::new(location, *sentence).help(*help)
}

/// The first tab in the indentation of a line from this one on: the parser reports the text before it.
fn indented_by_tab(text: &str, first: u64) -> Option<Location> {
    (1..).zip(text.lines()).filter(|(number, _)| *number >= first).find_map(|(number, line)| {
        let blanks = line.len() - line.trim_start().len();
        let column = (1..).zip(line[..blanks].chars()).find(|(_, blank)| *blank == '\t')?.0;
        Some(Location::in_file(number, column))
    })
}
