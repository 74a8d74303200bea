//! What the user's workspace looked like at a submission: git's commit, and what differs from it.
//!
//! For the record only. No git, no repository, a slow one: then nothing is noted, and the submission
//! goes on as it would have.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Desk;
use crate::event::Act;
use crate::id::{Token, hex};
use crate::layout::{self, SweepFolder};
use crate::scheduler::program::{self, Heard};

/// Time for all questions to git together.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest diff that is kept, in bytes, without the line that says so.
const MAX_DIFF: u64 = 1 << 20;

/// Names of new files that are kept at most.
const MAX_NAMES: usize = 1000;

/// Git asks nothing, takes no locks, and is not told of another repository by a hook around us.
const ENVIRONMENT: [(&str, Option<&str>); 7] = [
    ("GIT_OPTIONAL_LOCKS", Some("0")),
    ("GIT_TERMINAL_PROMPT", Some("0")),
    ("LC_ALL", Some("C")),
    ("GIT_DIR", None),
    ("GIT_WORK_TREE", None),
    ("GIT_INDEX_FILE", None),
    ("GIT_EXTERNAL_DIFF", None),
];

/// A workspace under git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Workspace {
    folder: PathBuf,
    commit: String,
    /// What differs; empty if nothing does.
    diff: Vec<u8>,
}

impl Workspace {
    /// Looks at a folder. What lies below `without` does not count as new.
    async fn look(folder: &Path, without: &Path) -> io::Result<Self> {
        let heard = git(folder, &["rev-parse", "--show-toplevel", "HEAD"], 1 << 16).await?;
        let text = String::from_utf8_lossy(&heard.output).into_owned();
        let mut lines = text.lines();
        let (Some(top), Some(commit)) = (lines.next(), lines.next()) else {
            return Err(io::Error::other("git told of no commit"));
        };
        let top = Path::new(top);
        let names = ["diff", "HEAD", "--name-only", "--no-renames", "--no-ext-diff", "-z"];
        let names = git(top, &names, MAX_DIFF).await?;
        let secret: Vec<String> =
            names_in(&names).filter(|name| speaks_of_secrets(name)).take(MAX_NAMES).collect();
        let mut diff: Vec<String> = [
            "diff",
            "HEAD",
            "--no-color",
            "--no-renames",
            "--no-ext-diff",
            "--no-textconv",
            "--",
            ".",
        ]
        .map(str::to_owned)
        .into();
        diff.extend(secret.iter().map(|name| format!(":(exclude,top,literal){name}")));
        let diff: Vec<&str> = diff.iter().map(String::as_str).collect();
        let changed = git(top, &diff, MAX_DIFF).await?;
        let new = ["ls-files", "--others", "--exclude-standard", "--directory", "-z"];
        let new = git(top, &new, MAX_DIFF).await?;
        let own = without.canonicalize().unwrap_or_else(|_| without.to_owned());
        let names: Vec<String> =
            names_in(&new).filter(|name| !top.join(name).starts_with(&own)).collect();
        let commit = commit.to_owned();
        Ok(Self { folder: folder.to_owned(), commit, diff: text_of(&names, &secret, &changed) })
    }

    /// Writes the diff beside the job's script, and returns the record. A diff that cannot be written
    /// is left out.
    pub(super) fn act(&self, token: Token, folder: &SweepFolder) -> Act {
        let dirty = !self.diff.is_empty();
        let written = dirty && {
            let written = layout::write_atomic(&folder.workspace_diff(token), &self.diff);
            if let Err(error) = &written {
                tracing::debug!(%error, "the diff of the workspace is not kept");
            }
            written.is_ok()
        };
        let hash = || hex(&Sha256::digest(&self.diff));
        Act::Workspace {
            token,
            folder: self.folder.clone(),
            commit: self.commit.clone(),
            dirty,
            diff_sha256: written.then(hash),
        }
    }
}

impl Desk<'_> {
    /// Looks at the workspace that was named, or at the one that was noted last.
    pub(super) async fn workspace(&self, named: Option<&Path>) -> Option<Workspace> {
        let folder = named.or_else(|| self.ledger.workspace())?;
        let look = Workspace::look(folder, self.root.path());
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(Ok(workspace)) => Some(workspace),
            Ok(Err(error)) => {
                tracing::debug!(folder = %folder.display(), %error, "no commit is noted");
                None
            }
            Err(_) => {
                tracing::debug!(folder = %folder.display(), "no commit is noted: git is too slow");
                None
            }
        }
    }
}

async fn git(folder: &Path, words: &[&str], limit: u64) -> io::Result<Heard> {
    let quiet = ["--no-pager", "-c", "core.fsmonitor=false"];
    let all: Vec<OsString> = quiet.iter().chain(words).map(OsString::from).collect();
    program::listen(Path::new("git"), &all, folder, &ENVIRONMENT, limit).await
}

fn names_in(heard: &Heard) -> impl Iterator<Item = String> {
    let names = heard.output.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.map(|name| String::from_utf8_lossy(name).into_owned())
}

/// Says whether a file's name speaks of secrets, so that what changed in it is nobody's business.
fn speaks_of_secrets(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let begins = [".env", "id_rsa", "id_ed25519", "id_ecdsa", ".netrc", ".pgpass", "kubeconfig"];
    let ends = [".env", ".pem", ".key", ".p12", ".pfx", ".keytab"];
    let holds = ["secret", "credential", "password", "apikey", "api_key"];
    begins.iter().any(|word| name.starts_with(word))
        || ends.iter().any(|word| name.ends_with(word))
        || holds.iter().any(|word| name.contains(word))
}

/// The names of new and of secret files as comments, then git's diff, which `git apply` takes as it stands.
fn text_of(names: &[String], secret: &[String], changed: &Heard) -> Vec<u8> {
    let mut text = Vec::new();
    let new = names.iter().take(MAX_NAMES).map(|name| ("new", name));
    for (what, name) in new.chain(secret.iter().map(|name| ("changed", name))) {
        let name: String = name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        text.extend_from_slice(format!("# {what}, content not kept: {name}\n").as_bytes());
    }
    if names.len() > MAX_NAMES {
        text.extend_from_slice(format!("# and {} more\n", names.len() - MAX_NAMES).as_bytes());
    }
    text.extend_from_slice(&changed.output);
    let most = usize::try_from(MAX_DIFF).unwrap_or(usize::MAX);
    if changed.is_cut || text.len() > most {
        text.truncate(most);
        text.extend_from_slice(format!("\n# cut here, after {MAX_DIFF} bytes\n").as_bytes());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known() {
        for name in
            [".env", "a/.env.local", "prod.env", "k/ID_RSA", "x.pem", "my-Secrets.yaml", ".netrc"]
        {
            assert!(speaks_of_secrets(name), "{name}");
        }
        for name in ["train.py", "secret-project/train.py", "tokenizer.py", "keys.py", "env.yaml"] {
            assert!(!speaks_of_secrets(name), "{name}");
        }
    }

    #[test]
    fn a_clean_workspace_has_no_diff_and_a_large_one_is_cut_and_says_so() {
        let heard = |length, is_cut| Heard { output: vec![b'+'; length], is_cut };
        assert!(text_of(&[], &[], &heard(0, false)).is_empty());
        let whole = text_of(&["a\nb".to_owned()], &[], &heard(3, false));
        assert_eq!(whole, b"# new, content not kept: a?b\n+++");
        for (names, length, is_cut) in [(0, 1 << 20, true), (1, 1 << 20, false)] {
            let cut = text_of(&vec!["name".to_owned(); names], &[], &heard(length, is_cut));
            assert!(cut.ends_with(b"# cut here, after 1048576 bytes\n"), "{names}");
            assert!(cut.len() < (1 << 20) + 100, "{names}");
        }
        let many = text_of(&vec!["n".to_owned(); 1002], &[], &heard(0, false));
        assert!(many.ends_with(b"# and 2 more\n"));
    }
}
