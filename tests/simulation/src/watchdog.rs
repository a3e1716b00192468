//! An end for runs in which virtual time no longer moves.

use std::{
    panic::resume_unwind,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

/// Runs `work` on a new thread, and returns its result. Virtual time stands still while a task is
/// ready, so a task that is always ready spins for ever: no timeout in virtual time ends that.
///
/// # Panics
/// With the name `what`, when the work takes longer than `limit` in real time. The thread cannot be
/// stopped, and keeps running. Also when the work panics, with its panic.
pub fn within_real_time<T: Send + 'static>(
    limit: Duration,
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::Builder::new().name(what.to_owned()).spawn(move || {
        // Nothing receives this after a timeout.
        let _ = sender.send(work());
    });
    let thread = thread.expect("a new thread");
    match receiver.recv_timeout(limit) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => {
            panic!(
                "{what} has not ended after {limit:?} of real time: virtual time may stand still"
            )
        }
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => panic!("{what} ended without a result"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn work_in_time_gives_its_result() {
        assert_eq!(within_real_time(LONG, "a sum", || 1 + 1), 2);
    }

    #[test]
    #[should_panic(expected = "a long run has not ended after 20ms")]
    fn work_that_takes_too_long_is_a_panic_with_its_name() {
        within_real_time(Duration::from_millis(20), "a long run", || {
            thread::sleep(LONG);
        });
    }

    #[test]
    #[should_panic(expected = "an invariant is broken")]
    fn a_panic_of_the_work_is_passed_on() {
        within_real_time(LONG, "a bad run", || panic!("an invariant is broken"));
    }
}
