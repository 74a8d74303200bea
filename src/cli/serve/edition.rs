//! An edition: what the page shows between two changes of the database, in pieces, so that a page that has
//! an earlier one is told the difference alone.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use hyper::body::Bytes;
use serde_json::{Map, Value};

use crate::cli::report::{Document, Live, html};

/// Members of a document whose elements are told one by one.
const TRIALS: &str = "trials";
const CURVES: &str = "curves";

/// Members that differ each time.
const TIMES: [&str; 2] = ["generated_at", "as_of"];

/// A piece of JSON and what it is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    text: String,
    hash: u64,
}

impl Piece {
    fn new(value: &Value) -> Self {
        let text = value.to_string();
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self { hash: hasher.finish(), text }
    }
}

/// A document that is shown.
#[derive(Debug)]
pub(super) struct Edition {
    /// Its name, another one for each that differs.
    pub(super) name: String,
    /// The whole page.
    pub(super) page: Bytes,
    /// The document as JSON.
    pub(super) document: Bytes,
    /// When it was made, and of when it is; no news by themselves.
    times: Vec<(String, Piece)>,
    /// Everything but trials and their curves, by name; of curves what they have in common.
    keys: Vec<(String, Piece)>,
    lines: Vec<Piece>,
    curves: Vec<Piece>,
}

/// What is remembered of an edition that was: enough to tell what differs.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) name: String,
    keys: HashMap<String, u64>,
    lines: HashMap<u64, usize>,
    curves: HashMap<u64, usize>,
}

impl Edition {
    /// Writes a document down.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(super) fn of(document: &Document, name: String, every: f64) -> serde_json::Result<Self> {
        let mut parts = match serde_json::to_value(document)? {
            Value::Object(parts) => parts,
            _ => Map::new(),
        };
        let lines = pieces(parts.remove(TRIALS));
        let head = parts.get_mut(CURVES).and_then(Value::as_object_mut);
        let curves = pieces(head.and_then(|head| head.remove(TRIALS)));
        let time = |name: &str| Some((name.to_owned(), Piece::new(&parts.remove(name)?)));
        let times = TIMES.into_iter().filter_map(time).collect();
        let keys: Vec<(String, Piece)> =
            parts.iter().map(|(key, value)| (key.clone(), Piece::new(value))).collect();
        let mut edition =
            Self { name, page: Bytes::new(), document: Bytes::new(), times, keys, lines, curves };
        let text = edition.text();
        let live = Live { edition: &edition.name, every };
        edition.page = html(&document.sweeps, &text, Some(live)).into();
        edition.document = text.into();
        Ok(edition)
    }

    /// Says whether it tells what another one tells, but for the time.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (&self.keys, &self.lines, &self.curves) == (&other.keys, &other.lines, &other.curves)
    }

    /// What is remembered of it.
    pub(super) fn trace(&self) -> Trace {
        let places = |pieces: &[Piece]| {
            pieces.iter().enumerate().map(|(at, piece)| (piece.hash, at)).collect()
        };
        Trace {
            name: self.name.clone(),
            keys: self.keys.iter().map(|(key, piece)| (key.clone(), piece.hash)).collect(),
            lines: places(&self.lines),
            curves: places(&self.curves),
        }
    }

    /// What somebody does not know who has an earlier edition, as fields of a JSON object; all of it without
    /// one. A trial or curve that is as it was is named by `[place, number]` in the earlier list.
    pub(super) fn news(&self, since: Option<&Trace>) -> String {
        let is_known = |key: &str, piece: &Piece| {
            since.and_then(|trace| trace.keys.get(key)).is_some_and(|hash| *hash == piece.hash)
        };
        let changed = self.keys.iter().filter(|(key, piece)| !is_known(key, piece));
        let told = self.times.iter().chain(changed);
        let keys: Vec<String> = told.map(|(key, piece)| member(key, &piece.text)).collect();
        let base = since.map_or("null".to_owned(), |trace| Value::from(&*trace.name).to_string());
        format!(
            "\"base\":{base},\"keys\":{{{}}},\"trials\":{},\"curves\":{}",
            keys.join(","),
            rows(&self.lines, since.map(|trace| &trace.lines)),
            rows(&self.curves, since.map(|trace| &trace.curves)),
        )
    }

    /// The document.
    fn text(&self) -> String {
        let list = |pieces: &[Piece]| {
            let texts: Vec<&str> = pieces.iter().map(|piece| piece.text.as_str()).collect();
            format!("[{}]", texts.join(","))
        };
        let mut members: Vec<String> = Vec::with_capacity(self.keys.len() + 2);
        for (key, piece) in &self.keys {
            let whole = match piece.text.strip_suffix('}') {
                Some(head) if key == CURVES => {
                    format!("{head},{}}}", member(TRIALS, &list(&self.curves)))
                }
                _ => piece.text.clone(),
            };
            members.push(member(key, &whole));
        }
        members.push(member(TRIALS, &list(&self.lines)));
        members.extend(self.times.iter().map(|(key, piece)| member(key, &piece.text)));
        format!("{{{}}}", members.join(","))
    }
}

fn member(key: &str, text: &str) -> String {
    format!("{}:{text}", Value::from(key))
}

/// The elements of a list.
fn pieces(list: Option<Value>) -> Vec<Piece> {
    list.as_ref().and_then(Value::as_array).into_iter().flatten().map(Piece::new).collect()
}

/// Pieces as a JSON list, where those that are known are named by their places.
fn rows(pieces: &[Piece], known: Option<&HashMap<u64, usize>>) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut stretch: Option<(usize, usize)> = None;
    let end = |stretch: &mut Option<(usize, usize)>, told: &mut Vec<String>| {
        if let Some((from, number)) = stretch.take() {
            told.push(format!("[{from},{number}]"));
        }
    };
    for piece in pieces {
        match (known.and_then(|known| known.get(&piece.hash)), &mut stretch) {
            (Some(at), Some((from, number))) if *at == *from + *number => *number += 1,
            (Some(at), _) => {
                end(&mut stretch, &mut told);
                stretch = Some((*at, 1));
            }
            (None, _) => {
                end(&mut stretch, &mut told);
                told.push(piece.text.clone());
            }
        }
    }
    end(&mut stretch, &mut told);
    format!("[{}]", told.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn list(values: &[Value]) -> Vec<Piece> {
        values.iter().map(Piece::new).collect()
    }

    #[test]
    fn what_is_as_it_was_is_named_by_its_place() {
        let old = list(&[json!({"a": 1}), json!({"b": 2}), json!({"c": 3}), json!({"d": 4})]);
        let known = old.iter().enumerate().map(|(at, piece)| (piece.hash, at)).collect();
        let new = list(&[
            json!({"new": 0}),
            json!({"a": 1}),
            json!({"b": 2}),
            json!({"d": 4}),
            json!({"c": 5}),
        ]);
        assert_eq!(rows(&new, Some(&known)), r#"[{"new":0},[0,2],[3,1],{"c":5}]"#);
        assert_eq!(rows(&new[..2], None), r#"[{"new":0},{"a":1}]"#);
        assert_eq!(rows(&[], Some(&known)), "[]");
    }
}
