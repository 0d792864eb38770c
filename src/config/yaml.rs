//! YAML as settings files need it: a tree of texts that know their line.
//!
//! Scalars stay the texts that they are in the file: an id of digits is no number, and `5m` is for whoever reads it to
//! understand. So every wrong value is found with its place, not only the first. Tags, anchors and aliases are refused;
//! with them goes the only way in which a small file becomes a large tree.

use super::Problems;
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::io::Read;
use std::path::Path;

/// A file of settings is never larger; what is, is another file.
const LONGEST_FILE: u64 = 1 << 20;

/// Settings are nested four deep.
const DEEPEST: usize = 16;

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its line, counted from 1.
    pub line: usize,
    /// What it is.
    pub value: Value,
}

/// What stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Nothing,
    /// A scalar, as it is written.
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
    /// Its line, counted from 1.
    pub line: usize,
}

impl Value {
    /// What it is called in a message; never what it holds, which may be secret.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Reads a file's text. Blocks for as long as the file system does, but for no pipe and no device.
///
/// # Errors
/// Why it cannot be read, without the file's name.
pub fn load(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = crate::base::file::open(path).map_err(|error| error.to_string())?;
    // One byte more than is allowed: the file may grow while it is read.
    file.take(LONGEST_FILE + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > LONGEST_FILE { Err("it is larger than 1 MiB".to_owned()) } else { Ok(text) }
}

/// Reads the one document of a text.
///
/// # Errors
/// The line and what is wrong there.
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
        if depth > DEEPEST {
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

/// Where a value stands, for messages: `exporter.yml:12: accounts.production.region`.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    file: &'a str,
    line: usize,
    path: String,
}

impl<'a> Place<'a> {
    /// The whole of a file.
    pub fn root(file: &'a str) -> Self {
        Self { file, line: 1, path: String::new() }
    }

    /// Something in it.
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

/// A mapping being read: each key is taken by its name, and what is left over is unknown.
pub struct Table<'a> {
    place: Place<'a>,
    entries: Vec<(Key, Node)>,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// The mapping that a node must be; an empty one, with a problem, when it is something else.
    pub fn of(node: Node, place: Place<'a>, at: &mut Problems) -> Self {
        let entries = match node.value {
            Value::Map(entries) => entries,
            Value::Nothing => Vec::new(),
            other => {
                at.add(format!("{place}: expected a mapping, found {}", other.kind()));
                Vec::new()
            }
        };
        Self { place, entries, known: Vec::new() }
    }

    /// Takes a key, if it is there and has a value.
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
    pub fn text(&mut self, key: &'static str, at: &mut Problems) -> Option<(String, Place<'a>)> {
        let (node, place) = self.take(key)?;
        match node.value {
            Value::Text(text) => Some((text, place)),
            other => {
                at.add(format!("{place}: expected a text, found {}", other.kind()));
                None
            }
        }
    }

    /// Takes a list of texts; a single text is a list of one.
    pub fn texts(&mut self, key: &'static str, at: &mut Problems) -> Option<(Vec<String>, Place<'a>)> {
        let (node, place) = self.take(key)?;
        let items = match node.value {
            Value::List(items) => items,
            value => vec![Node { line: node.line, value }],
        };
        let mut texts = Vec::new();
        for item in items {
            match item.value {
                Value::Text(text) => texts.push(text),
                other => at.add(format!("{place}: expected a list of texts, found {} in it", other.kind())),
            }
        }
        Some((texts, place))
    }

    /// Takes all that is left, whatever its keys.
    pub fn rest(&mut self) -> Vec<(Key, Node, Place<'a>)> {
        let entries = std::mem::take(&mut self.entries);
        let placed = |(key, node): (Key, Node)| {
            let place = self.place.inner(&key.text, key.line);
            (key, node, place)
        };
        entries.into_iter().map(placed).collect()
    }

    /// Ends the reading: what was not taken is unknown.
    pub fn finish(self, at: &mut Problems) {
        for (key, _) in &self.entries {
            let place = self.place.inner(&key.text, key.line);
            at.add(format!("{place}: unknown key{}", did_you_mean(&key.text, self.known.iter().copied())));
        }
    }
}

/// `; did you mean X?`, where something known is close, and what is known where nothing is.
pub fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), *name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min();
    match near {
        Some((_, name)) => format!("; did you mean `{name}`?"),
        None => format!("; known are {}", known.join(", ")),
    }
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
    fn what_settings_do_not_need_is_refused_with_its_line() {
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
    fn a_table_names_what_it_does_not_know_and_what_is_of_the_wrong_kind() {
        let root = parse("name: x\nregoin: y\nlist: {a: 1}\nmany: [a, {b: c}]\n").unwrap();
        let mut problems = Problems::default();
        let at = &mut problems;
        let mut table = Table::of(root, Place::root("file.yml"), at);
        assert_eq!(table.text("name", at).unwrap().0, "x");
        assert!(table.text("region", at).is_none() && table.text("list", at).is_none());
        assert_eq!(table.texts("many", at).unwrap().0, ["a"]);
        table.finish(at);
        assert_eq!(
            problems.list(),
            [
                "file.yml:3: list: expected a text, found a mapping",
                "file.yml:4: many: expected a list of texts, found a mapping in it",
                "file.yml:2: regoin: unknown key; did you mean `region`?",
            ]
        );
        assert_eq!(did_you_mean("colour", ["region", "window"]), "; known are region, window");
    }

    #[test]
    fn only_regular_files_of_a_sane_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load(folder.path()).unwrap_err(), "it is no regular file");
        let large = folder.path().join("large.yml");
        std::fs::File::create(&large).unwrap().set_len(1 << 30).unwrap();
        assert_eq!(load(&large).unwrap_err(), "it is larger than 1 MiB");
        assert!(load(&folder.path().join("none")).unwrap_err().contains("No such file"));
    }
}
