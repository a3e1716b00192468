//! `man-pages`: the help of all commands, for `man`.

use std::fs;

use anyhow::Context;
use clap::CommandFactory;

use crate::{
    cli::{Cli, ManPagesArgs},
    failure::Failure,
};

/// Writes a page for each command.
pub(crate) fn execute(args: &ManPagesArgs) -> Result<(), Failure> {
    let folder = &args.folder;
    let write = || {
        fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Cli::command(), folder)
    };
    write().with_context(|| format!("could not write the man pages to {}", folder.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_examples() {
        let folder = tempfile::tempdir().expect("a folder");
        let args = ManPagesArgs { folder: folder.path().join("man1") };
        assert!(execute(&args).is_ok());
        for command in Cli::command().get_subcommands() {
            let page = args.folder.join(format!("ecr-refresher-{}.1", command.get_name()));
            let page =
                fs::read_to_string(&page).unwrap_or_else(|error| panic!("{page:?}: {error}"));
            let is_complete = command.get_after_help().is_none() || page.contains("Examples:");
            assert!(is_complete, "{page}");
        }
    }

    #[test]
    fn the_error_names_the_folder() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let args = ManPagesArgs { folder: file.path().to_owned() };
        let error = format!("{:?}", execute(&args).expect_err("it is a file"));
        assert!(error.contains(&file.path().display().to_string()), "{error}");
    }
}
