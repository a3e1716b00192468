//! In any history, with events in any order, no forbidden write or deletion happens, and in the end all
//! copies are up to date.

mod cluster;
mod config;
mod rest;
mod shown;
mod world;

use proptest::{collection::vec, prelude::*};
use strum::VariantArray;

use self::{
    config::{Edit, Kind, PATTERNS, SELECTORS},
    world::World,
};
use super::*;

const NAMES: [&str; 4] = ["team-a", "team-b", "team-c", "other"];

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    MakeNamespace(&'static str, Tier),
    TerminateNamespace(&'static str),
    RemoveNamespace(&'static str),
    MakeForeign(Kind, &'static str),
    RemoveSecret(Kind, &'static str),
    Edit(Kind, &'static str),
    /// A tenant removes a label: with `true`, the one that marks it as ours.
    Strip(Kind, &'static str, bool),
    Webhook(bool),
    Token,
    DeliverNamespace,
    DeliverCopy(Kind),
    RelistNamespaces,
    RelistCopies(Kind),
    ListNamespaces,
    ListCopies(Kind),
    /// The engine has room for so many writes.
    Start(usize),
    /// The API server does what it is asked.
    Do(usize),
    /// It does it, and its answer is lost.
    DoInSilence(usize),
    Refuse(usize, WriteReason),
    Answer(usize),
    Pass(u64),
    /// The date is set by so many seconds; with `true`, all is planned anew then.
    SetDate(i64, bool),
    /// Another config, and whether the watches that follow from it begin at once.
    Configure(Edit, bool),
    /// Another process leads.
    StandBy,
    Lead,
    /// Etcd is backed up, and restored from that later on.
    BackUp,
    Restore,
}

type Tier = Option<&'static str>;

/// A step, from two numbers: many strategies in one are slow to draw from. The kinds below
/// [`STEADY`] leave the config, the clock and the leadership alone.
fn step(kinds: u8) -> impl Strategy<Value = Step> {
    (0..kinds, any::<u32>()).prop_map(|(kind, any)| Dice(any).step(kind))
}

const STEADY: u8 = 80;
const ALL: u8 = 104;

/// A large number, to make choices of.
struct Dice(u32);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        let count = u32::try_from(count).unwrap();
        let choice = self.0 % count;
        self.0 /= count;
        choice as usize
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn step(mut self, kind: u8) -> Step {
        let name = self.one_of(&NAMES);
        let secret = self.one_of(&[Kind::One, Kind::One, Kind::Other]);
        let dice = &mut self;
        match kind {
            0..6 => Step::MakeNamespace(
                name,
                dice.one_of(&[Some("prod"), Some("prod"), Some("dev"), None]),
            ),
            6 => Step::TerminateNamespace(name),
            7..9 => Step::RemoveNamespace(name),
            9 => Step::MakeForeign(secret, name),
            10..12 => Step::RemoveSecret(secret, name),
            12 => Step::Edit(secret, name),
            13 => Step::Strip(secret, name, dice.below(2) == 0),
            14 => Step::Webhook(dice.below(2) == 0),
            15..17 => Step::Token,
            17..28 => Step::DeliverNamespace,
            28..39 => Step::DeliverCopy(secret),
            39 => Step::RelistNamespaces,
            40 => Step::RelistCopies(secret),
            41..44 => Step::ListNamespaces,
            44..47 => Step::ListCopies(secret),
            47..53 => Step::Start(1 + dice.below(3)),
            53..60 => Step::Do(dice.below(3)),
            60..62 => Step::DoInSilence(dice.below(3)),
            62..65 => Step::Refuse(dice.below(4), dice.one_of(WriteReason::VARIANTS)),
            65..75 => Step::Answer(dice.below(3)),
            75..STEADY => Step::Pass(dice.one_of(&[0, 1, 60, GRACE, 3600, 12 * 3600])),
            80..86 => {
                let dates = [1, -1, 60, -60, 3600, -3600, LIFE - 60, 2 * LIFE, -2 * LIFE];
                Step::SetDate(dice.one_of(&dates), dice.below(2) == 0)
            }
            86..96 => Step::Configure(dice.edit(secret), dice.below(3) != 0),
            96..98 => Step::StandBy,
            98..100 => Step::Lead,
            100..102 => Step::BackUp,
            102.. => Step::Restore,
        }
    }

    fn edit(&mut self, kind: Kind) -> Edit {
        match self.below(8) {
            0..2 => Edit::Toggle(kind),
            2..4 => Edit::Patterns(kind, self.one_of(&PATTERNS)),
            4..6 => Edit::Select(kind, self.one_of(&SELECTORS)),
            6 => Edit::Adopt(kind, self.below(2) == 0),
            _ => Edit::Prune(self.below(3) != 0),
        }
    }
}

/// `PROPTEST_CASES` asks for more.
fn at_least(cases: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: cases.max(usual.cases), failure_persistence: None, ..usual }
}

fn check(steps: &[Step]) {
    let mut world = World::new();
    for step in steps {
        world.take(step);
    }
    world.settle();
    world.check_rest();
    world.check_peace();
}

proptest! {
    #![proptest_config(at_least(4000))]

    #[test]
    fn every_history_ends_with_exact_copies_and_in_peace(steps in vec(step(STEADY), 0..200)) {
        check(&steps);
    }

    #[test]
    fn so_does_one_with_edits_of_the_config_and_set_dates_and_restores_of_etcd(
        steps in vec(step(ALL), 0..300)
    ) {
        check(&steps);
    }
}
