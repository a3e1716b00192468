//! Words for people.

use jiff::{SignedDuration, Timestamp};

/// A number of things, such as `1 copy` or `2 copies`.
pub(crate) fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A time in its two largest units, such as `5h 12m`, whatever its sign.
pub(crate) fn time(time: SignedDuration) -> String {
    let seconds = time.as_secs().unsigned_abs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let with = |large: String, small: u64, unit: &str| {
        if small == 0 { large } else { format!("{large} {small}{unit}") }
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => with(format!("{hours}h"), minutes % 60, "m"),
        (days, hours, _) => with(format!("{days}d"), hours % 24, "h"),
    }
}

/// The time that something has left, such as `5h 12m` or `expired 3m ago`.
pub(crate) fn left(left: SignedDuration) -> String {
    let words = time(left);
    if left <= SignedDuration::ZERO { format!("expired {words} ago") } else { words }
}

/// A moment in whole seconds.
pub(crate) fn moment(at: Timestamp) -> String {
    format!("{at:.0}")
}

/// The known word that is nearest to a misspelt one.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let distance = |known: &str| strsim::damerau_levenshtein(&lower, &known.to_lowercase());
    let (distance, nearest) = known.into_iter().map(|known| (distance(known), known)).min()?;
    (distance <= word.len().div_ceil(3)).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_its_two_largest_units() {
        for (seconds, words) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (-200, "3m"),
            (3600, "1h"),
            (18_720, "5h 12m"),
            (86_400 + 7_200, "1d 2h"),
            (-2 * 86_400, "2d"),
        ] {
            assert_eq!(time(SignedDuration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn the_nearest_word_is_found_if_it_is_near() {
        let known = ["payments", "team-a"];
        assert_eq!(nearest("paymets", known), Some("payments"));
        assert_eq!(nearest("Team-b", known), Some("team-a"));
        assert_eq!(nearest("sandbox", known), None);
        assert_eq!(nearest("sandbox", []), None);
    }
}
