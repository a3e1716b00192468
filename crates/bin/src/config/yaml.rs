//! The config file as a tree that knows the line of everything in it.

use std::{collections::HashMap, fmt};

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::problem::{Location, Problem};

/// The tree, ready to be merged with other sources, and the locations of its nodes.
#[derive(Debug)]
pub(super) struct Tree {
    values: Dict,
    locations: HashMap<Vec<String>, Location>,
}

impl Tree {
    /// Parses YAML. The top must be a mapping; an empty file is an empty one.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let root: Spanned<Node> = serde_saphyr::from_str(text).map_err(|error| {
            let message = error.without_snippet().to_string();
            let at = error.location();
            let is_of_tab =
                ["found a tab", "tabs disallowed"].iter().any(|it| message.contains(it));
            let tab = at.filter(|_| is_of_tab).and_then(|at| indented_by_tab(text, at.line()));
            if let Some(tab) = tab {
                return Problem::new(tab, "a tab indents this line").help("use spaces");
            }
            let location = at.map(|at| Location::in_file(at.line(), at.column()));
            Problem::new(location.unwrap_or(Location::File), strip_location(&message))
        })?;
        let mut locations = HashMap::new();
        let values = match root.value {
            Node::Null => Dict::new(),
            Node::Map(entries) => to_dict(entries, &mut Vec::new(), &mut locations),
            _ => {
                let help = "begin with `registries:`";
                return Err(
                    Problem::new(Location::in_file(1, 1), "the file is not a mapping").help(help)
                );
            }
        };
        Ok(Self { values, locations })
    }

    /// The location of a node; of the nearest one above it when the file has none.
    pub(super) fn location(&self, path: &[String]) -> Location {
        (0..=path.len())
            .rev()
            .find_map(|length| self.locations.get(&path[..length]).cloned())
            .unwrap_or(Location::File)
    }

    /// Whether the file itself holds a node.
    pub(super) fn contains(&self, path: &[String]) -> bool {
        self.locations.contains_key(path)
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

fn to_dict(
    entries: Vec<(Spanned<String>, Spanned<Node>)>,
    path: &mut Vec<String>,
    locations: &mut HashMap<Vec<String>, Location>,
) -> Dict {
    let mut dict = Dict::new();
    for (key, node) in entries {
        path.push(key.value.clone());
        locations.insert(path.clone(), location_of(&key));
        dict.insert(key.value, to_value(node, path, locations));
        path.pop();
    }
    dict
}

fn to_value(
    node: Spanned<Node>,
    path: &mut Vec<String>,
    locations: &mut HashMap<Vec<String>, Location>,
) -> Value {
    match node.value {
        Node::Null => Value::from(figment::value::Empty::None),
        Node::Bool(value) => value.into(),
        Node::Signed(value) => value.into(),
        Node::Unsigned(value) => value.into(),
        Node::Float(value) => value.into(),
        Node::Text(value) => value.into(),
        Node::Map(entries) => to_dict(entries, path, locations).into(),
        Node::List(items) => {
            let mut values = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                path.push(index.to_string());
                locations.insert(path.clone(), location_of(&item));
                values.push(to_value(item, path, locations));
                path.pop();
            }
            values.into()
        }
    }
}

fn location_of<T>(spanned: &Spanned<T>) -> Location {
    Location::in_file(spanned.referenced.line(), spanned.referenced.column())
}

/// The first tab in the indentation of a line from this one on: the parser reports the text before it.
fn indented_by_tab(text: &str, first: u64) -> Option<Location> {
    (1..).zip(text.lines()).filter(|(number, _)| *number >= first).find_map(|(number, line)| {
        let blanks = line.len() - line.trim_start().len();
        let column = (1..).zip(line[..blanks].chars()).find(|(_, blank)| *blank == '\t')?.0;
        Some(Location::in_file(number, column))
    })
}

/// The parser says the location in its message too; it is said once, in front.
fn strip_location(message: &str) -> String {
    let first = message.lines().next().unwrap_or(message);
    let first = first.strip_prefix("error: ").unwrap_or(first);
    match first.split_once(": ") {
        Some((location, rest)) if location.starts_with("line ") => rest.to_owned(),
        _ => first.to_owned(),
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
