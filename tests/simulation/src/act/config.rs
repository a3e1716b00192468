//! Edits of the config and of the docker config file, good and bad.

use super::{Random, pick};
use crate::{
    plan::{FILE, PATTERNS, Plan},
    replica::CONFIG,
    world::{Hub, World},
};

/// What happens to the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigAct {
    /// The config says something else.
    Edit(Edit),
    /// The last edit is undone.
    Undo,
    /// The file is wrong.
    Bad(&'static str),
    /// The file is gone.
    Vanish,
    /// The file is good again.
    Repair,
    /// The docker config file is another one.
    File(u8, u8),
    /// The docker config file is wrong.
    BadFile(&'static str),
    /// The docker config file is gone.
    FileVanishes,
}

/// An edit of what the config says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// A registry comes or goes.
    Registry(usize),
    /// The first registry moves to another region.
    Region(&'static str),
    /// The first registry has other accounts.
    Accounts,
    /// The role has another session name.
    Session(&'static str),
    /// A pull Secret comes or goes.
    Secret(usize),
    /// A pull Secret has other registries.
    Uses(usize, [bool; 5]),
    /// A pull Secret goes elsewhere.
    Patterns(usize, usize),
    /// A selector comes or goes.
    Selector(usize),
    /// Other ServiceAccounts.
    ServiceAccounts(usize, usize),
    /// Foreign Secrets are taken over, or no longer.
    Adopt(usize),
    /// A label comes or goes.
    Label(usize),
    /// Pruning is turned on or off.
    Prune,
    /// Another spread, in seconds.
    Spread(u32),
}

/// Registries that a pull Secret may have; none of them means all.
pub(crate) const USES: [[bool; 5]; 6] = [
    [false; 5],
    [true, false, false, false, false],
    [false, true, false, false, false],
    [true, true, true, false, false],
    [false, false, false, true, true],
    [true, false, false, false, true],
];

const BAD: [&str; 5] = [
    "",
    "registries: []\nsecrets: []\n",
    "registries:\n  - { name: main, ecr: { region: eu-we",
    "{\"auths\": {}}",
    "registries:\n  - { name: main, ecr: {} }\nsecrets:\n  - { name: ecr-pull, namespaces: [\"[\"] }\n",
];

impl ConfigAct {
    pub(super) fn random(random: &mut Random) -> Self {
        let secret = random.usize(0..2);
        match random.u8(0..26) {
            0..=2 => Self::Edit(Edit::Registry(random.usize(0..5))),
            3 => Self::Edit(Edit::Region(pick(random, &["eu-west-1", "eu-west-1", "us-west-2"]))),
            4 => Self::Edit(Edit::Accounts),
            5 => Self::Edit(Edit::Session(pick(random, &["ecr-refresher", "other"]))),
            6 => Self::Edit(Edit::Secret(1)),
            7..=9 => Self::Edit(Edit::Uses(secret, pick(random, &USES))),
            10..=12 => Self::Edit(Edit::Patterns(secret, random.usize(0..PATTERNS.len()))),
            13 => Self::Edit(Edit::Selector(secret)),
            14 => Self::Edit(Edit::ServiceAccounts(secret, random.usize(0..3))),
            15 => Self::Edit(Edit::Adopt(secret)),
            16 => Self::Edit(Edit::Label(secret)),
            17 => Self::Edit(Edit::Prune),
            18 => Self::Edit(Edit::Spread(pick(random, &[0, 30, 300]))),
            19..=20 => Self::Undo,
            21 => Self::Bad(pick(random, &BAD)),
            22 if random.bool() => Self::Vanish,
            22 => Self::Repair,
            23..=24 => Self::File(random.u8(1..4), random.u8(0..3)),
            _ if random.bool() => Self::BadFile(pick(random, &["", "{", "[]", "{\"auths\": {}}"])),
            _ => Self::FileVanishes,
        }
    }

    pub(super) fn apply(&self, world: &mut World) {
        let mut plan = world.plan.clone();
        match self {
            // An edit that no replica has read yet would be lost.
            Self::Bad(_) | Self::Vanish if !world.config_is_read() => return,
            Self::BadFile(_) | Self::FileVanishes if !world.hub_is_read() => return,
            Self::Bad(text) => return world.surroundings.files.write(CONFIG, text),
            Self::Vanish => return world.surroundings.files.remove(CONFIG),
            Self::File(hosts, password) => {
                return world.write_hub(Hub { hosts: *hosts, password: *password });
            }
            Self::BadFile(text) => return world.surroundings.files.write(FILE, text),
            Self::FileVanishes => return world.surroundings.files.remove(FILE),
            Self::Undo => match world.former_plans.pop() {
                Some(former) => plan = former,
                None => return,
            },
            Self::Repair => {}
            Self::Edit(edit) => {
                edit.apply(&mut plan);
                world.former_plans.push(world.plan.clone());
            }
        }
        world.write_config(plan);
        world.start_all();
    }
}

impl Edit {
    fn apply(&self, plan: &mut Plan) {
        match *self {
            Self::Registry(registry) => plan.registries[registry] ^= true,
            Self::Region(region) => plan.region = region,
            Self::Accounts => plan.accounts ^= true,
            Self::Session(session) => plan.session = session,
            Self::Secret(secret) => plan.secrets[secret].present ^= true,
            Self::Uses(secret, registries) => plan.secrets[secret].registries = registries,
            Self::Patterns(secret, patterns) => plan.secrets[secret].patterns = patterns,
            Self::Selector(secret) => plan.secrets[secret].selects ^= true,
            Self::ServiceAccounts(secret, accounts) => plan.secrets[secret].accounts = accounts,
            Self::Adopt(secret) => plan.secrets[secret].adopts ^= true,
            Self::Label(secret) => plan.secrets[secret].label ^= true,
            Self::Prune => plan.prunes ^= true,
            Self::Spread(seconds) => plan.spread = seconds,
        }
    }
}
