//! The config file as a tree that knows the line of everything in it.

use std::{collections::HashMap, fmt, ops::Range};

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Spanned, options, options::DuplicateKeyPolicy};

use super::{
    excerpt::Source,
    problem::{Location, Problem},
    syntax,
};

/// The tree, ready to be merged with other sources, and the places of its nodes.
#[derive(Debug)]
pub(super) struct Tree {
    text: String,
    values: Dict,
    places: HashMap<Vec<String>, Place>,
}

/// The place of a node.
#[derive(Debug)]
struct Place {
    /// Of its key, or of itself in a list.
    line: u64,
    column: u64,
    /// The number of characters there.
    width: usize,
    /// The characters of its value, counted from 0; also where an alias is defined.
    values: [Range<usize>; 2],
}

impl Tree {
    /// Parses YAML. The top must be a mapping; an empty file is an empty one. Of keys that are there twice,
    /// the first counts and each other is a problem.
    pub(super) fn parse(text: &str, problems: &mut Vec<Problem>) -> Result<Self, Problem> {
        // Keys that are there twice are reported here, each.
        let options = options! { duplicate_keys: DuplicateKeyPolicy::PassThrough };
        let root: Spanned<Node> = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| syntax::explain(text, &error))?;
        let mut reader = Reader { places: HashMap::new(), path: Vec::new(), problems };
        let values = match root.value {
            Node::Null => Dict::new(),
            Node::Map(entries) => reader.dict(entries),
            _ => {
                let help = "begin with `registries:`";
                return Err(
                    Problem::new(Location::in_file(1, 1), "the file is not a mapping").help(help)
                );
            }
        };
        Ok(Self { text: text.to_owned(), values, places: reader.places })
    }

    /// The keys of the top.
    pub(super) fn values(&self) -> &Dict {
        &self.values
    }

    /// The location of a node; of the nearest one above it when the file has none.
    pub(super) fn location(&self, path: &[String]) -> Location {
        let places = (0..=path.len()).rev().filter_map(|length| self.places.get(&path[..length]));
        let location = |place: &Place| Location::in_file(place.line, place.column);
        places.map(location).next().unwrap_or(Location::File)
    }

    /// Whether the file itself holds a node.
    pub(super) fn contains(&self, path: &[String]) -> bool {
        self.places.contains_key(path)
    }

    /// Whether YAML takes the value of a node for a tag or an anchor, as `!x` without quotes. The
    /// location of an item that has only a mark is after the mark.
    pub(super) fn is_marked(&self, path: &[String]) -> bool {
        let is_mark = |letter: char| letter == '!' || letter == '&';
        let Some(place) = self.places.get(path) else { return false };
        let line = usize::try_from(place.line).ok().and_then(|it| self.text.lines().nth(it - 1));
        let column = usize::try_from(place.column).unwrap_or_default().saturating_sub(1);
        let letters: Vec<_> = line.unwrap_or_default().chars().collect();
        let (before, after) = letters.split_at(column.min(letters.len()));
        let is_end = |letter: &&char| ",[]{}".contains(**letter);
        let mut near = before.iter().rev().take_while(|it| !is_end(it) && **it != ':');
        near.any(|it| is_mark(*it))
            || after.iter().take_while(|it| !is_end(it)).any(|it| is_mark(*it))
    }

    /// The text without the values at and below these paths, and without those of these keys that contain a text.
    pub(super) fn source(&self, hidden: &[Vec<String>], secrets: &[(&str, &str)]) -> Source {
        let letters: Vec<char> = self.text.chars().collect();
        let contains = |place: &Place, mark: &str| {
            let value = |range: &Range<usize>| letters.get(range.clone()).unwrap_or_default();
            place.values.iter().any(|range| String::from_iter(value(range)).contains(mark))
        };
        let is_secret = |path: &[String], place: &Place| {
            let is_key = |key: &str| path.iter().any(|it| it == key);
            secrets.iter().any(|(key, mark)| is_key(key) && contains(place, mark))
        };
        let is_hidden = |path: &[String], place: &Place| {
            hidden.iter().any(|hidden| path.starts_with(hidden)) || is_secret(path, place)
        };
        let hidden = self.places.iter().filter(|(path, place)| is_hidden(path, place));
        Source::new(&self.text, hidden.flat_map(|(_, place)| place.values.clone()))
    }

    /// The number of characters at a location.
    pub(super) fn width(&self, line: u64, column: u64) -> usize {
        let is_there = |place: &&Place| (place.line, place.column) == (line, column);
        // A mapping begins where its first key does, which is longer than its own mark.
        self.places.values().filter(is_there).map(|place| place.width).max().unwrap_or(1)
    }
}

impl Provider for &Tree {
    fn metadata(&self) -> Metadata {
        Metadata::named("config file")
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// A YAML node of any kind.
#[derive(Debug)]
enum Node {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

/// Reads the nodes of a file, and records their places.
struct Reader<'a> {
    places: HashMap<Vec<String>, Place>,
    /// The path of the node that is read.
    path: Vec<String>,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn dict(&mut self, entries: Vec<(Spanned<String>, Spanned<Node>)>) -> Dict {
        let mut dict = Dict::new();
        for (key, node) in entries {
            let place = Place::new(key.referenced, &node);
            self.path.push(key.value.clone());
            if let Some(first) = self.places.get(&self.path) {
                let message =
                    format!("the key `{}` is there twice, first in line {}", key.value, first.line);
                let location = Location::in_file(place.line, place.column);
                self.problems.push(Problem::new(location, message).help("remove one of them"));
            } else {
                self.places.insert(self.path.clone(), place);
                dict.insert(key.value, self.value(node));
            }
            self.path.pop();
        }
        dict
    }

    fn value(&mut self, node: Spanned<Node>) -> Value {
        match node.value {
            Node::Null => Value::from(figment::value::Empty::None),
            Node::Bool(value) => value.into(),
            Node::Signed(value) => value.into(),
            Node::Unsigned(value) => value.into(),
            Node::Float(value) => value.into(),
            Node::Text(value) => value.into(),
            Node::Map(entries) => self.dict(entries).into(),
            Node::List(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (index, item) in items.into_iter().enumerate() {
                    self.path.push(index.to_string());
                    self.places.insert(self.path.clone(), Place::new(item.referenced, &item));
                    values.push(self.value(item));
                    self.path.pop();
                }
                values.into()
            }
        }
    }
}

impl Place {
    fn new(at: serde_saphyr::Location, node: &Spanned<Node>) -> Self {
        let range = |at: serde_saphyr::Location| {
            let [start, length] = [at.span().offset(), at.span().len()]
                .map(|it| usize::try_from(it).unwrap_or_default());
            start..start + length
        };
        let values = [node.referenced, node.defined].map(range);
        Self { line: at.line(), column: at.column(), width: range(at).len(), values }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Signed(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Unsigned(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}
