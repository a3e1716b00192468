//! The rule of a value, which its type in [`raw`](super::raw) names: parser, schema, default and remedy.

use std::{borrow::Cow, fmt, marker::PhantomData, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, IntoDeserializer, Unexpected, Visitor},
};
use serde_json::Value;
use strum::VariantNames;

/// The rule of one kind of value.
pub(super) trait Rule {
    /// The value in the file.
    type Raw: RawValue;
    /// The value in the program.
    type Valid;
    /// What an invalid value is not: "`EU` is not a valid AWS region".
    const NAME: &'static str;
    /// The remedy for an invalid value.
    const HELP: &'static str;
    /// Whether messages keep an invalid value to themselves.
    const IS_SECRET: bool = false;

    /// The keywords of the JSON Schema, beside the type. They accept all that `parse` accepts.
    fn schema() -> Value;

    /// The value where the file has none.
    fn default() -> Option<Self::Raw> {
        None
    }

    /// The value in the program; `None` if it is invalid.
    fn parse(raw: &Self::Raw) -> Option<Self::Valid>;

    /// The valid value that was probably meant.
    fn nearest(_: &Self::Raw) -> Option<&'static str> {
        None
    }
}

/// A value in the file: a text or a number.
pub(super) trait RawValue:
    DeserializeOwned + JsonSchema + fmt::Display + fmt::Debug + Into<Value>
{
    /// Its kind, for people.
    const KIND: &'static str;
}

impl RawValue for String {
    const KIND: &'static str = "a text";
}

impl RawValue for f64 {
    const KIND: &'static str = "a number";
}

impl RawValue for u64 {
    const KIND: &'static str = "a whole number";
}

/// A value of the file, not yet checked.
#[derive(Debug)]
pub(super) struct Unchecked<R: Rule>(pub(super) R::Raw);

impl<'de, R: Rule> Deserialize<'de> for Unchecked<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UncheckedVisitor(PhantomData))
    }
}

/// Names the remedy of the rule where the value is of another kind.
struct UncheckedVisitor<R>(PhantomData<R>);

impl<R: Rule> UncheckedVisitor<R> {
    fn read<'de, E: Error>(
        self,
        value: impl IntoDeserializer<'de, E>,
        actual: Unexpected<'_>,
    ) -> Result<Unchecked<R>, E> {
        let raw = R::Raw::deserialize(value.into_deserializer());
        raw.map(Unchecked).map_err(|_| E::invalid_type(actual, &self))
    }
}

impl<R: Rule> Visitor<'_> for UncheckedVisitor<R> {
    type Value = Unchecked<R>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; {}", R::Raw::KIND, R::HELP)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Unchecked<R>, E> {
        self.read(text.to_owned(), Unexpected::Str(text))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Unchecked<R>, E> {
        self.read(number, Unexpected::Unsigned(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Unchecked<R>, E> {
        self.read(number, Unexpected::Signed(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Unchecked<R>, E> {
        self.read(number, Unexpected::Float(number))
    }
}

impl<R: Rule> JsonSchema for Unchecked<R> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        R::NAME.into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = R::Raw::json_schema(generator);
        let Value::Object(keywords) = R::schema() else { return schema };
        schema.ensure_object().extend(keywords);
        if let Some(default) = R::default() {
            schema.insert("default".to_owned(), default.into());
        }
        schema
    }
}

/// One of a few words.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Choice<T>(pub(super) T);

impl<'de, T: FromStr + VariantNames> Deserialize<'de> for Choice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ChoiceVisitor(PhantomData))
    }
}

impl<T: VariantNames> JsonSchema for Choice<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Choice".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let switches = [true, false].into_iter().filter(|&is_on| switch::<T>(is_on).is_some());
        let switches: Vec<_> = switches.map(Value::from).collect();
        if switches.is_empty() {
            return json_schema!({ "type": "string", "enum": T::VARIANTS });
        }
        let words = T::VARIANTS.iter().map(|&word| word.into());
        json_schema!({ "enum": words.chain(switches).collect::<Vec<Value>>() })
    }
}

/// The word of a choice that YAML reads as true or false where it has no quotes.
fn switch<T: VariantNames>(is_on: bool) -> Option<&'static str> {
    let words = if is_on { ["on", "yes", "true"] } else { ["off", "no", "false"] };
    T::VARIANTS.iter().copied().find(|word| words.contains(word))
}

struct ChoiceVisitor<T>(PhantomData<T>);

impl<T: FromStr + VariantNames> Visitor<'_> for ChoiceVisitor<T> {
    type Value = Choice<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "one of {}", T::VARIANTS.join(", "))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Choice<T>, E> {
        let unknown = |_| E::unknown_variant(word, T::VARIANTS);
        word.parse().map(Choice).map_err(unknown)
    }

    fn visit_bool<E: Error>(self, is_on: bool) -> Result<Choice<T>, E> {
        match switch::<T>(is_on) {
            Some(word) => self.visit_str(word),
            None => Err(E::invalid_type(Unexpected::Bool(is_on), &self)),
        }
    }
}
