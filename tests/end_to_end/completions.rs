//! The completion scripts, in their shells.

use std::{fs, process::Command, sync::Arc};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{control_plane::ControlPlane, daemon::program, tools::Tool};

use crate::scenario::Scenario;

/// What a user has typed.
const TYPED: &str = "ecr-refresher plan --al";
/// The only flag that begins so.
const COMPLETED: &str = "--all";

const BASH: &str = r#"source "$1"
function=$(complete -p ecr-refresher | sed 's/.*-F \([^ ]*\) .*/\1/')
COMP_WORDS=(ecr-refresher plan --al) COMP_CWORD=2
$function ecr-refresher --al plan
echo "${COMPREPLY[@]}""#;
const FISH: &str = r#"source $argv[1]
complete -C "ecr-refresher plan --al""#;
/// The completion of zsh works in a terminal alone.
const ZSH: &str = r#"zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "autoload -Uz compinit; compinit -u -D; source $1"
zpty -w -n shell $'ecr-refresher plan --al\t'
zpty -r shell seen '*plan --all*'
print -r -- "$seen""#;

pub(crate) fn tests() -> Vec<Scenario> {
    vec![Scenario::new("a flag after a command is completed in bash, fish and zsh", in_shells)]
}

async fn in_shells(_: Arc<ControlPlane>) -> Result<()> {
    for (shell, script) in [("bash", BASH), ("fish", FISH), ("zsh", ZSH)] {
        let said = tokio::task::spawn_blocking(move || complete(shell, script)).await??;
        ensure!(said.contains(COMPLETED), "{shell}, after {TYPED:?}: {said:?}");
    }
    Ok(())
}

/// What a shell says with the completions, running this script.
fn complete(shell: &str, script: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let [completions, file] = ["completions", "script"].map(|name| folder.path().join(name));
    let printed = Command::new(program()?).args(["completions", shell]).output()?;
    ensure!(printed.status.success(), "no completions for {shell}");
    fs::write(&completions, printed.stdout)?;
    fs::write(&file, script)?;
    let path = match shell {
        "fish" => Tool::Fish.path()?,
        "zsh" => Tool::Zsh.path()?,
        _ => shell.into(),
    };
    // Without the user's own settings, which all three find there.
    let ran = Command::new(path).arg(file).arg(&completions).env("HOME", folder.path()).output();
    let ran = ran.with_context(|| format!("{shell} cannot be run"))?;
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}
