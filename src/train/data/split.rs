//! Divides slices into training, validation and test. Pure but for reading `split.csv` and, where
//! masks decide, their densities.

mod deal;

use std::collections::BTreeMap;
use std::path::Path;

use crate::layout::{self, Limit};
use crate::setting::{Data, Split, SplitBy};
use crate::worker::learner::LearnerError;

use super::folder::Entry;
use super::fraction;
use super::unreadable;

pub(in crate::train) const FILE: &str = "split.csv";

/// What a slice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Learnt from.
    Train,
    /// Evaluated while training.
    Val,
    /// Kept for the end; never learnt from, never evaluated while training.
    Test,
    /// Not used, such as a gap between training and validation.
    Unused,
    /// For training, but not among the fraction that `data.train_fraction` asks for.
    LeftOut,
    /// All slices, whatever they are for.
    All,
}

impl Part {
    /// Reads the word of a command line.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Train, Self::Val, Self::Test, Self::All].into_iter().find(|p| p.as_str() == word)
    }

    /// Returns its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
            Self::Unused => "unused",
            Self::LeftOut => "left out",
            Self::All => "all",
        }
    }
}

/// The parts of all slices, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles {
    /// One for each slice.
    pub parts: Vec<Part>,
}

/// Reads `split.csv` where it stands, divides the slices, and leaves out what of those for training is
/// not among the wanted fraction. (Of random patches it is cells that are left out, not files.)
///
/// # Errors
/// When the settings ask for a `split.csv` that is missing or does not name a slice, or when a mask
/// that decides cannot be read.
pub(super) fn roles(settings: &Data, entries: &[Entry]) -> Result<Roles, LearnerError> {
    let mut roles = divided(settings, entries)?;
    if settings.split != Split::Word(SplitBy::LeakyRandomPatches) {
        fraction::thin(&mut roles.parts, settings.train_fraction);
    }
    Ok(roles)
}

/// The parts by the split alone.
fn divided(settings: &Data, entries: &[Entry]) -> Result<Roles, LearnerError> {
    let path = Path::new(&settings.path).join(FILE);
    let table = match layout::read_named_text(&path, Limit::TABLE) {
        Ok(text) => Some(parse(&text).map_err(|what| wrong(&path, what))?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(unreadable(&path, &error)),
    };
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    if settings.split == Split::Word(SplitBy::Csv) {
        let parts = listed_parts(&names, table.as_ref()).map_err(|what| wrong(&path, what))?;
        return Ok(Roles { parts });
    }
    let mut parts: Vec<Part> = names
        .iter()
        .map(|name| match listed(table.as_ref(), name) {
            Some(Part::Test) => Part::Test,
            _ => Part::Unused,
        })
        .collect();
    // What the table marks as test is test, whatever the split: not even its mask is read.
    let free: Vec<usize> = (0..parts.len()).filter(|at| parts[*at] != Part::Test).collect();
    let density = |at: &usize| density(&entries[*at]);
    let densities = if settings.split == Split::Word(SplitBy::Stratified) {
        free.iter().map(density).collect::<Result<_, _>>()?
    } else {
        Vec::new()
    };
    let dealt = divide(free.len(), &settings.split, settings.val_fraction, &densities);
    free.into_iter().zip(dealt).for_each(|(at, part)| parts[at] = part);
    Ok(Roles { parts })
}

/// Fraction of a mask's pixels that is foreground.
#[expect(clippy::cast_precision_loss, reason = "pixel counts stay far below 2^53")]
fn density(entry: &Entry) -> Result<f64, LearnerError> {
    let Some(source) = &entry.mask else { return Ok(0.0) };
    let mask = source.read_mask()?;
    Ok(mask.foreground() as f64 / mask.pixels.len().max(1) as f64)
}

fn wrong(path: &Path, what: String) -> LearnerError {
    let hint = "it has the columns `name,split`, one line a file; split is train, val or test";
    LearnerError::Data { path: path.to_owned(), what, hint: Some(hint.to_owned()) }
}

/// The error of a split that leaves nothing for training or for validation.
pub(super) fn nothing_left(settings: &Data, roles: &Roles, for_training: bool) -> LearnerError {
    let count = |part| roles.parts.iter().filter(|of| **of == part).count();
    let (train, val) = (count(Part::Train), count(Part::Val));
    let purpose = if for_training { "training" } else { "validation" };
    let hint = match &settings.split {
        Split::Word(SplitBy::Csv) => {
            "mark files as train and as val in split.csv, or set data.split"
        }
        Split::Blocks { .. } => {
            "a smaller gap in data.split, a smaller data.val_fraction, or more files"
        }
        Split::Folds { .. } => "a smaller gap or fewer folds in data.split, or more files",
        Split::Word(SplitBy::LeakyRandomPatches) => {
            "a smaller data.patch or data.val_fraction, or more files"
        }
        Split::Word(_) => "set data.val_fraction or data.split, or add files",
    };
    LearnerError::Data {
        path: settings.path.clone().into(),
        what: format!(
            "the split leaves nothing for {purpose}: of {} files {train} are for training, {val} for \
             validation, {} for the test, {} unused",
            roles.parts.len(),
            count(Part::Test),
            count(Part::Unused),
        ),
        hint: Some(hint.to_owned()),
    }
}

/// Parses `split.csv` into parts by name, extensions taken off.
fn parse(text: &str) -> Result<BTreeMap<String, Part>, String> {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(cell).collect();
    let column = |name| header.iter().position(|cell| *cell == name);
    let (Some(name_at), Some(split_at)) = (column("name"), column("split")) else {
        return Err(format!("its first line is `{}`", header.join(",")));
    };
    let mut table = BTreeMap::new();
    for (number, line) in lines.enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split(',').map(cell).collect();
        let (Some(name), Some(split)) = (cells.get(name_at), cells.get(split_at)) else {
            return Err(format!("line {} is `{line}`", number + 2));
        };
        let part = match *split {
            "train" => Part::Train,
            "val" => Part::Val,
            "test" => Part::Test,
            "gap" | "unused" | "" => Part::Unused,
            // A misspelt word would drop images without a sound.
            other => {
                let known = "train, val, test, or gap and unused for neither";
                return Err(format!("line {}: `{other}` is no split ({known})", number + 2));
            }
        };
        if let Some(other) = table.insert(stem(name).to_owned(), part)
            && other != part
        {
            return Err(format!("`{name}` stands in it twice, as different splits"));
        }
    }
    Ok(table)
}

fn cell(text: &str) -> &str {
    text.trim().trim_matches('"')
}

fn stem(name: &str) -> &str {
    let known = [".png", ".PNG", ".tif", ".TIF", ".tiff", ".TIFF"];
    known.iter().find_map(|extension| name.strip_suffix(extension)).unwrap_or(name)
}

/// What the table says of a slice; a line may name a page (`stack#3`) or the whole stack (`stack`).
fn listed(table: Option<&BTreeMap<String, Part>>, name: &str) -> Option<Part> {
    let table = table?;
    table.get(name).or_else(|| table.get(name.rsplit_once('#')?.0)).copied()
}

/// The parts that the table gives.
fn listed_parts(
    names: &[&str],
    table: Option<&BTreeMap<String, Part>>,
) -> Result<Vec<Part>, String> {
    if table.is_none() {
        return Err("data.split asks for it, and it is missing".to_owned());
    }
    let part = |name: &&str| listed(table, name).ok_or(format!("it does not name `{name}`"));
    names.iter().map(part).collect()
}

/// Divides so many files, in natural order; `densities` are those of their masks, where they decide.
fn divide(files: usize, split: &Split, val_fraction: f64, densities: &[f64]) -> Vec<Part> {
    let val = val_count(files, val_fraction);
    let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    match split {
        Split::Word(SplitBy::LeakyRandomPatches) => vec![Part::Train; files],
        Split::Word(SplitBy::Stratified) => deal::stratified(densities, val),
        Split::Word(SplitBy::File | SplitBy::Csv) => deal::tail(files, val, 0),
        Split::Blocks { gap, .. } => deal::tail(files, val, whole(*gap)),
        Split::Folds { folds, fold, gap, .. } => {
            deal::fold(files, whole(*folds), whole(*fold), whole(*gap))
        }
    }
}

/// Rounds, but leaves at least one slice for validation.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction of a small whole number"
)]
pub(super) fn val_count(free: usize, fraction: f64) -> usize {
    ((free as f64 * fraction).round() as usize).clamp(1.min(free), free)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Part::{Train, Unused, Val};

    fn split(json: &str) -> Split {
        serde_json::from_str(json).expect("split")
    }

    #[test]
    fn the_last_files_are_validation() {
        let file = split(r#""file""#);
        assert_eq!(divide(6, &file, 0.34, &[]), [Train, Train, Train, Train, Val, Val]);
        assert_eq!(divide(2, &file, 0.01, &[]), [Train, Val]);
    }

    #[test]
    fn blocks_leave_a_gap() {
        let blocks = split(r#"{ "by": "blocks", "gap": 2 }"#);
        assert_eq!(divide(6, &blocks, 0.34, &[]), [Train, Train, Unused, Unused, Val, Val]);
        let folds = split(r#"{ "by": "folds", "folds": 3, "fold": 1, "gap": 1 }"#);
        assert_eq!(divide(6, &folds, 0.34, &[]), [Train, Unused, Val, Val, Unused, Train]);
    }

    #[test]
    fn a_table_names_files_with_extension_pages_and_whole_stacks() {
        let table = parse("split,name\ntrain,s\nval,s#1\ngap,t.tif\n").expect("table");
        let parts = listed_parts(&["s#0", "s#1", "t"], Some(&table));
        assert_eq!(parts.expect("parts"), [Train, Val, Unused]);
        let missing = listed_parts(&["x"], Some(&table));
        assert_eq!(missing.expect_err("unknown"), "it does not name `x`");
        assert!(listed_parts(&["x"], None).is_err());
    }

    #[test]
    fn a_table_that_says_two_things_is_refused() {
        let misspelt = parse("name,split\na,train\nb,valid\n").expect_err("no split");
        assert!(misspelt.starts_with("line 3: `valid` is no split"), "{misspelt}");
        assert!(parse("name,split\na,train\na.png,val\n").is_err());
        assert!(parse("file,part\na,train\n").is_err());
    }
}
