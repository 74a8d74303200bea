//! Axes: what is swept, and over which values.

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use serde_yaml::Mapping;
use sha2::{Digest, Sha256};

use super::complaint::SweepError;
use super::document::{Document, json, key};
use super::place::{Path, Step};
use super::source::Source;

/// One swept setting.
#[derive(Debug)]
pub(super) struct Axis {
    /// Dotted path of the setting.
    pub(super) target: String,
    /// Where its values stand in the document.
    pub(super) path: Path,
    /// Whether value `i` stands at `path[i]` (a sample of a distribution does not).
    pub(super) listed: bool,
    /// Its values.
    pub(super) values: Vec<Value>,
}

/// Axes that are walked together; all have as many values.
#[derive(Debug)]
pub(super) struct Dimension {
    pub(super) axes: Vec<Axis>,
    pub(super) length: usize,
}

/// Reads all dimensions of a sweep; the first varies slowest.
pub(super) fn dimensions(
    source: &Source,
    document: &Document,
    max_trials: u64,
) -> Result<Vec<Dimension>, SweepError> {
    let mut found = Vec::new();
    for axis in listed(source, &[key("grid")], &document.grid)? {
        found.push(Dimension { length: axis.values.len(), axes: vec![axis] });
    }
    for (index, group) in document.zip.iter().enumerate() {
        let at = [key("zip"), Step::Index(index)];
        found.push(zipped(source, &at, listed(source, &at, group)?)?);
    }
    found.extend(random(source, document, max_trials)?);
    refuse_twice(source, &found)?;
    Ok(found)
}

fn listed(source: &Source, at: &[Step], axes: &Mapping) -> Result<Vec<Axis>, SweepError> {
    let mut found = Vec::new();
    for (target, values) in axes {
        let target = target.as_str().unwrap_or_default();
        let mut path = at.to_vec();
        path.push(key(target));
        let Value::Array(values) = json(source, &path, values)? else {
            let hint = format!(
                "such as `{target}: [1, 2]`; one value for all trials belongs under `fixed:`"
            );
            return Err(source.complain(&path, "an axis needs a list of values", Some(hint)));
        };
        if values.is_empty() {
            let hint = "give it at least one value, or remove it";
            return Err(source.complain(
                &path,
                "this axis is empty: it would make no trials",
                Some(hint.to_owned()),
            ));
        }
        if target == "seed" {
            let hint = "use `repeats: N` and `seed: FIRST` at the top";
            return Err(source.complain(&path, "the seed is no axis", Some(hint.to_owned())));
        }
        found.push(Axis { target: target.to_owned(), path, listed: true, values });
    }
    Ok(found)
}

fn zipped(source: &Source, at: &[Step], axes: Vec<Axis>) -> Result<Dimension, SweepError> {
    let Some(first) = axes.first() else {
        return Err(source.complain(at, "this zip has no axes", Some("remove it".to_owned())));
    };
    let length = first.values.len();
    if let Some(other) = axes.iter().find(|axis| axis.values.len() != length) {
        let what = format!(
            "`{}` has {} values but `{}` has {length}: they are walked together",
            other.target,
            other.values.len(),
            first.target
        );
        let hint = "give them equally many, or move one to `grid:`";
        return Err(source.complain(&other.path, what, Some(hint.to_owned())));
    }
    Ok(Dimension { axes, length })
}

fn random(
    source: &Source,
    document: &Document,
    max_trials: u64,
) -> Result<Option<Dimension>, SweepError> {
    let Some(random) = &document.random else { return Ok(None) };
    let at = |word: &str| vec![key("random"), key(word)];
    if random.count == 0 {
        return Err(source.complain(&at("count"), "0 is too small", Some("at least 1".to_owned())));
    }
    if u64::from(random.count) > max_trials {
        return Err(too_many(source, &at("count"), u128::from(random.count), max_trials));
    }
    if random.axes.is_empty() {
        return Err(source.complain(
            &at("axes"),
            "there are no axes to sample",
            Some("such as `optimizer.lr: { log_uniform: [1e-5, 1e-2] }`".to_owned()),
        ));
    }
    let mut axes = Vec::new();
    for (target, spec) in &random.axes {
        let target = target.as_str().unwrap_or_default();
        let mut path = at("axes");
        path.push(key(target));
        let spec = json(source, &path, spec)?;
        let distribution = Distribution::read(&spec).map_err(|what| {
            let hint = "one of { log_uniform: [LOW, HIGH] }, { uniform: [LOW, HIGH] }, { int: [LOW, HIGH] }, { choice: [A, B] }";
            source.complain(&path, what, Some(hint.to_owned()))
        })?;
        let values = (0..random.count)
            .map(|index| distribution.sample(random.seed, target, index))
            .collect();
        axes.push(Axis { target: target.to_owned(), path, listed: false, values });
    }
    Ok(Some(Dimension { axes, length: random.count as usize }))
}

fn refuse_twice(source: &Source, dimensions: &[Dimension]) -> Result<(), SweepError> {
    let mut seen: Vec<&Axis> = Vec::new();
    for axis in dimensions.iter().flat_map(|dimension| &dimension.axes) {
        if let Some(first) = seen.iter().find(|first| first.target == axis.target) {
            let what = format!(
                "`{}` is an axis already, at {}",
                axis.target,
                super::place::show(&first.path)
            );
            return Err(source.complain(
                &axis.path,
                what,
                Some("remove one of the two".to_owned()),
            ));
        }
        seen.push(axis);
    }
    Ok(())
}

pub(super) fn too_many(source: &Source, at: &[Step], count: u128, max_trials: u64) -> SweepError {
    let what = format!("this makes {count} trials, more than {max_trials}");
    source.complain(
        at,
        what,
        Some(format!("remove values, or allow it with `--max-trials {count}`")),
    )
}

/// Where random values come from.
enum Distribution {
    LogUniform(f64, f64),
    Uniform(f64, f64),
    Int(i64, i64),
    Choice(Vec<Value>),
}

impl Distribution {
    fn read(spec: &Value) -> Result<Self, String> {
        let map = spec.as_object().filter(|map| map.len() == 1).ok_or("this is no distribution")?;
        let (word, bounds) = map.iter().next().ok_or("this is no distribution")?;
        let list = bounds.as_array().ok_or_else(|| format!("`{word}` needs a list"))?;
        if word == "choice" {
            return if list.is_empty() {
                Err("`choice` is empty".to_owned())
            } else {
                Ok(Self::Choice(list.clone()))
            };
        }
        let [low, high] = list.as_slice() else {
            return Err(format!("`{word}` needs two numbers, low and high"));
        };
        let numbers = low
            .as_f64()
            .zip(high.as_f64())
            .ok_or_else(|| format!("`{word}` needs two numbers, low and high"))?;
        if numbers.0 >= numbers.1 {
            return Err(format!("low {} is not below high {}", numbers.0, numbers.1));
        }
        match word.as_str() {
            "log_uniform" if numbers.0 > 0.0 => Ok(Self::LogUniform(numbers.0, numbers.1)),
            "log_uniform" => Err("`log_uniform` needs numbers above 0".to_owned()),
            "uniform" => Ok(Self::Uniform(numbers.0, numbers.1)),
            "int" => low
                .as_i64()
                .zip(high.as_i64())
                .map(|(low, high)| Self::Int(low, high))
                .ok_or_else(|| "`int` needs whole numbers".to_owned()),
            other => Err(format!("unknown distribution `{other}`")),
        }
    }

    /// Returns sample `index`, a function of its arguments only: a larger count keeps the first ones.
    fn sample(&self, seed: u64, axis: &str, index: u32) -> Value {
        let digest = Sha256::digest(format!("{seed}\u{0}{axis}\u{0}{index}"));
        let mut rng = ChaCha8Rng::from_seed(digest.into());
        match self {
            Self::LogUniform(low, high) => {
                let exponent = low.ln() + rng.random::<f64>() * (high.ln() - low.ln());
                six_digits(exponent.exp().clamp(*low, *high))
            }
            Self::Uniform(low, high) => six_digits(low + rng.random::<f64>() * (high - low)),
            Self::Int(low, high) => Value::from(rng.random_range(*low..=*high)),
            Self::Choice(values) => values[rng.random_range(0..values.len())].clone(),
        }
    }
}

/// Rounds to six significant digits, so that an id does not hang on the last bit of a logarithm.
fn six_digits(value: f64) -> Value {
    Value::from(format!("{value:.5e}").parse::<f64>().unwrap_or(value))
}
