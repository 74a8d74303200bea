//! Refuses templates that would let a value out of its shell quotes.
//!
//! Tera quotes a text where it is printed, unless it is marked `safe`, joined with `~` (Tera 1.20
//! prints `a ~ b` as it is), or inside of an array. And within quotes of the template's own the
//! quotes that Tera adds would close them.

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
                "only `{{ name }}` with filters other than `safe` may be printed; `~` and arrays escape the quoting"
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
    let mut scan = Scan { template, at: 0, quote: None, word: false };
    while scan.at < template.len() {
        scan.step()?;
    }
    match scan.quote {
        Some((_, opened)) => Err(scan.error(opened, Problem::Unclosed)),
        None => Ok(()),
    }
}

/// A reader of shell text that knows whether it is inside of quotes.
struct Scan<'a> {
    template: &'a str,
    at: usize,
    /// The quote that is open and where it was opened.
    quote: Option<(char, usize)>,
    /// Whether the character before belongs to a word, so that `#` begins no comment.
    word: bool,
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
        self.at += character.len_utf8();
        match (self.quote, character) {
            (None, '#') if !self.word => self.skip_comment(),
            (None, '\'' | '"') => self.quote = Some((character, self.at)),
            (None | Some(('"', _)), '\\') => {
                self.at += rest[1..].chars().next().map_or(0, char::len_utf8);
            }
            (Some((open, _)), closing) if open == closing => self.quote = None,
            _ => {}
        }
        self.word = !character.is_whitespace() && !";&|()".contains(character);
        Ok(())
    }

    /// To bash a comment ends with the line; Tera fills braces in comments all the same.
    fn skip_comment(&mut self) {
        let rest = &self.template[self.at..];
        let line = rest.find('\n').unwrap_or(rest.len());
        let tag = ["{{", "{%"].iter().filter_map(|open| rest.find(open)).min().unwrap_or(line);
        self.at += line.min(tag);
    }

    fn tag(&mut self, open: &str, close: &str) -> Result<(), AuditError> {
        let start = self.at;
        let inside = &self.template[start + open.len()..];
        let Some(length) = inside.find(close) else {
            return Err(self.error(start, Problem::Unclosed));
        };
        self.at = start + open.len() + length + close.len();
        self.word = true;
        if open != "{{" {
            return Ok(());
        }
        if self.quote.is_some() {
            return Err(self.error(start, Problem::Quoted));
        }
        match is_plain(inside[..length].trim_matches('-').trim()) {
            true => Ok(()),
            false => Err(self.error(start, Problem::Unquoted)),
        }
    }

    fn error(&self, at: usize, problem: Problem) -> AuditError {
        AuditError { line: self.template[..at].matches('\n').count() + 1, problem }
    }
}

/// `name`, `name.part`, `name | filter(x=1)`, `super()`, `directives()`.
fn is_plain(expression: &str) -> bool {
    let mut parts = expression.split('|').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let known = matches!(name, "super()" | "directives()")
        || (!name.is_empty() && !name.starts_with("__") && name.chars().all(plain));
    known && !expression.contains('~') && parts.all(|filter| !filter.starts_with("safe"))
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
        ];
        for (bad, line, problem) in cases {
            assert_eq!(audit(bad), Err(AuditError { line, problem }), "{bad}");
        }
    }
}
