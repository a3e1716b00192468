use std::fs;

use super::*;

fn usage(program: &str, arguments: &[&str]) -> String {
    let command = Cli::called(Path::new(program));
    let all = [program].into_iter().chain(arguments.iter().copied());
    command.try_get_matches_from(all).expect_err("it asks for help").to_string()
}

#[test]
fn as_a_plugin_the_help_says_what_users_type() {
    for (program, typed) in [
        ("/usr/local/bin/kubectl-ecr_refresher", "kubectl ecr-refresher"),
        ("/usr/local/bin/ecr-refresher", "ecr-refresher"),
    ] {
        let help = usage(program, &["status", "--help"]);
        assert!(help.contains(&format!("Usage: {typed} status")), "{help}");
    }
}

#[test]
fn the_config_file_is_named_once() {
    let path = |arguments: &[&str]| {
        let cli = Cli::try_parse_from(["ecr-refresher", "check"].iter().chain(arguments))?;
        let Command::Check(args) = cli.command else { unreachable!() };
        Ok::<_, clap::Error>(args.config.path())
    };
    for arguments in [&["a.yaml"][..], &["--config", "a.yaml"]] {
        assert_eq!(path(arguments).expect("a file"), Path::new("a.yaml"));
    }
    assert!(path(&["a.yaml", "--config", "b.yaml"]).is_err());
}

/// The command lines in a text, each with its program: up to where a shell or Markdown ends them.
fn command_lines(text: &str) -> Vec<String> {
    let program = env!("CARGO_PKG_NAME");
    let commands = Cli::command();
    let mut lines = Vec::new();
    for (position, _) in text.match_indices(&format!("{program} ")) {
        let line = text[position..].split(['`', '|', '>', '#', ';', ')', ',', '\n']).next();
        // A placeholder that has fixed values.
        let line = line.unwrap_or_default().replace("SHELL", "bash");
        let command = line.split_whitespace().nth(1);
        if command.is_some_and(|name| commands.find_subcommand(name).is_some()) {
            lines.push(line);
        }
    }
    lines
}

#[test]
fn every_command_in_the_help_and_the_docs_is_valid() {
    let mut texts = Vec::new();
    for command in Cli::command().get_subcommands() {
        texts.push(usage("ecr-refresher", &[command.get_name(), "--help"]));
        let usage = texts.last_mut().expect("a text");
        *usage = usage.split_once("Examples:").map_or_else(String::new, |(_, it)| it.to_owned());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = fs::read_dir(root.join("docs")).expect("the docs");
    let pages = docs.map(|entry| entry.expect("an entry").path()).chain([root.join("README.md")]);
    for page in pages.filter(|path| path.extension().is_some_and(|it| it == "md")) {
        texts.push(fs::read_to_string(page).expect("a page"));
    }
    let lines: Vec<_> = texts.iter().flat_map(|text| command_lines(text)).collect();
    for line in &lines {
        let parsed = Cli::try_parse_from(line.split_whitespace());
        assert!(parsed.is_ok(), "{line}: {parsed:?}");
    }
    assert!(lines.len() >= 40, "{} commands", lines.len());
}
