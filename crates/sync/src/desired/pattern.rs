//! Patterns of namespace names: globs with `*`, `?`, `[a-z]`, `[!a-z]` and `{a,b}`.

use std::collections::BTreeSet;

use globset::{Glob, GlobBuilder};
use regex_automata::{
    Anchored, Input,
    hybrid::{
        LazyStateID,
        dfa::{Cache, DFA},
    },
    nfa::thompson,
    util::syntax,
};

/// The longest name of a namespace (a DNS label).
const LONGEST_NAME: usize = 63;
/// A pattern with more states than this is taken to match some name.
const MOST_STATES: usize = 10_000;

/// Compiles a pattern.
///
/// # Errors
/// If it is not a glob, or cannot match any namespace.
pub(super) fn compile(pattern: &str) -> Result<Glob, String> {
    // In a shell, `{a,}` matches `a` and the empty text. Names have no `\`, which escapes nothing.
    let glob = GlobBuilder::new(pattern).backslash_escape(false).empty_alternates(true).build();
    let glob = glob.map_err(|error| error.kind().to_string())?;
    if can_match(&glob) {
        Ok(glob)
    } else {
        Err("it cannot match any namespace: a name has 1 to 63 lower-case letters, digits and `-`, and \
             `-` is neither its first nor its last character"
            .to_owned())
    }
}

/// Whether any valid name of a namespace matches.
fn can_match(glob: &Glob) -> bool {
    automaton(glob.regex()).is_none_or(|wanted| walk(&wanted, None).unwrap_or(true))
}

/// The positions of the patterns of which each name matches one of `others` too, as far as that can be told.
pub(super) fn covered(patterns: &[String], others: &[String]) -> Vec<usize> {
    let regex = |pattern: &String| Some(compile(pattern).ok()?.regex().to_owned());
    let others: Vec<_> =
        others.iter().filter_map(regex).map(|other| format!("(?:{other})")).collect();
    // Built once: there may be hundreds on both sides.
    let unwanted = automaton(&others.join("|")).filter(|_| !others.is_empty());
    let Some(unwanted) = unwanted else { return Vec::new() };
    let is_covered = |pattern: &String| {
        let wanted = regex(pattern).and_then(|regex| automaton(&regex));
        wanted.is_some_and(|wanted| walk(&wanted, Some(&unwanted)) == Some(false))
    };
    (0..).zip(patterns).filter(|(_, pattern)| is_covered(pattern)).map(|(index, _)| index).collect()
}

/// The automaton of a regular expression as globset compiles it: it matches bytes.
fn automaton(regex: &str) -> Option<DFA> {
    DFA::builder()
        .syntax(syntax::Config::new().utf8(false))
        .thompson(thompson::Config::new().utf8(false))
        .build(regex)
        .ok()
}

/// Whether any valid name of a namespace matches the first automaton and not the other one: walks both with
/// all of them. `None` if there are too many states.
fn walk(wanted: &DFA, unwanted: Option<&DFA>) -> Option<bool> {
    let mut wanted = Walker::new(wanted);
    let mut unwanted = unwanted.map(Walker::new);
    let start = (wanted.start()?, unwanted.as_mut().map_or(Some(None), |it| it.start().map(Some))?);
    let mut states = BTreeSet::from([start]);
    for length in 1..=LONGEST_NAME {
        let mut inner = BTreeSet::new();
        for &(state, other) in &states {
            let bytes = (b'a'..=b'z').chain(b'0'..=b'9').chain((length > 1).then_some(b'-'));
            for byte in bytes {
                let next = wanted.next(state, byte)?;
                let (mut other_next, mut is_unwanted) = (None, false);
                if let (Some(walker), Some(other)) = (&mut unwanted, other) {
                    let state = walker.next(other, byte)?;
                    is_unwanted = walker.is_match(state)?;
                    other_next = Some(state);
                }
                if byte != b'-' && !is_unwanted && wanted.is_match(next)? {
                    return Some(true);
                }
                if !next.is_dead() {
                    inner.insert((next, other_next));
                }
            }
        }
        if inner.len() > MOST_STATES {
            return None;
        }
        states = inner;
    }
    Some(false)
}

/// An automaton on its way through names.
struct Walker<'a> {
    dfa: &'a DFA,
    cache: Cache,
}

impl<'a> Walker<'a> {
    fn new(dfa: &'a DFA) -> Self {
        Self { dfa, cache: dfa.create_cache() }
    }

    fn start(&mut self) -> Option<LazyStateID> {
        let input = Input::new("").anchored(Anchored::Yes);
        self.dfa.start_state_forward(&mut self.cache, &input).ok()
    }

    fn next(&mut self, state: LazyStateID, byte: u8) -> Option<LazyStateID> {
        self.dfa.next_state(&mut self.cache, state, byte).ok()
    }

    fn is_match(&mut self, state: LazyStateID) -> Option<bool> {
        Some(self.dfa.next_eoi_state(&mut self.cache, state).ok()?.is_match())
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn a_pattern_that_no_namespace_can_match_is_refused() {
        for pattern in
            ["", "Team-*", "team_x", "!x", "^x$", "a,b", "“x”", "-*", "*-", "a/b", "{A,_b}"]
        {
            let problem = compile(pattern).unwrap_err();
            assert!(problem.starts_with("it cannot match any namespace"), "{pattern}: {problem}");
        }
        assert!(compile(&"a".repeat(64)).is_err());
    }

    #[test]
    fn a_pattern_that_some_namespace_can_match_is_never_refused() {
        for pattern in [
            "a",
            "*",
            "*-*",
            "?",
            "{A,b}",
            "{,a}",
            "[!a-y]",
            "[A-z]",
            "*a*????????????????",
            "x{,-{A,y}}",
        ] {
            assert!(compile(pattern).is_ok(), "{pattern}");
        }
        assert!(compile(&"a".repeat(63)).is_ok());
        assert!(compile(&format!("*a{}", "?".repeat(50))).is_ok(), "with too many states to walk");
    }

    #[test]
    fn a_pattern_is_covered_if_no_name_escapes_the_others() {
        let covered = |pattern: &str, others: &[&str]| {
            let others: Vec<_> = others.iter().map(|&it| it.to_owned()).collect();
            super::covered(&[pattern.to_owned()], &others) == [0]
        };
        for (pattern, others) in [
            ("a", &["a"][..]),
            ("team-*", &["*"]),
            ("team-?", &["x", "team-*"]),
            ("{a,b}", &["a", "b"]),
            ("*", &["?*"]),
        ] {
            assert!(covered(pattern, others), "{pattern} {others:?}");
        }
        for (pattern, others) in
            [("a", &[][..]), ("a*", &["a"]), ("*", &["a*", "[b-z]*"]), ("{a,b}", &["a"])]
        {
            assert!(!covered(pattern, others), "{pattern} {others:?}");
        }
    }

    #[test]
    fn a_pattern_that_is_not_a_glob_is_refused() {
        for pattern in ["team-[a", "{a", "a}", "[b-a]"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }

    /// A part of a pattern.
    #[derive(Debug, Clone)]
    enum Part {
        Letter(char),
        Any,
        One,
        Class { negated: bool, from: char, to: char },
        Alternates(Vec<Vec<Part>>),
    }

    fn text(parts: &[Part]) -> String {
        let text_of = |part: &Part| match part {
            Part::Letter(letter) => letter.to_string(),
            Part::Any => "*".to_owned(),
            Part::One => "?".to_owned(),
            Part::Class { negated, from, to } => {
                format!("[{}{from}-{to}]", if *negated { "!" } else { "" })
            }
            Part::Alternates(all) => {
                format!("{{{}}}", all.iter().map(|it| text(it)).collect::<Vec<_>>().join(","))
            }
        };
        parts.iter().map(text_of).collect()
    }

    /// Matches as a shell does: tries every way.
    fn matches(parts: &[Part], name: &[char]) -> bool {
        let Some((part, rest)) = parts.split_first() else { return name.is_empty() };
        let first = |is_match: &dyn Fn(char) -> bool| {
            name.split_first().is_some_and(|(&it, left)| is_match(it) && matches(rest, left))
        };
        match part {
            Part::Letter(letter) => first(&|it| it == *letter),
            Part::One => first(&|_| true),
            Part::Class { negated, from, to } => {
                first(&|it| (*from..=*to).contains(&it) != *negated)
            }
            Part::Any => (0..=name.len()).any(|count| matches(rest, &name[count..])),
            Part::Alternates(all) => {
                all.iter().any(|alternate| matches(&[alternate.as_slice(), rest].concat(), name))
            }
        }
    }

    fn part() -> impl Strategy<Value = Part> {
        let letter = || prop::sample::select(vec!['a', 'b', '-']);
        let leaf = prop_oneof![
            letter().prop_map(Part::Letter),
            Just(Part::Any),
            Just(Part::One),
            (any::<bool>(), prop::sample::select(vec![('a', 'a'), ('a', 'b'), ('0', 'a')]))
                .prop_map(|(negated, (from, to))| Part::Class { negated, from, to }),
        ];
        leaf.prop_recursive(2, 12, 3, |inner| {
            vec(vec(inner, 0..3), 1..4).prop_map(Part::Alternates)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn globs_match_as_in_a_shell(
            parts in vec(part(), 0..5),
            names in vec("[ab-]{0,5}", 8),
        ) {
            let pattern = text(&parts);
            let matching = |name: &String| matches(&parts, &name.chars().collect::<Vec<_>>());
            match compile(&pattern) {
                Ok(glob) => {
                    let matcher = glob.compile_matcher();
                    for name in &names {
                        prop_assert_eq!(matcher.is_match(name), matching(name), "{} {}", pattern, name);
                    }
                }
                Err(problem) => {
                    let is_valid = |name: &&String| {
                        !name.is_empty() && !name.starts_with('-') && !name.ends_with('-')
                    };
                    let matched = names.iter().filter(is_valid).find(|name| matching(name));
                    prop_assert_eq!(matched, None, "{}: {}", pattern, problem);
                }
            }
        }
    }
}
