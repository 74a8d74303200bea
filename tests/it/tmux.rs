//! A real terminal for programs that draw on one: tmux, on a socket of the test's own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use regatta::clock::{Clock, SystemClock};

use crate::home::{Home, controller};
use crate::stage::skip;

/// How long something on the screen is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal with a shell in it, in which `regatta` is on the path.
pub(crate) struct Tmux {
    socket: PathBuf,
}

impl Tmux {
    /// Opens a terminal of a size (columns, rows) in a home; nothing, with a note, where there is no tmux.
    pub(crate) fn open(test: &str, home: &Home, (columns, rows): (u16, u16)) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            skip(test, "tmux is missing");
            return None;
        }
        let terminal = Self { socket: home.at("tmux") };
        let mut command = terminal.command();
        let folder = controller().parent().expect("a folder").display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        for (name, value) in home.command(&[]).get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("LC_ALL", "C.UTF-8").env("PATH", format!("{folder}:{path}"));
        command.env("ENV", "").current_dir(home.path());
        let (columns, rows) = (columns.to_string(), rows.to_string());
        command.args(["-u", "-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows]);
        let done = command.arg("sh").output().expect("tmux starts");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        terminal.line("PS1='ready$ '; clear");
        terminal.wait("a shell", |screen| screen.starts_with("ready$"));
        Some(terminal)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.socket).env_remove("TMUX");
        command
    }

    fn ask(&self, words: &[&str]) -> String {
        let done = self.command().args(words).output().expect("tmux answers");
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Types a line.
    pub(crate) fn line(&self, text: &str) -> &Self {
        self.ask(&["send-keys", "-l", text]);
        self.keys(&["Enter"])
    }

    /// Presses keys, by tmux's names.
    pub(crate) fn keys(&self, keys: &[&str]) -> &Self {
        let words: Vec<&str> = ["send-keys"].into_iter().chain(keys.iter().copied()).collect();
        self.ask(&words);
        self
    }

    /// What is on the screen.
    pub(crate) fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p"])
    }

    /// What is on the screen, with its colours.
    pub(crate) fn painted(&self) -> String {
        self.ask(&["capture-pane", "-p", "-e"])
    }

    /// What tmux knows of the terminal, such as `#{alternate_on}`.
    pub(crate) fn tell(&self, what: &str) -> String {
        self.ask(&["display-message", "-p", what]).trim().to_owned()
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) -> &Self {
        self.ask(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
        self
    }

    /// Waits until the screen is as it should be, and returns it.
    pub(crate) fn wait(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let clock = SystemClock::new();
        loop {
            let screen = self.screen();
            if holds(&screen) {
                return screen;
            }
            assert!(clock.monotonic() < PATIENCE, "waited for {what} on\n{screen}");
            clock.sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the shell asks for a line: what is typed before, the program that ends may throw away.
    pub(crate) fn prompt(&self) -> String {
        self.wait("a prompt", |screen| screen.trim_end().lines().next_back() == Some("ready$"))
    }

    /// Waits for words.
    pub(crate) fn wait_for(&self, words: &str) -> String {
        self.wait(words, |screen| screen.contains(words))
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.command().arg("kill-server").output();
    }
}
