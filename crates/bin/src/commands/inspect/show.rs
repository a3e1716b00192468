//! Shows what a command has seen, once or again and again.

use std::{path::Path, time::Duration};

use tokio::time::sleep;

use crate::{
    cli::InspectArgs, config::STANDARD_INPUT, failure::Failure, logging, output, runtime::runtime,
    screen::Screen,
};

/// The pause of `--watch` between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// What a command has seen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) text: String,
    /// For standard error.
    pub(super) notes: String,
    /// Whether the exit code is 0.
    pub(super) is_good: bool,
}

/// Looks, and prints what is seen; with `--watch` again and again.
pub(super) fn show(
    args: &InspectArgs,
    screen: Screen,
    look: impl AsyncFn() -> Result<Seen, Failure>,
) -> Result<(), Failure> {
    logging::start_if_asked(args.log.verbose);
    runtime()?.block_on(async {
        if args.watch {
            return watch(args, screen, look).await;
        }
        let Seen { text, notes, is_good } = look().await?;
        output::print(text)?;
        eprint!("{notes}");
        if is_good { Ok(()) } else { Err(Failure::Reported) }
    })
}

/// Prints what is seen whenever that is something else, until nobody reads it.
async fn watch(
    args: &InspectArgs,
    screen: Screen,
    look: impl AsyncFn() -> Result<Seen, Failure>,
) -> Result<(), Failure> {
    if args.config.existing().is_some_and(|file| file == Path::new(STANDARD_INPUT)) {
        let message = "`--watch` reads the config again and again: name a file";
        return Err(Failure::Usage(message.to_owned()));
    }
    let mut shown = None;
    let mut failed = String::new();
    loop {
        match look().await {
            Ok(seen) => {
                let seen = Some(seen);
                if let Some(Seen { text, notes, .. }) = seen.as_ref().filter(|_| seen != shown) {
                    if !output::print_more(format!("{}{text}", screen.clear()))? {
                        return Ok(());
                    }
                    eprint!("{notes}");
                }
                shown = seen;
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
