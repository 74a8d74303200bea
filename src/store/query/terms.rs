//! Conditions and names as SQL over the tables `trial` and `sweep`. No value of a user's is part of the
//! text: all are bound.

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Sqlite};

use crate::metric::Direction;
use crate::query::{Aggregate, Expr, Field, Literal, Name, Operator, Order};
use crate::setting::left_out;

/// Whether small values of the objective are good.
const IS_MINIMIZED: &str = "sweep.direction = 'minimize'";

/// Pieces of SQL, and what is bound to their parameters.
#[derive(Debug)]
pub(super) struct Terms {
    bound: SqliteArguments,
}

/// A metric of a trial: SQL of its value, and of the epoch that it is from.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) value: String,
    pub(super) epoch: String,
}

/// Trials that a question is about.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// How many.
    pub(super) trials: u64,
    /// How many of them are not finished.
    pub(super) unfinished: u64,
    /// Their rows, a JSON array; none for all trials of the sweeps.
    pub(super) rows: Option<String>,
}

/// A setting of a trial.
struct Set {
    /// Its value; true is 1.
    value: String,
    /// Its JSON type; null for none.
    kind: String,
}

impl Terms {
    /// Begins with nothing bound. The first value that is bound has the number 1.
    pub(super) fn new() -> Self {
        Self { bound: SqliteArguments::default() }
    }

    /// Binds a value; returns its parameter.
    pub(super) fn bind<'t, T>(&mut self, value: T) -> String
    where
        T: sqlx::Encode<'t, Sqlite> + sqlx::Type<Sqlite>,
    {
        // Numbers and texts can always be encoded.
        let _ = self.bound.add(value);
        format!("?{}", self.bound.len())
    }

    /// Returns what was bound.
    pub(super) fn bound(self) -> SqliteArguments {
        self.bound
    }

    /// Says of a column that it names a trial that is kept.
    pub(super) fn kept(&mut self, column: &str, kept: &Kept) -> String {
        kept.rows.as_ref().map_or("1".to_owned(), |rows| {
            format!("{column} in (select value from json_each({}))", self.bind(rows.clone()))
        })
    }

    /// A condition that is 1 or 0.
    pub(super) fn condition(&mut self, expr: &Expr) -> String {
        let mut joined = |parts: &[Expr], word: &str, none: &str| {
            let parts: Vec<String> = parts.iter().map(|part| self.condition(part)).collect();
            if parts.is_empty() { none.to_owned() } else { format!("({})", parts.join(word)) }
        };
        match expr {
            Expr::All(parts) => joined(parts, " and ", "1"),
            Expr::Any(parts) => joined(parts, " or ", "0"),
            Expr::Not(inner) => format!("(not {})", self.condition(inner)),
            Expr::Compare { name, operator, literal } => {
                let text = match name {
                    Name::Setting(path) => self.compare_setting(path, *operator, literal),
                    name => self.compare(name, *operator, literal),
                };
                // What is missing compares as false, not as null.
                format!("coalesce({text}, 0)")
            }
        }
    }

    fn compare(&mut self, name: &Name, operator: Operator, literal: &Literal) -> String {
        let value = self.value(name);
        match (operator, literal) {
            (_, Literal::Whole(number))
                if let (Name::Field(Field::Seed), Ok(seed)) = (name, u64::try_from(*number)) =>
            {
                let seed = seed.cast_signed();
                let (is_large, seed) = (self.bind(seed < 0), self.bind(seed));
                format!("({SEED}) {} ({is_large}, {seed})", sql(operator))
            }
            // No seed is negative or has a fraction; the large ones are kept as negative numbers.
            (_, Literal::Whole(_) | Literal::Number(_)) if *name == Name::Field(Field::Seed) => {
                let literal = self.literal(literal);
                let unsigned =
                    "iif(trial.seed < 0, trial.seed + 18446744073709551616.0, trial.seed)";
                format!("{unsigned} {} {literal}", sql(operator))
            }
            (Operator::Equal, Literal::Null) => format!("{value} is null"),
            (_, Literal::Null) => format!("{value} is not null"),
            _ => {
                let literal = self.literal(literal);
                format!("{value} {} {literal}", sql(operator))
            }
        }
    }

    /// Numbers are compared with numbers and texts with texts: SQLite itself would order any text above
    /// any number.
    fn compare_setting(&mut self, path: &str, operator: Operator, literal: &Literal) -> String {
        let Set { value, kind, .. } = self.setting(path);
        let holds = match literal {
            Literal::Null if operator == Operator::Equal => return format!("{value} is null"),
            Literal::Null => return format!("{value} is not null"),
            Literal::Truth(truth) => format!("{kind} = {}", self.bind(truth.to_string())),
            other => {
                let kinds = match (operator, other) {
                    (Operator::Like | Operator::NotLike, _) => "'text', 'integer', 'real'",
                    (_, Literal::Text(_)) => "'text'",
                    _ => "'integer', 'real'",
                };
                let negated = matches!(operator, Operator::NotEqual | Operator::NotLike);
                let sign = match operator {
                    Operator::NotEqual => "=",
                    Operator::NotLike => "glob",
                    other => sql(other),
                };
                let holds =
                    format!("({kind} in ({kinds}) and {value} {sign} {})", self.literal(other));
                if negated {
                    return format!("({value} is not null and not coalesce({holds}, 0))");
                }
                holds
            }
        };
        if operator == Operator::NotEqual {
            format!("({value} is not null and not coalesce({holds}, 0))")
        } else {
            holds
        }
    }

    fn literal(&mut self, literal: &Literal) -> String {
        match literal {
            Literal::Whole(number) => match i64::try_from(*number) {
                Ok(whole) => self.bind(whole),
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "SQLite has no larger whole numbers"
                )]
                Err(_) => self.bind(*number as f64),
            },
            Literal::Number(number) => self.bind(*number),
            Literal::Text(text) => self.bind(text.clone()),
            Literal::Truth(truth) => self.bind(*truth),
            Literal::Null => "null".to_owned(),
        }
    }

    /// The value of something that trials have; null for none.
    pub(super) fn value(&mut self, name: &Name) -> String {
        match name {
            Name::Field(field) => self.field(*field),
            Name::Setting(path) => self.setting(path).value,
            Name::Metric(metric, aggregate) => self.metric(Some(metric), *aggregate, None).value,
        }
    }

    /// What `order by` needs, with a comma behind each; what is missing comes last.
    pub(super) fn order(&mut self, orders: &[Order]) -> String {
        let one = |order: &Order| {
            let way = if order.is_descending { "desc" } else { "asc" };
            let large_first = match order.name {
                Name::Field(Field::Seed) => format!("trial.seed < 0 {way}, "),
                _ => String::new(),
            };
            format!("{large_first}{} {way} nulls last, ", self.value(&order.name))
        };
        orders.iter().map(one).collect()
    }

    fn field(&mut self, field: Field) -> String {
        let own = |column: &str| format!("trial.{column}");
        let of_attempts = |what: &str| {
            format!("(select {what} from attempt a where a.trial_id = trial.trial_id)")
        };
        match field {
            Field::Sweep => "sweep.name".to_owned(),
            Field::Trial => own("identity"),
            Field::State | Field::Why | Field::Seed | Field::Repeat | Field::Epochs => {
                own(field.as_str())
            }
            Field::EpochsDone => EPOCHS_DONE.to_owned(),
            Field::Attempts => of_attempts("count(*)"),
            Field::Elapsed => of_attempts("max(a.elapsed)"),
            Field::Value => self.metric(None, Aggregate::Best, None).value,
            Field::Epoch => self.metric(None, Aggregate::Best, None).epoch,
            Field::Leaky => LEAKY.to_owned(),
        }
    }

    /// A metric, the objective of the sweep for none; its good direction where none is given is the
    /// objective's, or the usual one.
    pub(super) fn metric(
        &mut self,
        metric: Option<&str>,
        aggregate: Aggregate,
        direction: Option<Direction>,
    ) -> Measured {
        let name = metric.map_or("sweep.metric".to_owned(), |name| self.bind(name.to_owned()));
        let of_summary = |columns: [String; 2]| {
            let [value, epoch] = columns.map(|column| {
                format!(
                    "(select {column} from summary s
                      where s.trial_id = trial.trial_id and s.metric = {name})"
                )
            });
            Measured { value, epoch }
        };
        let epoch = match aggregate {
            Aggregate::Best => {
                let usual = |name| i32::from(Direction::usual(name) == Direction::Minimize);
                let is_minimized = match (direction, metric) {
                    (Some(direction), _) => i32::from(direction == Direction::Minimize).to_string(),
                    (None, None) => IS_MINIMIZED.to_owned(),
                    (None, Some(metric)) => {
                        format!("iif(sweep.metric = {name}, {IS_MINIMIZED}, {})", usual(metric))
                    }
                };
                return of_summary(
                    ["", "_epoch"]
                        .map(|end| format!("iif({is_minimized}, s.minimum{end}, s.maximum{end})")),
                );
            }
            Aggregate::Last | Aggregate::Max | Aggregate::Min => {
                return of_summary(columns("s", aggregate, Direction::default()));
            }
            at @ (Aggregate::BestVal | Aggregate::Epoch(_)) => self.epoch(at),
        };
        let of_epoch = format!("e.trial_id = trial.trial_id and e.epoch = {epoch}");
        Measured {
            value: format!(
                "(select m.value from epoch e, json_each(e.metrics) m
                  where {of_epoch} and m.key = {name})"
            ),
            epoch: format!("(select e.epoch from epoch e where {of_epoch})"),
        }
    }

    /// All metrics of one epoch of a trial, in JSON.
    pub(super) fn metrics_at(&mut self, aggregate: Aggregate) -> String {
        let epoch = self.epoch(aggregate);
        format!(
            "(select e.metrics from epoch e where e.trial_id = trial.trial_id and e.epoch = {epoch})"
        )
    }

    /// The epoch with a number, or in which the objective was best; that one for whatever else.
    fn epoch(&mut self, aggregate: Aggregate) -> String {
        match aggregate {
            Aggregate::Epoch(number) => self.bind(crate::store::int(number)),
            _ => format!(
                "(select iif({IS_MINIMIZED}, o.minimum_epoch, o.maximum_epoch) from summary o
                  where o.trial_id = trial.trial_id and o.metric = sweep.metric)"
            ),
        }
    }

    /// A setting; one that resolved settings leave out has its default.
    fn setting(&mut self, path: &str) -> Set {
        let place = self.bind(json_path(path));
        let defaults = left_out(path);
        if defaults.is_empty() {
            return Set {
                value: format!("json_extract(trial.settings, {place})"),
                kind: format!("json_type(trial.settings, {place})"),
            };
        }
        let section = path.split_once('.').map(|(section, _)| section);
        let mut default = String::from("case");
        for (variant, value) in defaults {
            let when = match (section, variant) {
                (None, _) => "1".to_owned(),
                (Some(section), None) => {
                    let section = self.bind(json_path(section));
                    format!("json_type(trial.settings, {section}) = 'object'")
                }
                (Some(section), Some(variant)) => {
                    let name = self.bind(json_path(&format!("{section}.name")));
                    let variant = self.bind(variant);
                    format!("json_extract(trial.settings, {name}) = {variant}")
                }
            };
            default += &format!(" when {when} then {}", self.bind(value.to_string()));
        }
        let json = format!("coalesce(trial.settings -> {place}, {default} end)");
        Set { value: format!("json_extract({json}, '$')"), kind: format!("json_type({json})") }
    }
}

/// Value and epoch of a metric, by the row of the table `summary` that it has; none where that does not tell.
pub(super) fn of_row(row: &str, aggregate: Aggregate, direction: Direction) -> Option<Measured> {
    let is_there = !matches!(aggregate, Aggregate::BestVal | Aggregate::Epoch(_));
    is_there.then(|| {
        let [value, epoch] = columns(row, aggregate, direction);
        Measured { value, epoch }
    })
}

fn columns(row: &str, aggregate: Aggregate, direction: Direction) -> [String; 2] {
    let column = match (aggregate, direction) {
        (Aggregate::Last, _) => "last",
        (Aggregate::Min, _) | (Aggregate::Best, Direction::Minimize) => "minimum",
        _ => "maximum",
    };
    [format!("{row}.{column}"), format!("{row}.{column}_epoch")]
}

/// How many epochs of a trial are done, from the few rows of its summary: its epochs are spread over a table
/// that may have gigabytes.
pub(super) const EPOCHS_DONE: &str = "coalesce((select max(s.last_epoch) from summary s
     where s.trial_id = trial.trial_id), 0)";

/// Whether neighbours of a trial's validation patches are trained on.
pub(super) const LEAKY: &str =
    "coalesce(json_extract(trial.settings, '$.data.split') = 'leaky_random_patches', 0)";

/// A seed as two values that are ordered as it is: those above 2^63 are kept as negative numbers.
const SEED: &str = "trial.seed < 0, trial.seed";

fn sql(operator: Operator) -> &'static str {
    match operator {
        Operator::Like => "glob",
        Operator::NotLike => "not glob",
        other => other.as_str(),
    }
}

/// A dotted path as SQLite writes it.
fn json_path(path: &str) -> String {
    let steps = path.split('.').map(|step| format!(".\"{}\"", step.replace('"', "")));
    format!("${}", steps.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Vocabulary, parse};

    #[test]
    fn no_text_of_a_user_stands_in_the_sql() {
        let words = Vocabulary { metrics: vec!["val/loss".to_owned()], ..Vocabulary::default() };
        let texts = [
            "model.name = \"x'); drop table trial; --\"",
            "sweep ~ \"'*\" or why != \"a\\\"b\"",
            "optimizer.lr in (0.125, 0.25) and batch_size not in (77, 78)",
            "val/loss@last < 0.0625 and val/loss@99 > 3 and not leaky = true",
            "augmentation.elastic = 55 and guards.patience = null",
        ];
        for text in texts {
            let expr = parse(text, &words).expect(text);
            let mut terms = Terms::new();
            let sql = terms.condition(&expr);
            for word in ["drop", "'*", "a\"b", "0.125", "77", "0.0625", "99", "55", "val/loss"] {
                assert!(!sql.contains(word), "{word} stands in {sql}");
            }
            let parameters = sql.matches('?').count();
            assert!(parameters >= 2, "{sql}");
        }
    }
}
