//! The config files of the histories, and what they want, said once more in other words.

use std::{collections::HashMap, sync::LazyLock};

use super::*;

pub(super) type Patterns = &'static [&'static str];

/// A pull Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    One,
    Other,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::One, Self::Other];

    pub(super) fn name(self) -> &'static str {
        ["ecr-pull", "hub-pull"][self as usize]
    }
}

/// A config file.
#[derive(Debug, Clone)]
pub(super) struct Config {
    choices: [Option<Choice>; 2],
    pub(super) prunes: bool,
}

/// Its settings of a pull Secret.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) patterns: Patterns,
    selector: Select,
    pub(super) on_conflict: OnConflict,
}

/// Namespaces by their tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Select {
    All,
    Prod,
    AllButProd,
}

/// An edit of the file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Edit {
    Toggle(Kind),
    Patterns(Kind, Patterns),
    Select(Kind, Select),
    Adopt(Kind, bool),
    Prune(bool),
}

pub(super) const PATTERNS: [Patterns; 4] =
    [&["team-*"], &["*"], &["team-a", "other"], &["team-a", "team-[ab]", "nowhere"]];
pub(super) const SELECTORS: [Select; 3] = [Select::All, Select::Prod, Select::AllButProd];

impl Config {
    /// One pull Secret, for the teams in production.
    pub(super) fn simple() -> Self {
        let choice =
            Choice { patterns: PATTERNS[0], selector: Select::Prod, on_conflict: OnConflict::Skip };
        Self { choices: [Some(choice), None], prunes: true }
    }

    pub(super) fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Toggle(kind) => {
                let choice = &mut self.choices[kind as usize];
                *choice = match choice {
                    Some(_) => None,
                    None => Self::simple().choices[0].clone(),
                };
            }
            Edit::Patterns(kind, patterns) => self.change(kind, |it| it.patterns = patterns),
            Edit::Select(kind, selector) => self.change(kind, |it| it.selector = selector),
            Edit::Adopt(kind, true) => self.change(kind, |it| it.on_conflict = OnConflict::Adopt),
            Edit::Adopt(kind, false) => self.change(kind, |it| it.on_conflict = OnConflict::Skip),
            Edit::Prune(prunes) => self.prunes = prunes,
        }
    }

    fn change(&mut self, kind: Kind, change: impl FnOnce(&mut Choice)) {
        if let Some(choice) = &mut self.choices[kind as usize] {
            change(choice);
        }
    }

    pub(super) fn get(&self, kind: Kind) -> Option<&Choice> {
        self.choices[kind as usize].as_ref()
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(|&kind| self.get(kind).is_some())
    }

    /// Whether labels count.
    pub(super) fn selects(&self) -> bool {
        self.choices.iter().flatten().any(|choice| choice.selector != Select::All)
    }

    /// Whether a namespace is allowed to have a copy while it exists.
    pub(super) fn allows(&self, kind: Kind, name: &str, namespace: &Namespace) -> bool {
        let is_prod = namespace.labels.get("tier").is_some_and(|tier| tier == "prod");
        self.get(kind).is_some_and(|choice| {
            choice.patterns.iter().any(|pattern| is_match(pattern, name))
                && match choice.selector {
                    Select::All => true,
                    Select::Prod => is_prod,
                    Select::AllButProd => !is_prod,
                }
        })
    }

    pub(super) fn settings(&self) -> Settings {
        let secret = |kind: Kind| {
            let choice = self.get(kind)?;
            let allow_list = ALLOW_LISTS[&(choice.patterns, choice.selector)].clone();
            let (name, on_conflict) = (kind.name().to_owned(), choice.on_conflict);
            Some(PullSecret { name, allow_list, on_conflict, ..SETTINGS.secrets[0].clone() })
        };
        let secrets = Kind::ALL.into_iter().filter_map(secret).collect();
        let prune_after = self.prunes.then_some(Duration::from_secs(GRACE));
        Settings { secrets, prune_after, ..SETTINGS.clone() }
    }
}

static SETTINGS: LazyLock<Settings> = LazyLock::new(|| settings(TEAMS, &Selector::default()));

/// Compiled once, which takes a while.
static ALLOW_LISTS: LazyLock<HashMap<(Patterns, Select), AllowList>> = LazyLock::new(|| {
    let all = PATTERNS.iter().flat_map(|&patterns| SELECTORS.map(|selector| (patterns, selector)));
    all.map(|(patterns, selector)| {
        let tier = ("tier".to_owned(), "prod".to_owned());
        let labels = match selector {
            Select::All => Selector::default(),
            Select::Prod => Expression::Equal(tier.0, tier.1).into(),
            Select::AllButProd => Expression::NotEqual(tier.0, tier.1).into(),
        };
        let texts = patterns.iter().map(|&text| text.to_owned()).collect();
        ((patterns, selector), AllowList::new(texts, vec![], labels).unwrap())
    })
    .collect()
});

/// Whether a name matches one of the patterns above.
pub(super) fn is_match(pattern: &str, name: &str) -> bool {
    match pattern {
        "*" => true,
        "team-*" => name.starts_with("team-"),
        "team-[ab]" => name == "team-a" || name == "team-b",
        _ => name == pattern,
    }
}
