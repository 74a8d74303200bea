//! The line that is being typed: what it says of the folder and of options.

use std::path::PathBuf;

use crate::layout::Root;

/// The words after `--`, as the shell passes them.
fn words() -> Vec<String> {
    let own = std::env::args_os().skip_while(|word| word != "--").skip(1);
    own.map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Says whether an option stands on the line.
pub(super) fn has(option: &str) -> bool {
    words().iter().any(|word| value_in(word, option).is_some() || word == option)
}

/// The folder of all sweeps: what the line says, else the environment, else the usual one.
#[expect(clippy::disallowed_methods, reason = "a front room reads the environment")]
pub(super) fn root() -> Root {
    let named = named(&words()).map(|word| expanded(&word, |name| std::env::var(name).ok()));
    let usual = || std::env::var_os("REGATTA_ROOT").filter(|path| !path.is_empty());
    Root::new(
        named.map(PathBuf::from).or_else(|| usual().map(PathBuf::from)).unwrap_or("runs".into()),
    )
}

fn value_in<'a>(word: &'a str, option: &str) -> Option<&'a str> {
    word.strip_prefix(option)?.strip_prefix('=')
}

/// What `--root` names. bash divides words at `=`.
fn named(words: &[String]) -> Option<String> {
    let mut words = words.iter();
    let mut found = None;
    while let Some(word) = words.next() {
        if let Some(value) = value_in(word, "--root").filter(|value| !value.is_empty()) {
            found = Some(value);
        } else if word == "--root" {
            let next = words.next().map(String::as_str);
            found = if next == Some("=") { words.next().map(String::as_str) } else { next };
        }
    }
    found.filter(|value| !value.is_empty()).map(str::to_owned)
}

/// A word as the shell would hand it over: without quotes, its home and a variable at its beginning in full.
fn expanded(word: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let quotes = ['"', '\''];
    let bare = word.trim_start_matches(quotes).trim_end_matches(quotes).replace("\\ ", " ");
    if word.starts_with('\'') {
        return bare;
    }
    let (name, rest) = match bare.strip_prefix('$') {
        Some(rest) => {
            let rest = rest.trim_start_matches('{');
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
            (name, rest.trim_start_matches('}'))
        }
        None => match bare.strip_prefix('~') {
            Some(rest) if (rest.is_empty() || rest.starts_with('/')) && word.starts_with('~') => {
                ("HOME", rest)
            }
            _ => return bare,
        },
    };
    variable(name).map_or_else(|| bare.clone(), |value| format!("{value}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_read_from_the_line() {
        let of = |line: &str| named(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(of("regatta best x"), None);
        assert_eq!(of("regatta --root a best"), Some("a".to_owned()));
        assert_eq!(of("regatta --root=a best --root b"), Some("b".to_owned()));
        assert_eq!(of("regatta --root = a best"), Some("a".to_owned()));
        assert_eq!(of("regatta --root"), None);
    }

    #[test]
    fn what_a_shell_would_put_in_is_put_in() {
        let variable = |name: &str| match name {
            "HOME" => Some("/home/you".to_owned()),
            "SCRATCH" => Some("/scratch".to_owned()),
            _ => None,
        };
        let cases = [
            ("runs", "runs"),
            ("~/runs", "/home/you/runs"),
            ("~", "/home/you"),
            ("'~/runs'", "~/runs"),
            ("$SCRATCH/runs", "/scratch/runs"),
            ("\"${SCRATCH}/my runs\"", "/scratch/my runs"),
            ("my\\ runs", "my runs"),
            ("$NONE/runs", "$NONE/runs"),
        ];
        for (word, meant) in cases {
            assert_eq!(expanded(word, variable), meant, "{word}");
        }
    }
}
