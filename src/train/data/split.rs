//! Divides slices into training, validation and test. Pure but for reading `split.csv`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::setting::{Data, Split, SplitBy};
use crate::worker::learner::LearnerError;

use super::folder::Entry;
use super::unreadable;

const FILE: &str = "split.csv";

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

/// Reads `split.csv` where it stands and divides the slices.
///
/// # Errors
/// When the settings ask for a `split.csv` that is missing or does not name a slice, or when too few
/// slices are there.
pub(super) fn roles(settings: &Data, entries: &[Entry]) -> Result<Roles, LearnerError> {
    let path = Path::new(&settings.path).join(FILE);
    let table = match std::fs::read_to_string(&path) {
        Ok(text) => Some(parse(&text).map_err(|what| wrong(&path, what))?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(unreadable(&path, &error)),
    };
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    divide(&names, &settings.split, settings.val_fraction, table.as_ref())
        .map(|parts| Roles { parts })
        .map_err(|what| wrong(&path, what))
}

fn wrong(path: &Path, what: String) -> LearnerError {
    let hint = "it has the columns `name,split`, one line a file; split is train, val or test";
    LearnerError::Data { path: path.to_owned(), what, hint: Some(hint.to_owned()) }
}

/// The error of a split that leaves nothing for training (or else validation).
pub(super) fn nothing_left(settings: &Data, for_training: bool) -> LearnerError {
    let purpose = if for_training { "training" } else { "validation" };
    LearnerError::Data {
        path: settings.path.clone().into(),
        what: format!("the split leaves nothing for {purpose}"),
        hint: Some("more files, another data.val_fraction, or another data.split".to_owned()),
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

/// Divides slices, given in natural order. What the table marks as test is test, whatever the split.
fn divide(
    names: &[&str],
    split: &Split,
    val_fraction: f64,
    table: Option<&BTreeMap<String, Part>>,
) -> Result<Vec<Part>, String> {
    // A line may name a page (`stack#3`) or the whole stack (`stack`).
    let listed = |name: &str| {
        let table = table?;
        table.get(name).or_else(|| table.get(name.rsplit_once('#')?.0)).copied()
    };
    let gap = match split {
        Split::Word(SplitBy::Csv) => {
            if table.is_none() {
                return Err("data.split asks for it, and it is missing".to_owned());
            }
            let part = |name: &&str| listed(name).ok_or(format!("it does not name `{name}`"));
            return names.iter().map(part).collect();
        }
        Split::Word(_) => 0,
        Split::Blocks { gap, .. } => usize::try_from(*gap).unwrap_or(usize::MAX),
    };
    let is_test = |name: &&str| listed(name) == Some(Part::Test);
    let free = names.iter().filter(|name| !is_test(name)).count();
    let train = match split {
        Split::Word(SplitBy::LeakyRandomPatches) => free,
        _ => free - val_count(free, val_fraction),
    };
    let mut parts = Vec::new();
    let mut place = 0;
    for name in names {
        if is_test(name) {
            parts.push(Part::Test);
            continue;
        }
        parts.push(match place {
            place if place >= train => Part::Val,
            place if place + gap >= train && gap > 0 => Part::Unused,
            _ => Part::Train,
        });
        place += 1;
    }
    Ok(parts)
}

/// Rounds, but leaves at least one slice for validation.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction of a small whole number"
)]
fn val_count(free: usize, fraction: f64) -> usize {
    ((free as f64 * fraction).round() as usize).clamp(1.min(free), free)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Part::{Test, Train, Unused, Val};

    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

    fn split(json: &str) -> Split {
        serde_json::from_str(json).expect("split")
    }

    #[test]
    fn the_last_files_are_validation() {
        let parts = divide(&NAMES, &split(r#""file""#), 0.34, None).expect("parts");
        assert_eq!(parts, [Train, Train, Train, Train, Val, Val]);
        assert_eq!(
            divide(&["a", "b"], &split(r#""file""#), 0.01, None).expect("parts"),
            [Train, Val]
        );
    }

    #[test]
    fn blocks_leave_a_gap() {
        let blocks = split(r#"{ "by": "blocks", "gap": 2 }"#);
        let parts = divide(&NAMES, &blocks, 0.34, None).expect("parts");
        assert_eq!(parts, [Train, Train, Unused, Unused, Val, Val]);
    }

    #[test]
    fn test_files_are_kept_out_of_every_split() {
        let table = parse("name,split\nf.png,test\n\"a\",val\nb,train\n").expect("table");
        for word in [r#""file""#, r#"{ "by": "blocks", "gap": 0 }"#, r#""leaky_random_patches""#] {
            let parts = divide(&NAMES, &split(word), 0.2, Some(&table)).expect("parts");
            assert_eq!(parts[5], Test, "{word}");
            assert_eq!(parts.iter().filter(|part| **part == Test).count(), 1);
        }
    }

    #[test]
    fn a_table_names_files_with_extension_pages_and_whole_stacks() {
        let table = parse("split,name\ntrain,s\nval,s#1\ngap,t.tif\n").expect("table");
        let parts = divide(&["s#0", "s#1", "t"], &split(r#""split.csv""#), 0.2, Some(&table));
        assert_eq!(parts.expect("parts"), [Train, Val, Unused]);
        let missing = divide(&["x"], &split(r#""split.csv""#), 0.2, Some(&table));
        assert_eq!(missing.expect_err("unknown"), "it does not name `x`");
        assert!(divide(&NAMES, &split(r#""split.csv""#), 0.2, None).is_err());
    }

    #[test]
    fn a_table_that_says_two_things_is_refused() {
        let misspelt = parse("name,split\na,train\nb,valid\n").expect_err("no split");
        assert!(misspelt.starts_with("line 3: `valid` is no split"), "{misspelt}");
        assert!(parse("name,split\na,train\na.png,val\n").is_err());
        assert!(parse("file,part\na,train\n").is_err());
    }
}
