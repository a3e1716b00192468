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

#[test]
fn every_command_of_an_example_is_valid() {
    let all = usage("ecr-refresher", &["help"]);
    let mut helps = vec![all];
    for command in Cli::command().get_subcommands() {
        helps.push(usage("ecr-refresher", &[command.get_name(), "--help"]));
    }
    let examples = helps.iter().flat_map(|help| help.lines());
    let examples = examples.filter_map(|line| line.trim().strip_prefix("$ "));
    let mut tried = 0;
    for example in examples {
        let command = example.split('|').next_back().expect("a command").trim();
        let command = command.split(" >").next().expect("a command");
        let parsed = Cli::try_parse_from(command.split_whitespace());
        assert!(parsed.is_ok(), "{example}: {parsed:?}");
        tried += 1;
    }
    assert!(tried >= 10, "{tried} examples");
}
