//! The commands in the code blocks of a Markdown page.

/// A command for a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocCommand {
    /// The file and the line that it begins on.
    pub place: String,
    /// Its lines.
    pub text: String,
    /// Its documented output; `None` in a block without outputs.
    pub output: Option<String>,
}

/// The commands of a page, in their order: of blocks of `sh` each line, and of blocks of `console` each
/// line after `$ `, with its output.
#[must_use]
pub fn commands(page: &str, text: &str) -> Vec<DocCommand> {
    let mut found: Vec<DocCommand> = Vec::new();
    let mut block = None;
    for (line, number) in text.lines().zip(1..) {
        let content = line.trim_start();
        if let Some(language) = content.strip_prefix("```") {
            let indent = line.len() - content.len();
            block = (block.is_none() && matches!(language, "sh" | "console"))
                .then(|| (indent, language == "console"));
            continue;
        }
        let Some((indent, has_outputs)) = block else { continue };
        let line = line.get(indent..).unwrap_or_default();
        let last = found.last_mut();
        let command = if has_outputs { line.strip_prefix("$ ") } else { Some(line) };
        match (command, last) {
            (Some(line), Some(DocCommand { text, output: None, .. })) if text.ends_with('\\') => {
                text.extend(["\n", line]);
            }
            (Some(""), _) => {}
            (Some(line), _) => found.push(DocCommand {
                place: format!("{page}:{number}"),
                text: line.to_owned(),
                output: has_outputs.then(String::new),
            }),
            (None, Some(DocCommand { output: Some(output), .. })) => {
                output.extend([line, "\n"]);
            }
            (None, _) => {}
        }
    }
    found
}

/// The first block of YAML after a text of the page.
#[must_use]
pub fn yaml_after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    let (_, rest) = rest.split_once("```yaml\n")?;
    Some(rest.split_once("```")?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_lines_of_sh_and_lines_after_a_prompt() {
        let page = "\
Text
```sh
one --flag   # why

two \\
  three
```
1. A list
   ```sh
   four
   ```
```console
$ five
out

put
$ six
```
```yaml
seven: eight
```
";
        let command = |place: &str, text: &str, output: Option<&str>| DocCommand {
            place: format!("a.md:{place}"),
            text: text.to_owned(),
            output: output.map(str::to_owned),
        };
        let expected = [
            command("3", "one --flag   # why", None),
            command("5", "two \\\n  three", None),
            command("10", "four", None),
            command("13", "five", Some("out\n\nput\n")),
            command("17", "six", Some("")),
        ];
        assert_eq!(commands("a.md", page), expected);
        assert_eq!(yaml_after(page, "A list"), Some("seven: eight\n"));
        assert_eq!(yaml_after(page, "A table"), None);
    }
}
