//! Slots: small numbers for the names of the config, and the keys made of them.

use std::{collections::HashMap, marker::PhantomData};

/// A number of one kind, so that a slot of a pull Secret cannot be used as one of a ServiceAccount.
pub(crate) trait Slot: Copy + Eq {
    fn new(number: u16) -> Self;
    fn index(self) -> usize;
}

macro_rules! slots {
    ($($(#[doc = $doc:literal])+ $slot:ident,)+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $slot(u16);

        impl Slot for $slot {
            fn new(number: u16) -> Self {
                Self(number)
            }

            fn index(self) -> usize {
                self.0.into()
            }
        }
    )+};
}

slots! {
    /// The slot of a pull Secret.
    SecretSlot,
    /// The slot of a name of ServiceAccounts.
    AccountSlot,
}

/// An object that jobs write: one slot in one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    pub(crate) namespace: u32,
    pub(crate) object: Object,
}

/// The kind of an object, and its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Object {
    Copy(SecretSlot),
    Account(AccountSlot),
}

impl ObjectKey {
    pub(crate) fn copy(namespace: u32, secret: SecretSlot) -> Self {
        Self { namespace, object: Object::Copy(secret) }
    }

    pub(crate) fn account(namespace: u32, account: AccountSlot) -> Self {
        Self { namespace, object: Object::Account(account) }
    }
}

/// Values by slot. A slot is empty once its name has left the config.
#[derive(Debug)]
pub(crate) struct Slots<S, T> {
    values: Vec<Option<T>>,
    names: HashMap<String, usize>,
    kind: PhantomData<fn() -> S>,
}

impl<S: Slot, T> Slots<S, T> {
    pub(crate) fn new() -> Self {
        Self { values: Vec::new(), names: HashMap::new(), kind: PhantomData }
    }

    /// How many slots there are, empty ones included.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn get(&self, slot: S) -> Option<&T> {
        self.values.get(slot.index())?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: S) -> Option<&mut T> {
        self.values.get_mut(slot.index())?.as_mut()
    }

    /// All slots, empty ones included.
    pub(crate) fn slots(&self) -> impl Iterator<Item = S> + use<S, T> {
        (0..self.values.len()).map(Self::slot)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (S, &T)> {
        let values = (0_u16..).map(S::new).zip(&self.values);
        values.filter_map(|(slot, value)| value.as_ref().map(|value| (slot, value)))
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.values.iter_mut().flatten()
    }

    /// The slot of a name that is in the config.
    pub(crate) fn find(&self, name: &str) -> Option<S> {
        let slot = Self::slot(*self.names.get(name)?);
        self.get(slot).map(|_| slot)
    }

    /// Empties the slots of all other names, and returns these slots.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(&str) -> bool) -> Vec<S> {
        let removed = self.names.iter().filter(|(name, _)| !is_kept(name)).map(|(_, &slot)| slot);
        let mut removed: Vec<_> = removed.filter(|&slot| self.values[slot].is_some()).collect();
        removed.sort_unstable();
        for &slot in &removed {
            self.values[slot] = None;
        }
        removed.into_iter().map(Self::slot).collect()
    }

    /// Gives a name a slot: its former one, so that a job of before still belongs to it; or else an
    /// empty one that `is_idle`, so that a late result never counts for another name.
    pub(crate) fn insert(&mut self, name: &str, value: T, is_idle: impl Fn(S) -> bool) -> S {
        let is_free = |&slot: &usize| self.values[slot].is_none() && is_idle(Self::slot(slot));
        let former = self.names.get(name).copied();
        let slot = former.or_else(|| (0..self.values.len()).find(is_free));
        let slot = slot.unwrap_or_else(|| {
            self.values.push(None);
            self.values.len() - 1
        });
        self.names.retain(|_, &mut other| other != slot);
        self.names.insert(name.to_owned(), slot);
        self.values[slot] = Some(value);
        Self::slot(slot)
    }

    fn slot(index: usize) -> S {
        // The config holds nowhere near 2¹⁶ names.
        S::new(u16::try_from(index).unwrap_or(u16::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Names = Slots<SecretSlot, char>;

    fn slots(names: &[&str]) -> Names {
        let mut slots = Names::new();
        for name in names {
            slots.insert(name, 'x', |_| true);
        }
        slots
    }

    #[test]
    fn a_name_keeps_its_slot() {
        let mut slots = slots(&["a", "b"]);
        assert_eq!(slots.retain(|name| name == "b"), [SecretSlot(0)]);
        assert_eq!(slots.find("a"), None);
        assert_eq!(slots.find("b"), Some(SecretSlot(1)));
    }

    #[test]
    fn a_name_that_comes_back_gets_its_former_slot_even_if_that_is_busy() {
        let mut slots = slots(&["a", "b"]);
        slots.retain(|_| false);
        assert_eq!(slots.insert("b", 'y', |_| false), SecretSlot(1));
    }

    #[test]
    fn another_name_gets_an_empty_slot_only_when_it_is_idle() {
        let mut slots = slots(&["a", "b"]);
        slots.retain(|name| name == "b");
        assert_eq!(slots.insert("c", 'y', |_| false), SecretSlot(2));
        assert_eq!(slots.insert("d", 'y', |_| true), SecretSlot(0));
        assert_eq!(slots.insert("a", 'y', |_| true), SecretSlot(3), "its former slot is taken");
    }

    #[test]
    fn a_key_takes_eight_bytes() {
        assert_eq!(size_of::<ObjectKey>(), 8);
    }
}
