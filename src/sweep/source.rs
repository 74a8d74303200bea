//! From text to one value: files are read through a loader, includes merged, places kept.

use serde_yaml::{Mapping, Value};

use super::complaint::SweepError;
use super::place::{self, Place, Places, Step};

/// A file as a loader gives it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its name as shown to people.
    pub name: String,
    /// Its folder, absolute: what paths inside it are relative to.
    pub folder: String,
    /// What tells it from other files (its canonical path).
    pub identity: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Gives files to a reader that may not touch the disk.
pub trait Loader {
    /// Loads the file `name`, relative to `folder` (`None`: as the user gave it).
    ///
    /// # Errors
    /// In words, when it cannot be read.
    fn load(&self, folder: Option<&str>, name: &str) -> Result<Loaded, String>;
}

/// A merged document with the places of all its files, the outermost first.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) value: Value,
    places: Vec<Places>,
    pub(super) folder: String,
    /// The text of the outermost file.
    pub(super) text: String,
}

impl Source {
    pub(super) fn read(loader: &dyn Loader, name: &str) -> Result<Self, SweepError> {
        let loaded =
            loader.load(None, name).map_err(|what| SweepError::one(None, "", what, None))?;
        read_file(loader, loaded, &mut Chain::default())
    }

    /// Returns the place of a path: in the outermost file that has it, else of what is around it.
    pub(super) fn place(&self, path: &[Step]) -> Option<Place> {
        let found = self.places.iter().map(|places| places.find(path));
        // The first of the deepest: `max_by_key` would take the last.
        found.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(place, _)| place)
    }

    /// Says whether one of the files has this path.
    pub(super) fn has(&self, path: &[Step]) -> bool {
        self.places.iter().any(|places| places.find(path).1 == path.len())
    }

    pub(super) fn complain(
        &self,
        path: &[Step],
        what: impl Into<String>,
        hint: Option<String>,
    ) -> SweepError {
        SweepError::one(self.place(path), place::show(path), what, hint)
    }
}

/// Files that a sweep may be made of: one that two others include counts twice.
const MAX_FILES: usize = 100;

/// The files that are being read, each included by the one before.
#[derive(Default)]
struct Chain {
    open: Vec<String>,
    /// How many were read.
    files: usize,
}

fn read_file(loader: &dyn Loader, file: Loaded, chain: &mut Chain) -> Result<Source, SweepError> {
    chain.files += 1;
    if chain.files > MAX_FILES {
        let what = format!("more than {MAX_FILES} files are included, {} is one more", file.name);
        let hint = "a file that several others include is read anew each time".to_owned();
        return Err(SweepError::one(None, "include", what, Some(hint)));
    }
    if chain.open.contains(&file.identity) {
        let what = format!("{} includes itself, through {}", file.name, chain.open.join(" and "));
        return Err(SweepError::one(
            None,
            "include",
            what,
            Some("remove one of the includes".to_owned()),
        ));
    }
    chain.open.push(file.identity.clone());
    let text = utf8(&file)?;
    let places = Places::read(&file.name, &text)
        .map_err(|bad| SweepError::one(Some(bad.place), "", bad.what, bad.hint))?;
    let mut value = parse(&file, &text)?;
    absolute_paths(&mut value, &file.folder);
    let included = take_includes(&mut value).map_err(|what| {
        SweepError::one(
            Some(places.find(&[Step::Key("include".to_owned())]).0),
            "include",
            what,
            Some("such as `include: [base.yaml]`".to_owned()),
        )
    })?;
    let mut all_places = vec![places];
    let mut below = Value::Mapping(Mapping::new());
    for (index, name) in included.iter().enumerate() {
        let at = [Step::Key("include".to_owned()), Step::Index(index)];
        let loaded = loader.load(Some(&file.folder), name).map_err(|what| {
            SweepError::one(
                Some(all_places[0].find(&at).0),
                place::show(&at),
                what,
                Some("the path is relative to the file that includes it".to_owned()),
            )
        })?;
        let mut source = read_file(loader, loaded, chain)?;
        merge(&mut below, source.value);
        // Later includes win over earlier ones.
        source.places.append(&mut all_places.split_off(1));
        all_places.append(&mut source.places);
    }
    chain.open.pop();
    merge(&mut below, value);
    Ok(Source { value: below, places: all_places, folder: file.folder, text })
}

fn utf8(file: &Loaded) -> Result<String, SweepError> {
    // Editors on Windows put a mark before the text.
    let bytes = file.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&file.bytes).to_vec();
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &file.bytes[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = good.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        let place = Place { file: file.name.clone(), line, column };
        let hint = "save the file as UTF-8 (`iconv -f latin1 -t utf-8`)";
        SweepError::one(Some(place), "", "this is no UTF-8 text", Some(hint.to_owned()))
    })?;
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        let place = Place { file: file.name.clone(), line: 1, column: 1 };
        let hint = "a sweep needs at least `name`, `fixed` and an axis: `regatta init` writes one to start from";
        return Err(SweepError::one(Some(place), "", "the file is empty", Some(hint.to_owned())));
    }
    Ok(text)
}

fn parse(file: &Loaded, text: &str) -> Result<Value, SweepError> {
    let value: Value = serde_yaml::from_str(text).map_err(|error| {
        let place = error.location().map(|at| Place {
            file: file.name.clone(),
            line: at.line(),
            column: at.column(),
        });
        SweepError::one(place, "", format!("this is no YAML: {error}"), None)
    })?;
    if value.is_mapping() {
        return Ok(value);
    }
    let place = Place { file: file.name.clone(), line: 1, column: 1 };
    let hint = "a sweep file begins with `name: …`, each key on its own line";
    Err(SweepError::one(Some(place), "", "a mapping is needed at the top", Some(hint.to_owned())))
}

fn take_includes(value: &mut Value) -> Result<Vec<String>, &'static str> {
    let list = value.as_mapping_mut().and_then(|map| map.shift_remove("include"));
    // What is null counts as left out, as everywhere at the top.
    let Some(list) = list.filter(|list| !list.is_null()) else { return Ok(Vec::new()) };
    let names = list
        .as_sequence()
        .map(|list| list.iter().map(|name| name.as_str().map(str::to_owned)).collect());
    names.flatten().ok_or("a list of file names is needed")
}

/// Lays `over` on `under`: mappings deep, everything else replaced, null removes.
fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Mapping(under), Value::Mapping(over)) => {
            for (key, value) in over {
                if value.is_null() {
                    under.shift_remove(&key);
                } else if let Some(below) = under.get_mut(&key) {
                    merge(below, value);
                } else {
                    under.insert(key, value);
                }
            }
        }
        (under, over) => *under = over,
    }
}

/// Paths are relative to the file they stand in; after merging nobody would know which that was.
fn absolute_paths(value: &mut Value, folder: &str) {
    let Some(document) = value.as_mapping_mut() else { return };
    if let Some(Value::String(template)) = document.get_mut("template") {
        *template = join(folder, template);
    }
    if let Some(data) = document.get_mut("fixed").and_then(|fixed| fixed.get_mut("data")) {
        absolute_data(data, folder);
    }
    for (key, inner) in [("grid", None), ("random", Some("axes"))] {
        let axes = document.get_mut(key);
        let axes =
            if let Some(inner) = inner { axes.and_then(|axes| axes.get_mut(inner)) } else { axes };
        axes.into_iter().for_each(|axes| absolute_axes(axes, folder));
    }
    if let Some(Value::Sequence(groups)) = document.get_mut("zip") {
        groups.iter_mut().for_each(|group| absolute_axes(group, folder));
    }
}

fn absolute_axes(axes: &mut Value, folder: &str) {
    for (key, values) in axes.as_mapping_mut().into_iter().flatten() {
        let values = if values.is_mapping() { values.get_mut("choice") } else { Some(values) };
        let Some(Value::Sequence(values)) = values else { continue };
        for value in values {
            match (key.as_str(), value) {
                (Some("data"), value) => absolute_data(value, folder),
                (Some("data.path"), Value::String(path)) => *path = join(folder, path),
                _ => {}
            }
        }
    }
}

fn absolute_data(data: &mut Value, folder: &str) {
    if let Some(Value::String(path)) = data.get_mut("path") {
        *path = join(folder, path);
    }
}

/// Joins by text and folds `.` and `..`; symbolic links are nobody's business here.
fn join(folder: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{folder}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
