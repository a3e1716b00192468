//! The two functions of libc, replaced.

use std::{
    backtrace::Backtrace,
    cell::{Cell, RefCell},
    ffi::{c_int, c_long, c_uint, c_void},
};

/// The wall clock of a guarded thread: 2001-09-09T01:46:40Z, so that it stands out.
const FIXED_TIME: libc::timespec = libc::timespec { tv_sec: 1_000_000_000, tv_nsec: 0 };

/// What this thread's calls do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The same as libc's.
    Real,
    /// What [`crate`] says.
    Guarded,
    /// The same as libc's: a backtrace is being captured, which may call them too.
    Capturing,
}

thread_local! {
    // Both without destructors: the functions below are called before `main` and at a thread's end.
    static MODE: Cell<Mode> = const { Cell::new(Mode::Real) };
    static RANDOM: Cell<u64> = const { Cell::new(0) };
    static STRAY_READ: RefCell<Option<Backtrace>> = const { RefCell::new(None) };
}

pub(crate) fn begin(seed: u64) {
    assert!(MODE.get() == Mode::Real, "this thread already has a guard");
    RANDOM.set(seed);
    STRAY_READ.set(None);
    MODE.set(Mode::Guarded);
}

pub(crate) fn end() {
    MODE.set(Mode::Real);
    STRAY_READ.set(None);
}

pub(crate) fn stray_read() -> Option<String> {
    // Symbols are resolved here, and that must not count as a stray read either.
    while_capturing(|| STRAY_READ.with_borrow(|read| read.as_ref().map(ToString::to_string)))
}

fn record_stray_read() {
    while_capturing(|| {
        // It is gone at the end of a thread that has forgotten its guard.
        let _ = STRAY_READ.try_with(|first| {
            first.borrow_mut().get_or_insert_with(Backtrace::force_capture);
        });
    });
}

fn while_capturing<T>(work: impl FnOnce() -> T) -> T {
    let before = MODE.replace(Mode::Capturing);
    let result = work();
    MODE.set(before);
    result
}

fn is_guarded() -> bool {
    MODE.get() == Mode::Guarded
}

/// In place of libc's.
///
/// # Safety
/// As libc's: `time` must be valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    let is_wall_clock = matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE);
    if is_wall_clock && is_guarded() {
        record_stray_read();
        // SAFETY: the caller gives a pointer that is valid for a write.
        unsafe { time.write(FIXED_TIME) };
        return 0;
    }
    // SAFETY: the system call has the contract of this function: the kernel writes one `timespec`,
    // with the layout of libc on a 64-bit system.
    let result = unsafe { libc::syscall(libc::SYS_clock_gettime, c_long::from(clock), time) };
    if result == 0 { 0 } else { -1 }
}

/// In place of libc's.
///
/// # Safety
/// As libc's: `buffer` must be valid for writes of `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    if !is_guarded() {
        // SAFETY: the system call has the contract of this function: the kernel writes at most
        // `length` bytes.
        let written = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
        return isize::try_from(written).unwrap_or(-1);
    }
    let buffer = buffer.cast::<u8>();
    for start in (0..length).step_by(8) {
        let bytes = next_random().to_ne_bytes();
        let count = bytes.len().min(length - start);
        // SAFETY: the caller's buffer is valid for writes up to `length`, and `start + count` is no
        // more than that; `bytes` has at least `count` bytes and is not part of that buffer.
        unsafe { bytes.as_ptr().copy_to_nonoverlapping(buffer.add(start), count) };
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}

/// `SplitMix64`.
fn next_random() -> u64 {
    let state = RANDOM.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    RANDOM.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
