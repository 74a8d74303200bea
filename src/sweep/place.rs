//! Where things stand in a YAML file.
//!
//! serde_yaml keeps no places after parsing, so a second parser that keeps them reads the same text:
//! it finds line and column of a path such as `grid.optimizer.lr[2]`, sees duplicate keys, and
//! weighs aliases before anything expands them.

use std::collections::HashMap;
use std::fmt;

use saphyr_parser::{Event, Parser, Span};

/// Nodes that a document may have once its aliases are expanded.
const MAX_NODES: u64 = 200_000;

/// A line and column of a file, both counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A piece of a path through a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A key of a mapping.
    Key(String),
    /// An element of a list, from 0.
    Index(usize),
}

/// A path through a document.
pub(super) type Path = Vec<Step>;

/// Writes a path as people read it.
#[must_use]
pub(super) fn show(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.extend([".", key]),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// The places of all nodes of one file.
#[derive(Debug)]
pub(super) struct Places {
    file: String,
    at: HashMap<Path, (usize, usize)>,
}

/// Why a text is no usable YAML document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Places {
    /// Reads the places of a document.
    ///
    /// # Errors
    /// For what is no YAML, duplicate keys, several documents, and aliases that expand beyond reason.
    pub(super) fn read(file: &str, text: &str) -> Result<Self, Unreadable> {
        if let Some(tab) = tab_indentation(text) {
            return Err(Unreadable {
                place: Place { file: file.to_owned(), line: tab.0, column: tab.1 },
                what: "a tab indents this line".to_owned(),
                hint: Some("YAML indents with spaces only".to_owned()),
            });
        }
        let mut reader = Reader::new(file);
        reader.read(text)?;
        Ok(Self { file: file.to_owned(), at: reader.at })
    }

    /// Returns the place of a path, or of the nearest node around it, and how many steps matched.
    #[must_use]
    pub(super) fn find(&self, path: &[Step]) -> (Place, usize) {
        for length in (0..=path.len()).rev() {
            if let Some(&(line, column)) = self.at.get(&path[..length]) {
                return (Place { file: self.file.clone(), line, column }, length);
            }
        }
        (Place { file: self.file.clone(), line: 1, column: 1 }, 0)
    }
}

fn tab_indentation(text: &str) -> Option<(usize, usize)> {
    let line = |line: &str| {
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        let rest = line[indent..].trim_end();
        (!rest.is_empty() && !rest.starts_with('#')).then(|| line[..indent].find('\t')).flatten()
    };
    text.lines()
        .enumerate()
        .find_map(|(number, text)| line(text).map(|column| (number + 1, column + 1)))
}

/// A mapping or list that is being read.
struct Open {
    path: Path,
    anchor: usize,
    nodes: u64,
    /// For mappings: the key that waits for its value.
    key: Option<String>,
    is_mapping: bool,
    next_index: usize,
}

struct Reader<'a> {
    file: &'a str,
    at: HashMap<Path, (usize, usize)>,
    open: Vec<Open>,
    /// Size of what an anchor stands for, expanded.
    anchors: HashMap<usize, u64>,
    nodes: u64,
    documents: u32,
}

impl<'a> Reader<'a> {
    fn new(file: &'a str) -> Self {
        Self {
            file,
            at: HashMap::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            documents: 0,
        }
    }

    fn unreadable(
        &self,
        line: usize,
        column: usize,
        what: impl Into<String>,
        hint: Option<&str>,
    ) -> Unreadable {
        let place = Place { file: self.file.to_owned(), line, column };
        Unreadable { place, what: what.into(), hint: hint.map(str::to_owned) }
    }

    fn read(&mut self, text: &str) -> Result<(), Unreadable> {
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| {
                let mark = error.marker();
                self.unreadable(
                    mark.line(),
                    mark.col() + 1,
                    format!("this is no YAML: {}", error.info()),
                    Some("look here and above for a bracket or quote that is not closed, or a wrong indentation"),
                )
            })?;
            self.take(event, span)?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Unreadable> {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let hint = "one file holds one sweep: remove the `---`";
                    return Err(self.unreadable(
                        line,
                        column,
                        "a second document begins here",
                        Some(hint),
                    ));
                }
            }
            Event::Scalar(text, _, anchor, _) => {
                if let Some(path) = self.begin(Some(&text), line, column)? {
                    self.at.insert(path, (line, column));
                }
                self.finish(anchor, 1, line, column)?;
            }
            Event::Alias(anchor) => {
                if let Some(path) = self.begin(None, line, column)? {
                    self.at.insert(path, (line, column));
                }
                let size = self.anchors.get(&anchor).copied().unwrap_or(1);
                self.finish(0, size, line, column)?;
            }
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                let path = self.begin(None, line, column)?.unwrap_or_default();
                self.at.entry(path.clone()).or_insert((line, column));
                let is_mapping = matches!(event, Event::MappingStart(..));
                self.open.push(Open {
                    path,
                    anchor,
                    nodes: 1,
                    key: None,
                    is_mapping,
                    next_index: 0,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.finish(open.anchor, open.nodes, line, column)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the path of the node that begins, `None` when it is the key of a mapping.
    fn begin(
        &mut self,
        scalar: Option<&str>,
        line: usize,
        column: usize,
    ) -> Result<Option<Path>, Unreadable> {
        let Some(parent) = self.open.last_mut() else { return Ok(Some(Vec::new())) };
        let mut path = parent.path.clone();
        if !parent.is_mapping {
            path.push(Step::Index(parent.next_index));
            parent.next_index += 1;
            return Ok(Some(path));
        }
        if let Some(key) = parent.key.take() {
            path.push(Step::Key(key));
            return Ok(Some(path));
        }
        let Some(key) = scalar else {
            return Err(self.unreadable(line, column, "a key must be a plain word", None));
        };
        parent.key = Some(key.to_owned());
        path.push(Step::Key(key.to_owned()));
        if let Some((first, _)) = self.at.get(&path) {
            let what = format!("the key `{key}` stands here a second time (first in line {first})");
            return Err(self.unreadable(line, column, what, Some("remove one of the two")));
        }
        self.at.insert(path, (line, column));
        Ok(None)
    }

    fn finish(
        &mut self,
        anchor: usize,
        size: u64,
        line: usize,
        column: usize,
    ) -> Result<(), Unreadable> {
        if anchor != 0 {
            self.anchors.insert(anchor, size);
        }
        self.nodes = self.nodes.max(size);
        if let Some(parent) = self.open.last_mut() {
            parent.nodes = parent.nodes.saturating_add(size);
            self.nodes = self.nodes.max(parent.nodes);
        }
        if self.nodes > MAX_NODES {
            let what = format!("aliases expand this document beyond {MAX_NODES} nodes");
            return Err(self.unreadable(
                line,
                column,
                what,
                Some("write the values out, or use fewer aliases"),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(word: &str) -> Step {
        Step::Key(word.to_owned())
    }

    #[test]
    fn a_path_is_found_at_its_line_and_column() {
        let text = "name: x\ngrid:\n  optimizer.lr: [1e-4,\n    5e-4, bad]\n";
        let places = Places::read("s.yaml", text).expect("yaml");
        let (place, _) = places.find(&[key("grid"), key("optimizer.lr"), Step::Index(2)]);
        assert_eq!(place.to_string(), "s.yaml:4:11");
        let (place, matched) = places.find(&[key("grid"), key("missing")]);
        assert_eq!((place.to_string().as_str(), matched), ("s.yaml:2:1", 1));
    }

    #[test]
    fn duplicates_tabs_and_second_documents_are_seen() {
        let what =
            |text: &str| Places::read("s.yaml", text).expect_err("unreadable").to_string_for_test();
        assert!(
            what("a: 1\nb: 2\na: 3\n")
                .starts_with("s.yaml:3:1: the key `a` stands here a second time")
        );
        assert!(what("a:\n\tb: 2\n").starts_with("s.yaml:2:1: a tab indents"));
        assert!(what("a: 1\n---\nb: 1\n").contains("a second document"));
    }

    #[test]
    fn an_alias_bomb_is_weighed_not_expanded() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..9 {
            let refs = vec![format!("*a{}", n - 1); 10].join(", ");
            text.push_str(&format!("a{n}: &a{n} [{refs}]\n"));
        }
        let bomb = Places::read("s.yaml", &text).expect_err("bomb");
        assert!(bomb.what.contains("aliases expand"), "{}", bomb.what);
    }

    impl Unreadable {
        fn to_string_for_test(&self) -> String {
            format!("{}: {}", self.place, self.what)
        }
    }
}
