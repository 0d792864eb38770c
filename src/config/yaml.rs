//! YAML for settings files: a tree of texts with line numbers.
//!
//! Scalars stay texts: an id of digits is not a number, and `5m` is parsed by the setting it belongs to. So every wrong
//! value is reported with its place, not only the first. Tags, anchors and aliases are refused; aliases are the only way in
//! which a small file becomes a large tree.

use super::Problems;
use crate::base::file;
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::path::Path;

/// The most bytes in a settings file, 1 MiB.
const MAX_FILE: u64 = 1 << 20;

/// The deepest nesting; settings need four levels.
const MAX_DEPTH: usize = 16;

/// A value and the line where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The line, counted from 1.
    pub line: usize,
    /// The value.
    pub value: Value,
}

/// A YAML value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Nothing,
    /// A scalar as written.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// A key and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub text: String,
    /// The line, counted from 1.
    pub line: usize,
}

impl Value {
    /// The kind of value, for messages, which must not contain the value because it may be secret.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// The text.
    ///
    /// # Errors
    /// What was found instead.
    pub fn into_text(self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(format!("expected a text, found {}", other.kind())),
        }
    }
}

/// Reads the text of a settings file. A file system that hangs blocks this call; pipes and devices are refused.
///
/// # Errors
/// The reason why it cannot be read, without the file's name.
pub fn load(path: &Path) -> Result<String, String> {
    let mut bytes = file::read(path, MAX_FILE).map_err(|error| error.to_string())?;
    // Editors of Windows write a byte order mark.
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// Parses a text with one document.
///
/// # Errors
/// The line and the problem there.
pub fn parse(text: &str) -> Result<Node, (usize, String)> {
    let mut events = Events { parser: Parser::new_from_str(text) };
    let mut root = Node { line: 1, value: Value::Nothing };
    let mut documents = 0;
    loop {
        match events.next()? {
            (Event::StreamEnd, _) => return Ok(root),
            (Event::DocumentStart(_), line) if documents == 1 => {
                return Err((line, "a second document; there may be one only".to_owned()));
            }
            (Event::DocumentStart(_), _) => documents += 1,
            (Event::StreamStart | Event::DocumentEnd | Event::Nothing, _) => {}
            (event, line) => root = events.node(event, line, 0)?,
        }
    }
}

struct Events<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
}

impl<'a> Events<'a> {
    fn next(&mut self) -> Result<(Event<'a>, usize), (usize, String)> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start.line())),
            Some(Err(error)) => Err((error.marker().line(), error.info().to_owned())),
            None => Ok((Event::StreamEnd, 1)),
        }
    }

    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Node, (usize, String)> {
        if depth > MAX_DEPTH {
            return Err((line, "it is nested too deep".to_owned()));
        }
        let (anchored, tagged) = match &event {
            Event::Scalar(_, _, anchor, tag) => (*anchor > 0, tag.is_some()),
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => (*anchor > 0, tag.is_some()),
            _ => (false, false),
        };
        if anchored || matches!(event, Event::Alias(_)) {
            return Err((line, "anchors and aliases (& and *) are not supported".to_owned()));
        }
        if tagged {
            return Err((line, "tags (!) are not supported".to_owned()));
        }
        let value = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) if matches!(&*text, "" | "~" | "null" | "Null" | "NULL") => {
                Value::Nothing
            }
            Event::Scalar(text, ..) => Value::Text(text.into_owned()),
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Value::List(items),
                        (event, line) => items.push(self.node(event, line, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => {
                let mut entries: Vec<(Key, Node)> = Vec::new();
                loop {
                    let (event, line) = match self.next()? {
                        (Event::MappingEnd, _) => break Value::Map(entries),
                        key => key,
                    };
                    let Value::Text(text) = self.node(event, line, depth + 1)?.value else {
                        return Err((line, "a key must be a text".to_owned()));
                    };
                    if let Some((first, _)) = entries.iter().find(|(key, _)| key.text == text) {
                        return Err((line, format!("`{text}` is there twice, first in line {}", first.line)));
                    }
                    let (event, value_line) = self.next()?;
                    let node = self.node(event, value_line, depth + 1)?;
                    entries.push((Key { text, line }, node));
                }
            }
            _ => return Err((line, "unexpected end".to_owned())),
        };
        Ok(Node { line, value })
    }
}

/// The place of a value, for messages: `exporter.yml:12: accounts.production.region`.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    file: &'a str,
    line: usize,
    path: String,
}

impl<'a> Place<'a> {
    /// The root of a file.
    pub fn root(file: &'a str) -> Self {
        Self { file, line: 1, path: String::new() }
    }

    /// The place of a key below this one.
    pub fn inner(&self, key: &str, line: usize) -> Self {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { file: self.file, line, path }
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        if self.path.is_empty() { Ok(()) } else { write!(f, ": {}", self.path) }
    }
}

/// A mapping being read: keys are taken by name, and those left over are unknown.
pub struct Table<'a> {
    place: Place<'a>,
    entries: Vec<(Key, Node)>,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// The mapping of a node; empty, with a problem, if the node is something else.
    pub fn of(node: Node, place: Place<'a>, problems: &mut Problems) -> Self {
        let entries = match node.value {
            Value::Map(entries) => entries,
            Value::Nothing => Vec::new(),
            other => {
                problems.add(format!("{place}: expected a mapping, found {}", other.kind()));
                Vec::new()
            }
        };
        Self { place, entries, known: Vec::new() }
    }

    /// Takes the value of a key, if it is there and not null.
    pub fn take(&mut self, key: &'static str) -> Option<(Node, Place<'a>)> {
        self.known.push(key);
        let index = self.entries.iter().position(|(entry, _)| entry.text == key)?;
        let (key, node) = self.entries.remove(index);
        let place = self.place.inner(&key.text, key.line);
        (node.value != Value::Nothing).then_some((node, place))
    }

    /// The place of a key that is there without a value.
    pub fn blank(&self, key: &str) -> Option<Place<'a>> {
        let (key, _) = self.entries.iter().find(|(entry, node)| entry.text == key && node.value == Value::Nothing)?;
        Some(self.place.inner(&key.text, key.line))
    }

    /// Takes a text.
    pub fn text(&mut self, key: &'static str, problems: &mut Problems) -> Option<(String, Place<'a>)> {
        let (node, place) = self.take(key)?;
        problems.value_of(&place, node.value.into_text()).map(|text| (text, place))
    }

    /// Takes a list of texts; a single text is a list of one.
    pub fn texts(&mut self, key: &'static str, problems: &mut Problems) -> Option<(Vec<String>, Place<'a>)> {
        let (node, place) = self.take(key)?;
        let items = match node.value {
            Value::List(items) => items,
            value => vec![Node { line: node.line, value }],
        };
        let mut texts = Vec::new();
        for item in items {
            match item.value {
                Value::Text(text) => texts.push(text),
                other => problems.add(format!("{place}: expected a list of texts, found {} in it", other.kind())),
            }
        }
        Some((texts, place))
    }

    /// Takes a mapping of names to texts, each as `NAME=TEXT`.
    pub fn pairs(&mut self, key: &'static str, problems: &mut Problems) -> Option<(Vec<String>, Place<'a>)> {
        let (node, place) = self.take(key)?;
        let mut pairs = Vec::new();
        for (name, node, place) in Table::of(node, place.clone(), problems).rest() {
            let text = problems.value_of(place, node.value.into_text());
            pairs.extend(text.map(|text| format!("{}={text}", name.text)));
        }
        Some((pairs, place))
    }

    /// Takes all remaining keys.
    pub fn rest(&mut self) -> Vec<(Key, Node, Place<'a>)> {
        let entries = std::mem::take(&mut self.entries);
        let placed = |(key, node): (Key, Node)| {
            let place = self.place.inner(&key.text, key.line);
            (key, node, place)
        };
        entries.into_iter().map(placed).collect()
    }

    /// Reports the keys that were not taken as unknown.
    pub fn finish(self, problems: &mut Problems) {
        for (key, _) in &self.entries {
            let place = self.place.inner(&key.text, key.line);
            problems.add(format!("{place}: unknown key{}", did_you_mean(&key.text, self.known.iter().copied())));
        }
    }
}

/// ` (did you mean X?)` if a known word is similar, otherwise the list of known words.
pub fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(given, known.iter().copied()) {
        Some(name) => format!(" (did you mean `{name}`?)"),
        None => format!(" (known: {})", known.join(", ")),
    }
}

/// The most similar word, if one is similar.
pub(super) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.into_iter().map(|name| (strsim::damerau_levenshtein(given, name), name));
    distances.filter(|(distance, name)| *distance <= 1 + name.len() / 4).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn scalars_keep_their_text_and_know_their_line() {
        let root = parse("# a comment\nid: 00123\nwindow: 5m\nempty:\nquoted: ''\nlist: [1, true]\n").unwrap();
        let Value::Map(entries) = root.value else { panic!("a mapping") };
        let values: Vec<_> = entries.iter().map(|(key, node)| (key.text.as_str(), key.line, &node.value)).collect();
        let list = Value::List(vec![Node { line: 6, value: text("1") }, Node { line: 6, value: text("true") }]);
        assert_eq!(
            values,
            [
                ("id", 2, &text("00123")),
                ("window", 3, &text("5m")),
                ("empty", 4, &Value::Nothing),
                ("quoted", 5, &text("")),
                ("list", 6, &list)
            ]
        );
    }

    #[test]
    fn syntax_that_settings_do_not_need_is_refused_with_its_line() {
        for (yaml, line, expected) in [
            ("a: 1\na: 2\n", 2, "`a` is there twice, first in line 1"),
            ("a: &x 1\n", 1, "anchors and aliases"),
            ("a: [1]\nb: !!str 2\n", 2, "tags (!) are not supported"),
            ("a: 1\n---\nb: 2\n", 2, "a second document"),
            ("[a]: 1\n", 1, "a key must be a text"),
            ("a: 'open\n", 1, ""),
            ("a: 1\n b: 2\n", 2, ""),
        ] {
            let (found, problem) = parse(yaml).unwrap_err();
            assert!(problem.contains(expected), "{yaml:?}: {problem}");
            assert_eq!(found, line, "{yaml:?}: {problem}");
        }
        let deep = "[".repeat(100_000);
        assert!(parse(&deep).is_err());
        assert_eq!(parse("").unwrap().value, Value::Nothing);
        assert_eq!(parse("# only a comment\n").unwrap().value, Value::Nothing);
    }

    #[test]
    fn a_table_reports_unknown_keys_and_wrong_kinds() {
        let root = parse("name: x\nregoin: y\nlist: {a: 1}\nmany: [a, {b: c}]\n").unwrap();
        let mut problems = Problems::default();
        let found = &mut problems;
        let mut table = Table::of(root, Place::root("file.yml"), found);
        assert_eq!(table.text("name", found).unwrap().0, "x");
        assert!(table.text("region", found).is_none() && table.text("list", found).is_none());
        assert_eq!(table.texts("many", found).unwrap().0, ["a"]);
        table.finish(found);
        assert_eq!(
            problems.list(),
            [
                "file.yml:3: list: expected a text, found a mapping",
                "file.yml:4: many: expected a list of texts, found a mapping in it",
                "file.yml:2: regoin: unknown key (did you mean `region`?)",
            ]
        );
        assert_eq!(did_you_mean("colour", ["region", "window"]), " (known: region, window)");
    }
}
