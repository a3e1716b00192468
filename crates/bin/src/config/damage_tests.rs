//! Config files with damage: each is right, or wrong with a message and a place.

use std::path::Path;

use proptest::{collection::vec, prelude::*, sample::select};

use super::{Environment, parse};

const GOOD: &str = include_str!("../../../../config/config.yaml");
/// What people and tools write in a wrong place.
const ODD: [&str; 22] = [
    "\t",
    "\n",
    ":",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "*",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "|",
    ">",
    "'",
    "\"",
    "---\n",
    "null",
    "1e999",
    "\u{feff}",
    "\0",
];

/// The good file with odd texts in place of some of its own.
fn damaged() -> impl Strategy<Value = String> {
    let odd = prop_oneof![select(&ODD[..]).prop_map(str::to_owned), ".{0,6}"];
    vec((0..GOOD.len(), 0..40_usize, odd), 1..5).prop_map(|damages| {
        let mut letters: Vec<char> = GOOD.chars().collect();
        for (at, length, with) in damages {
            let at = at.min(letters.len());
            letters.splice(at..(at + length).min(letters.len()), with.chars());
        }
        letters.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn no_text_panics_and_each_problem_has_a_message_and_a_place(
        text in prop_oneof![damaged(), ".{0,200}"],
    ) {
        let parsed = parse(Path::new("config.yaml"), &text, Environment::empty(), "ours");
        if let Err(error) = parsed {
            for line in error.to_string().lines() {
                let message = line.strip_prefix("config.yaml:").map(str::trim);
                prop_assert!(message.is_some_and(|it| it.len() > 5), "{error}");
            }
        }
    }
}
