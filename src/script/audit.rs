//! Refuses templates that would let a value out of its shell quotes.
//!
//! Tera quotes a text where it is printed, unless it is marked `safe`, joined with `~` (Tera 1.20
//! prints `a ~ b` as it is), or inside of an array. Within quotes of the template's own the quotes
//! that Tera adds would close them; and in a here-document, in backticks and in arithmetic the shell
//! looks through them. A template is its author's program all the same: this finds slips, and who
//! wants to evaluate a value (`eval`, `bash -c`) can.

use std::collections::VecDeque;

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", problem.text())]
pub struct AuditError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// A way out of the quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// `"{{ x }}"`.
    Quoted,
    /// `{{ x | safe }}`, `{{ a ~ b }}`, `{{ [a, b] }}`.
    Unquoted,
    /// `{{ x }}` in a here-document, in backticks or in `$((…))`.
    Evaluated,
    /// `{{` without `}}`, or quotes that do not end.
    Unclosed,
}

impl Problem {
    fn text(self) -> &'static str {
        match self {
            Self::Quoted => {
                "a value in double braces stands inside of quotes; it is quoted by itself, so leave them out"
            }
            Self::Unquoted => {
                "only `{{ name }}` with simple filters may be printed; `safe`, `~`, lists and `{% filter %}` escape the quoting"
            }
            Self::Evaluated => {
                "a value in double braces stands in a here-document, in backticks or in arithmetic, where its quotes do not hold; give it to a variable before"
            }
            Self::Unclosed => "quotes or braces are not closed",
        }
    }
}

/// Checks a template's text.
///
/// # Errors
/// At the first place where a value would not be exactly one shell word.
pub fn audit(template: &str) -> Result<(), AuditError> {
    let mut scan = Scan { template, ..Scan::default() };
    while scan.at < template.len() {
        scan.step()?;
    }
    match scan.quote {
        Some((_, opened)) => Err(scan.error(opened, Problem::Unclosed)),
        None => Ok(()),
    }
}

/// Stands for `$'…'`, in which a backslash keeps a quote.
const DOLLAR: char = '$';

/// A reader of shell text that knows whether it is inside of quotes.
#[derive(Default)]
struct Scan<'a> {
    template: &'a str,
    at: usize,
    /// The quote that is open and where it was opened.
    quote: Option<(char, usize)>,
    /// Whether the character before belongs to a word, so that `#` begins no comment.
    word: bool,
    comment: bool,
    /// Inside of backticks.
    ticks: bool,
    /// Parentheses that are open since `((`.
    arithmetic: usize,
    /// Here-documents that begin with the next line: whether tabs are taken off, and their ends.
    documents: VecDeque<(bool, String)>,
    /// Inside of the first of them.
    document: bool,
}

impl Scan<'_> {
    fn step(&mut self) -> Result<(), AuditError> {
        let rest = &self.template[self.at..];
        for (open, close) in [("{{", "}}"), ("{%", "%}"), ("{#", "#}")] {
            // `${#name}` is the shell's.
            let shell = open == "{#" && self.template[..self.at].ends_with('$');
            if rest.starts_with(open) && !shell {
                return self.tag(open, close);
            }
        }
        let Some(character) = rest.chars().next() else { return Ok(()) };
        let dollar = self.template[..self.at].ends_with('$');
        self.at += character.len_utf8();
        if character == '\n' && self.quote.is_none() {
            self.comment = false;
            self.line_begins();
        } else if !self.comment && !self.document {
            self.shell(character, &rest[character.len_utf8()..], dollar);
        }
        self.word = !character.is_whitespace() && !";&|()".contains(character);
        Ok(())
    }

    /// A character that means something to the shell.
    fn shell(&mut self, character: char, rest: &str, dollar: bool) {
        match (self.quote, character) {
            (None, '#') if !self.word => self.comment = true,
            (None, '\'') if dollar => self.quote = Some((DOLLAR, self.at)),
            (None, '\'' | '"') => self.quote = Some((character, self.at)),
            (None | Some(('"' | DOLLAR, _)), '\\') => {
                self.at += rest.chars().next().map_or(0, char::len_utf8);
            }
            (None, '`') => self.ticks = !self.ticks,
            (None, '(') if self.arithmetic > 0 => self.arithmetic += 1,
            (None, ')') => self.arithmetic = self.arithmetic.saturating_sub(1),
            (None, '(') if rest.starts_with('(') => {
                self.arithmetic = 2;
                self.at += 1;
            }
            (None, '<') if self.arithmetic == 0 && rest.starts_with('<') => self.here(&rest[1..]),
            (Some((DOLLAR, _)), '\'') => self.quote = None,
            (Some((open, _)), closing) if open == closing => self.quote = None,
            _ => {}
        }
    }

    /// Behind `<<`: a text with quotes around (`<<<`), or the end of a document that begins with the
    /// next line.
    fn here(&mut self, rest: &str) {
        self.at += 1;
        if rest.starts_with('<') {
            self.at += 1;
            return;
        }
        let tabs = rest.starts_with('-');
        let word = rest.trim_start_matches('-').trim_start_matches([' ', '\t']);
        let end = word.find(|c: char| c.is_whitespace() || ";&|()<>".contains(c));
        let word = &word[..end.unwrap_or(word.len())];
        self.documents.push_back((tabs, word.replace(['\'', '"', '\\'], "")));
        self.at += rest.find(word).unwrap_or(0) + word.len();
    }

    /// A here-document goes on to the line that is its end.
    fn line_begins(&mut self) {
        self.document = !self.documents.is_empty();
        let Some((tabs, end)) = self.documents.front() else { return };
        let line = self.template[self.at..].lines().next().unwrap_or_default();
        if (if *tabs { line.trim_start_matches('\t') } else { line }) == end {
            self.documents.pop_front();
            self.document = false;
            self.comment = true;
        }
    }

    fn tag(&mut self, open: &str, close: &str) -> Result<(), AuditError> {
        let start = self.at;
        let inside = &self.template[start + open.len()..];
        let Some(length) = inside.find(close) else {
            return Err(self.error(start, Problem::Unclosed));
        };
        self.at = start + open.len() + length + close.len();
        self.word = true;
        let inside = inside[..length].trim_matches('-').trim();
        if open == "{%" && !is_harmless(inside) {
            return Err(self.error(start, Problem::Unquoted));
        }
        if open != "{{" {
            return Ok(());
        }
        if self.quote.is_some() {
            return Err(self.error(start, Problem::Quoted));
        }
        let evaluated = self.ticks || self.arithmetic > 0 || self.document;
        if evaluated && !NUMBERS.contains(&inside) {
            return Err(self.error(start, Problem::Evaluated));
        }
        match is_plain(inside) {
            true => Ok(()),
            false => Err(self.error(start, Problem::Unquoted)),
        }
    }

    fn error(&self, at: usize, problem: Problem) -> AuditError {
        AuditError { line: self.template[..at].matches('\n').count() + 1, problem }
    }
}

/// Values that need no quotes.
const NUMBERS: [&str; 5] = ["tasks", "restart_limit", "time_limit", "cpus", "gpus"];

/// Filters that make a text or a number of one, and so leave it to be quoted.
const FILTERS: [&str; 15] = [
    "upper",
    "lower",
    "capitalize",
    "title",
    "trim",
    "trim_start",
    "trim_end",
    "trim_start_matches",
    "trim_end_matches",
    "replace",
    "default",
    "length",
    "int",
    "round",
    "abs",
];

/// `name`, `name.part`, `name | filter(x=1)`, `super()`, `directives()`.
fn is_plain(expression: &str) -> bool {
    let mut parts = expression.split('|').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let known = matches!(name, "super()" | "directives()")
        || (!name.is_empty() && !name.starts_with("__") && name.chars().all(plain));
    let filter = |text: &str| FILTERS.contains(&text.split('(').next().unwrap_or_default().trim());
    known && !expression.contains('~') && parts.all(filter)
}

/// A statement that neither works on what is quoted already nor makes a list to be printed.
fn is_harmless(statement: &str) -> bool {
    let first = statement.split_whitespace().next().unwrap_or_default();
    match first {
        "filter" | "endfilter" => false,
        "set" | "set_global" => !statement.contains(['[', '|']),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_words_of_their_own_are_fine() {
        for good in [
            "x={{ worker }}",
            "# don't {{ worker }}\necho {{ worker | upper }}",
            "echo \"a # b\" {{ worker }} 'c'",
            "{% block a %}{{ super() }}{% endblock a %}",
            "echo \\' {{ worker }} ${#x} $#",
            "{{- worker -}}",
            "echo $'it\\'s' {{ worker }}",
            "cat <<'EOF'\n$(ls) '\nEOF\necho {{ worker }}",
            "cat <<-A <<B\n'\n\tA\n'\nB\necho {{ worker }} <<<\"x\"",
            "x=$(({{ cpus }} * 2 << 1))\ny=$(cat {{ worker }})",
            "# don't\n# {{ worker }} isn't\necho {{ worker }}",
            "{% set x = worker %}{{ x }}{% for i in [1, 2] %}{{ i }}{% endfor %}",
        ] {
            assert_eq!(audit(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn ways_out_of_the_quotes_are_refused() {
        let cases = [
            ("\n\necho \"{{ worker }}\"", 3, Problem::Quoted),
            ("'{{ worker }}'", 1, Problem::Quoted),
            ("echo \"$(ls {{ folder }})\"", 1, Problem::Quoted),
            ("{{ worker | safe }}", 1, Problem::Unquoted),
            ("{{worker|upper|safe}}", 1, Problem::Unquoted),
            ("{{ a ~ b }}", 1, Problem::Unquoted),
            ("{{ [a, b] }}", 1, Problem::Unquoted),
            ("{{ __tera_context }}", 1, Problem::Unquoted),
            ("\n'", 2, Problem::Unclosed),
            ("{{ worker", 1, Problem::Unclosed),
            ("# {{ worker }} don't\necho '{{ worker }}' it's", 2, Problem::Quoted),
            ("cat <<EOF\n{{ folder }}\nEOF", 2, Problem::Evaluated),
            ("cat <<-'A' <<B\n\tA\n{{ folder }}\nB", 3, Problem::Evaluated),
            ("x=`ls {{ folder }}`", 1, Problem::Evaluated),
            ("x=$((1 + (2) + {{ folder }}))", 1, Problem::Evaluated),
            ("(( x == {{ token }} ))", 1, Problem::Evaluated),
            ("echo $'it\\'s {{ folder }}'", 1, Problem::Quoted),
            ("{{ worker | split(pat='/') }}", 1, Problem::Unquoted),
            ("{% set x = [worker] %}{{ x }}", 1, Problem::Unquoted),
            (
                "{% filter replace(from=\"'\", to='') %}{{ worker }}{% endfilter %}",
                1,
                Problem::Unquoted,
            ),
        ];
        for (bad, line, problem) in cases {
            assert_eq!(audit(bad), Err(AuditError { line, problem }), "{bad}");
        }
    }
}
