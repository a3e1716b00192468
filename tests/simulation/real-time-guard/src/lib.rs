//! Finds reads of the real clock on a thread, and gives it reproducible random numbers.
//!
//! A simulation in virtual time is reproducible only if nothing in it reads the real clock or the
//! kernel's random numbers. A program that links this crate has its own `clock_gettime` and
//! `getrandom`, in place of libc's. They do what libc's do, except on a thread with a [`Guard`]:
//!
//! - A read of the wall clock is a stray read. The first one is kept with its backtrace. The answer
//!   is always 2001-09-09T01:46:40Z. The monotonic clock stays real: tokio reads it also when paused.
//! - Random bytes come from a generator with the guard's seed. `HashMap` takes its keys from there,
//!   so the order of its entries is the seed's too.
//!
//! Limits:
//!
//! - `std` keeps the keys of `HashMap` for a whole thread, from the first `HashMap` on. Begin the
//!   guard on a new thread, before anything else.
//! - `fastrand` seeds a thread's generator with the monotonic clock: call `fastrand::seed` as well.
//! - tokio seeds the generator of `select!` with keys of `HashMap` and a counter of the whole
//!   process. Only the first runtime of a process is reproducible there, unless each `select!` is
//!   `biased`.
//! - Only calls of the two functions of libc are seen, and not the system calls of `rustix`, say.
//! - It works on 64-bit Linux with a dynamically linked libc. Elsewhere a guard does nothing.

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[path = "linux.rs"]
mod platform;

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
mod platform {
    pub(crate) fn begin(_seed: u64) {}
    pub(crate) fn end() {}
    pub(crate) fn stray_read() -> Option<String> {
        None
    }
}

use std::marker::PhantomData;

/// Guards the thread that made it, until it is dropped.
#[derive(Debug)]
#[must_use = "the thread is guarded until this is dropped"]
pub struct Guard {
    /// It belongs to its thread.
    not_send: PhantomData<*const ()>,
}

/// Guards this thread.
///
/// # Panics
/// When the thread already has a guard.
pub fn guard(seed: u64) -> Guard {
    platform::begin(seed);
    Guard { not_send: PhantomData }
}

impl Guard {
    /// The backtrace of the first stray read of the wall clock, if there was one.
    #[must_use]
    pub fn stray_read(&self) -> Option<String> {
        platform::stray_read()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        platform::end();
    }
}
