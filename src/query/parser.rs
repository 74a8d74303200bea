//! Tokens to a condition: `or` binds least, then `and`, then `not`.

use std::ops::Range;

use super::lexer::{Kind as Sign, Token, tokens};
use super::name::Unknown;
use super::{Expr, Field, Kind, Literal, Name, Operator, QueryError, Vocabulary};
use crate::setting::nearest;

/// Conditions within each other.
const DEEPEST: usize = 64;

/// Values of an `in`, and parts of an `and` or `or`.
const MOST: usize = 250;

/// Comparisons in all. SQLite's expressions are 1000 deep at most.
const MOST_IN_ALL: usize = 500;

/// Reads a condition.
///
/// # Errors
/// When it makes no sense, or names something that is not there; with the place.
pub fn parse(text: &str, words: &Vocabulary) -> Result<Expr, QueryError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, next: 0, end: text.len(), words, depth: 0, made: 0 };
    if tokens.is_empty() {
        let hint = "such as: optimizer.lr >= 1e-4 and model.name = unet";
        return Err(error("the condition is empty", 0..0, Some(hint)));
    }
    let expr = parser.any()?;
    match parser.peek() {
        None => Ok(expr),
        Some(token) => {
            let hint = match &token.kind {
                Sign::Close => "this bracket was never opened".to_owned(),
                Sign::Word(word) => match nearest(&word.to_lowercase(), ["and", "or"].into_iter()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "conditions are joined by `and` or `or`; a text of several words needs quotes"
                        .to_owned(),
                },
                _ => "conditions are joined by `and` or `or`".to_owned(),
            };
            Err(error("here the condition should end", token.at.clone(), Some(&hint)))
        }
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    end: usize,
    words: &'a Vocabulary,
    depth: usize,
    /// Comparisons so far.
    made: usize,
}

fn error(what: &str, at: Range<usize>, hint: Option<&str>) -> QueryError {
    QueryError { what: what.to_owned(), at, hint: hint.map(str::to_owned) }
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<&'a Token> {
        let token = self.peek();
        self.next += usize::from(token.is_some());
        token
    }

    /// Takes a keyword, if it is the next word.
    fn takes(&mut self, keyword: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token { kind: Sign::Word(word), .. })
            if word.eq_ignore_ascii_case(keyword));
        self.next += usize::from(is_next);
        is_next
    }

    fn here(&self) -> Range<usize> {
        self.peek().map_or(self.end..self.end, |token| token.at.clone())
    }

    fn any(&mut self) -> Result<Expr, QueryError> {
        self.several("or", Self::all, Expr::Any)
    }

    fn all(&mut self) -> Result<Expr, QueryError> {
        self.several("and", Self::not, Expr::All)
    }

    fn several(
        &mut self,
        keyword: &str,
        part: fn(&mut Self) -> Result<Expr, QueryError>,
        made: fn(Vec<Expr>) -> Expr,
    ) -> Result<Expr, QueryError> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.takes(keyword) {
            if parts.len() == MOST {
                let what = format!("more than {MOST} conditions are joined");
                return Err(error(&what, self.here(), Some("`in (…)` or a pattern may say it")));
            }
            parts.push(part(self)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { made(parts) })
    }

    fn not(&mut self) -> Result<Expr, QueryError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(error("conditions lie too deep within each other", self.here(), None));
        }
        let found = if self.takes("not") {
            self.not().map(|inner| Expr::Not(Box::new(inner)))
        } else {
            self.one()
        };
        self.depth -= 1;
        found
    }

    fn one(&mut self) -> Result<Expr, QueryError> {
        let at = self.here();
        match self.take().map(|token| &token.kind) {
            Some(Sign::Open) => {
                let inner = self.any()?;
                match self.take().map(|token| &token.kind) {
                    Some(Sign::Close) => Ok(inner),
                    None => Err(error("a bracket is not closed", at, Some("end it with `)`"))),
                    Some(_) => {
                        let here = self.tokens[self.next - 1].at.clone();
                        Err(error("here `)`, `and` or `or` is needed", here, None))
                    }
                }
            }
            Some(Sign::Word(word)) => {
                let name = self.words.name(word).map_err(|unknown| placed(unknown, at.clone()))?;
                self.comparison(name, at)
            }
            Some(Sign::Quoted(text)) => Err(error(
                "a name is needed, this is a text",
                at,
                Some(&format!("the name stands first: model.name = \"{text}\"")),
            )),
            Some(_) => Err(error("a name is needed here", at, Some("such as optimizer.lr"))),
            None => Err(error("the condition ends too early", at, Some("a name is missing"))),
        }
    }

    fn comparison(&mut self, name: Name, named: Range<usize>) -> Result<Expr, QueryError> {
        let at = self.here();
        let is_negated = self.takes("not");
        if self.takes("in") {
            return self.list(&name, is_negated);
        }
        match self.take().map(|token| &token.kind) {
            Some(Sign::Operator(operator)) if !is_negated => {
                let operator = *operator;
                self.compare(&name, operator).map(|(compared, _)| compared)
            }
            _ => {
                let hint = format!("such as: {name} = …; known: = != < <= > >= ~ !~ in");
                let at = if at.is_empty() { named.end..named.end } else { at };
                Err(error(&format!("a comparison is needed behind `{name}`"), at, Some(&hint)))
            }
        }
    }

    /// Takes the value that a name is compared with.
    fn compare(
        &mut self,
        name: &Name,
        operator: Operator,
    ) -> Result<(Expr, Range<usize>), QueryError> {
        let (literal, place) = self.literal(name)?;
        check(name, operator, &literal, place.clone(), &self.words.states)?;
        self.made += 1;
        if self.made > MOST_IN_ALL {
            let what = format!("a condition has {MOST_IN_ALL} comparisons at most");
            return Err(error(&what, place, Some("a pattern may say it")));
        }
        Ok((Expr::Compare { name: name.clone(), operator, literal }, place))
    }

    /// `(1, 2)`, each value compared by itself.
    fn list(&mut self, name: &Name, is_negated: bool) -> Result<Expr, QueryError> {
        let operator = if is_negated { Operator::NotEqual } else { Operator::Equal };
        let open = self.here();
        if !matches!(self.take().map(|token| &token.kind), Some(Sign::Open)) {
            return Err(error("a list is needed behind `in`", open, Some("such as: in (4, 8)")));
        }
        let mut parts = Vec::new();
        loop {
            let (compared, place) = self.compare(name, operator)?;
            if parts.len() == MOST {
                return Err(error(&format!("a list has {MOST} values at most"), place, None));
            }
            parts.push(compared);
            let at = self.here();
            match self.take().map(|token| &token.kind) {
                Some(Sign::Comma) => {}
                Some(Sign::Close) => break,
                None => return Err(error("a list is not closed", open, Some("end it with `)`"))),
                Some(_) => {
                    let hint = "values are parted by commas; a text of several words needs quotes";
                    return Err(error("here `,` or `)` is needed", at, Some(hint)));
                }
            }
        }
        Ok(if is_negated { Expr::All(parts) } else { Expr::Any(parts) })
    }

    fn literal(&mut self, name: &Name) -> Result<(Literal, Range<usize>), QueryError> {
        let at = self.here();
        let literal = match self.take().map(|token| &token.kind) {
            Some(Sign::Quoted(text)) => Literal::Text(text.clone()),
            Some(Sign::Word(word)) => literal(name, word),
            _ => {
                let hint = "such as 1e-4, \"unet\", true or null";
                return Err(error("a value is needed here", at, Some(hint)));
            }
        };
        Ok((literal, at))
    }
}

/// A word as a value. Identities of trials may look like numbers.
fn literal(name: &Name, word: &str) -> Literal {
    let is_text = name.kind() == Some(Kind::Text);
    match word {
        "null" => Literal::Null,
        _ if is_text => Literal::Text(word.to_owned()),
        "true" => Literal::Truth(true),
        "false" => Literal::Truth(false),
        _ => match (word.parse::<i128>(), word.parse::<f64>()) {
            (Ok(whole), _) => Literal::Whole(whole),
            // `inf` and `nan` are words here.
            (_, Ok(number))
                if number.is_finite() && word.contains(|c: char| c.is_ascii_digit()) =>
            {
                Literal::Number(number)
            }
            _ => Literal::Text(word.to_owned()),
        },
    }
}

/// Refuses what can never hold.
fn check(
    name: &Name,
    operator: Operator,
    literal: &Literal,
    at: Range<usize>,
    states: &[String],
) -> Result<(), QueryError> {
    let sign = operator.as_str();
    let fail = |what: String, hint: Option<&str>| Err(error(&what, at.clone(), hint));
    match (operator, literal) {
        (Operator::Equal | Operator::NotEqual, Literal::Null) => return Ok(()),
        (_, Literal::Null) => {
            return fail(
                format!("`{sign}` does not go with null"),
                Some("write = null or != null"),
            );
        }
        (_, Literal::Truth(_)) if operator != Operator::Equal && operator != Operator::NotEqual => {
            return fail(format!("`{sign}` does not go with true and false"), Some("write ="));
        }
        (Operator::Like | Operator::NotLike, Literal::Whole(_) | Literal::Number(_)) => {
            return fail(format!("`{sign}` needs a pattern"), Some("such as \"16*\", in quotes"));
        }
        _ => {}
    }
    let is_number = matches!(literal, Literal::Whole(_) | Literal::Number(_));
    match name.kind() {
        Some(Kind::Whole | Kind::Number) if !is_number => fail(
            format!("`{name}` is a number, and is compared with one"),
            Some("such as 0.9 or 1e-4, without quotes"),
        ),
        Some(Kind::Truth) if !matches!(literal, Literal::Truth(_)) => {
            fail(format!("`{name}` is true or false"), None)
        }
        _ if *name == Name::Field(Field::State) => match literal {
            Literal::Text(word) if !operator.is_order() => known_state(word, operator, at, states),
            _ => fail(format!("`{sign}` does not go with states"), Some("write = or in")),
        },
        _ => Ok(()),
    }
}

/// What a scheduler said and nobody here knows is `unknown(…)`.
fn known_state(
    word: &str,
    operator: Operator,
    at: Range<usize>,
    states: &[String],
) -> Result<(), QueryError> {
    let is_pattern = matches!(operator, Operator::Like | Operator::NotLike);
    if is_pattern || states.iter().any(|state| state == word) || word.starts_with("unknown(") {
        return Ok(());
    }
    let near = nearest(word, states.iter().map(String::as_str));
    let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
    let hint = format!("{near}known: {}", states.join(", "));
    Err(error(&format!("`{word}` is no state"), at, Some(&hint)))
}

fn placed(unknown: Unknown, at: Range<usize>) -> QueryError {
    let Unknown { what, hint } = unknown;
    QueryError { what, at, hint }
}
