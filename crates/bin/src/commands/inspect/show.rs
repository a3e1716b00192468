//! Prints the output of a command, once or again and again.

use std::{path::Path, time::Duration};

use tokio::time::sleep;

use crate::{
    cli::InspectArgs, config::STANDARD_INPUT, failure::Failure, logging, output, runtime::runtime,
    screen::Screen,
};

/// The pause of `--watch` between two reads.
const PAUSE: Duration = Duration::from_secs(2);

/// The output of a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rendered {
    pub(super) text: String,
    /// For standard error.
    pub(super) notes: String,
    /// Whether the exit code is 0.
    pub(super) is_good: bool,
}

/// Prints the output of `render`; with `--watch` again and again.
pub(super) fn show(
    args: &InspectArgs,
    screen: Screen,
    render: impl AsyncFn() -> Result<Rendered, Failure>,
) -> Result<(), Failure> {
    logging::start_if_asked(args.log.verbose);
    runtime()?.block_on(async {
        if args.watch {
            return watch(args, screen, render).await;
        }
        let Rendered { text, notes, is_good } = render().await?;
        output::print(text)?;
        eprint!("{notes}");
        if is_good { Ok(()) } else { Err(Failure::Reported) }
    })
}

/// Prints the output again when it has changed, until nobody reads it.
async fn watch(
    args: &InspectArgs,
    screen: Screen,
    render: impl AsyncFn() -> Result<Rendered, Failure>,
) -> Result<(), Failure> {
    if args.config.existing().is_some_and(|file| file == Path::new(STANDARD_INPUT)) {
        let message = "`--watch` reads the config again and again: name a file";
        return Err(Failure::Usage(message.to_owned()));
    }
    let mut shown = None;
    let mut failed = String::new();
    loop {
        match render().await {
            Ok(rendered) => {
                let rendered = Some(rendered);
                let is_new = rendered != shown;
                if let Some(Rendered { text, notes, .. }) = rendered.as_ref().filter(|_| is_new) {
                    if !output::print_more(format!("{}{text}", screen.clear()))? {
                        return Ok(());
                    }
                    eprint!("{notes}");
                }
                shown = rendered;
                failed.clear();
            }
            // Later, the API server may be away for a while, and the config be wrong.
            Err(failure) if shown.is_none() => return Err(failure),
            Err(failure) => {
                let message = failure.message();
                if failed != message {
                    eprintln!("{message}");
                }
                failed = message;
            }
        }
        sleep(PAUSE).await;
    }
}
