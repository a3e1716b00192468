//! What a guard does to its own thread, and leaves alone on others.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::disallowed_methods, reason = "reads of the real clock are what it tests")]

use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant, SystemTime},
};

use ecr_refresher_real_time_guard::guard;

const FIXED_TIME: Duration = Duration::from_secs(1_000_000_001);

fn is_real(time: SystemTime) -> bool {
    time > SystemTime::UNIX_EPOCH + FIXED_TIME
}

/// Runs on a thread of its own, which has no keys for `HashMap` yet.
fn on_new_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(work).join().unwrap()
}

fn order_of_a_set() -> Vec<u32> {
    (0..100).collect::<HashSet<_>>().into_iter().collect()
}

#[inline(never)]
fn read_the_wall_clock() -> SystemTime {
    SystemTime::now()
}

#[test]
fn a_read_of_the_wall_clock_is_recorded_and_answered_with_a_fixed_time() {
    on_new_thread(|| {
        let guard = guard(1);
        assert_eq!(guard.stray_read(), None);
        let first = read_the_wall_clock();
        let backtrace = guard.stray_read().unwrap();
        assert!(backtrace.contains("read_the_wall_clock"), "{backtrace}");
        assert!(!is_real(first));
        assert_eq!(SystemTime::now(), first);
        assert_eq!(guard.stray_read().unwrap(), backtrace);
    });
}

#[test]
fn the_monotonic_clock_stays_real() {
    on_new_thread(|| {
        let guard = guard(1);
        let start = Instant::now();
        thread::sleep(Duration::from_millis(5));
        assert!(start.elapsed() >= Duration::from_millis(5));
        assert_eq!(guard.stray_read(), None);
    });
}

#[test]
fn another_thread_is_unaffected() {
    on_new_thread(|| {
        let guard = guard(1);
        assert!(is_real(on_new_thread(SystemTime::now)));
        assert_ne!(on_new_thread(order_of_a_set), on_new_thread(order_of_a_set));
        assert_eq!(guard.stray_read(), None);
    });
}

#[test]
fn the_order_of_a_set_is_the_seeds() {
    let order = |seed| {
        on_new_thread(move || {
            let _guard = guard(seed);
            (order_of_a_set(), order_of_a_set())
        })
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn after_the_guard_the_real_clock_is_back_and_another_guard_begins_anew() {
    on_new_thread(|| {
        let first = guard(1);
        assert!(!is_real(SystemTime::now()));
        drop(first);
        assert!(is_real(SystemTime::now()));
        let second = guard(1);
        assert_eq!(second.stray_read(), None);
    });
}

#[test]
#[should_panic(expected = "already has a guard")]
fn a_thread_has_one_guard_at_a_time() {
    let _first = guard(1);
    let _second = guard(2);
}
