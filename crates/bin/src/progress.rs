//! Progress on standard error: a bar on a terminal, elsewhere a line now and then. Log lines are above the bar.

use std::{
    io::{self, IsTerminal, Write, stderr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle, WeakProgressBar};

/// The time between two lines.
pub(crate) const LINE: Duration = Duration::from_secs(10);

/// The bar that is shown.
static BAR: Mutex<Option<WeakProgressBar>> = Mutex::new(None);

/// The bar of the process, which is shown until it is dropped; `None` where standard error is no terminal.
pub(crate) fn bar(template: &str) -> Option<ProgressBar> {
    if !stderr().is_terminal() {
        return None;
    }
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::no_length().with_style(style).with_finish(ProgressFinish::AndClear);
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.downgrade());
    Some(bar)
}

/// Standard error above the bar.
pub(crate) struct AboveBar;

impl Write for AboveBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match bar.and_then(|bar| bar.upgrade()) {
            Some(bar) => bar.suspend(|| stderr().write(bytes)),
            None => stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}
