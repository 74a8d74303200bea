//! The terminal: taken with raw keys on its other screen, and always given back, also after a panic.

use std::io::{self, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste, Event};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use tokio::sync::mpsc::UnboundedSender;

use super::seen::Message;
use crate::cli::{Failure, screen};

/// Whether the terminal is ours at the moment.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal while the view has it.
pub(super) struct Taken {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Taken {
    /// Takes the terminal.
    pub(super) fn take() -> Result<Self, Failure> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let told = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                told(panic);
            }));
        });
        let terminal = enter().and_then(|()| fresh()).map_err(|error| {
            give_back();
            unusable(&error)
        })?;
        Ok(Self { terminal })
    }

    /// Draws once.
    pub(super) fn draw(
        &mut self,
        draw: impl FnOnce(&mut ratatui::Frame<'_>),
    ) -> Result<(), Failure> {
        self.terminal.draw(draw).map(|_| ()).map_err(|error| unusable(&error))
    }

    /// Its columns and rows.
    pub(super) fn size(&self) -> Result<(u16, u16), Failure> {
        let size = self.terminal.size().map_err(|error| unusable(&error))?;
        Ok((size.width, size.height))
    }

    /// Gives the terminal to the shell until the user comes back.
    pub(super) fn suspend(&mut self) -> Result<(), Failure> {
        give_back();
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGTSTP)
            .map_err(|error| unusable(&error.into()))?;
        // A new one draws everything again. (To clear the old one would ask the terminal where its cursor is,
        // and the thread that hears the keys would take the answer.)
        self.terminal = enter().and_then(|()| fresh()).map_err(|error| unusable(&error))?;
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// A terminal of which nothing is known, so that all of it is drawn.
fn fresh() -> io::Result<Terminal<CrosstermBackend<Stdout>>> {
    Terminal::new(CrosstermBackend::new(io::stdout()))
}

fn enter() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    screen::hush_logs(true);
    enable_raw_mode()?;
    // What is pasted comes as such: letter by letter it would be keys, and "accuracy" a cancel that is confirmed.
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)
}

/// Gives the terminal back; again does nothing. What fails cannot be helped here.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = disable_raw_mode();
        let _ = execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _ = io::stdout().flush();
        screen::hush_logs(false);
    }
}

fn unusable(error: &io::Error) -> Failure {
    Failure::site(format!("the terminal cannot be used: {error}"))
        .hint("`regatta watch --plain` needs none")
}

/// Begins to listen to the keys.
pub(super) fn listen(news: UnboundedSender<Message>) -> Result<(), Failure> {
    let hear = move || {
        loop {
            let message = match event::read() {
                Ok(Event::Key(key)) => Message::Key(key),
                Ok(Event::Paste(text)) => Message::Pasted(text),
                Ok(Event::Resize(width, height)) => Message::Size(width, height),
                Ok(_) => continue,
                Err(_) => Message::Leave,
            };
            let is_over = matches!(message, Message::Leave);
            if news.send(message).is_err() || is_over {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new().name("keys".to_owned()).spawn(hear);
    thread.map(|_| ()).map_err(Failure::internal)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test starts a terminal")]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock, SystemClock};

    /// Says to the test below that it is in a terminal of its own.
    const SIGN: &str = "REGATTA_TEST_TERMINAL";

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_speaks() {
        if Command::new("tmux").arg("-V").output().is_err() {
            println!("skipped: a panic on a terminal: tmux is missing");
            return;
        }
        let folder = tempfile::tempdir().expect("folder");
        let socket = folder.path().join("tmux");
        let tmux = |words: &[&str]| {
            let mut command = Command::new("tmux");
            command.arg("-S").arg(&socket).args(["-f", "/dev/null"]).env(SIGN, "1");
            let done = command.args(words).output().expect("tmux");
            String::from_utf8_lossy(&done.stdout).into_owned()
        };
        let this = std::env::current_exe().expect("this program").display().to_string();
        let test = "cli::watch::terminal::tests::a_defect";
        let words = format!(
            "RUST_BACKTRACE=0 '{this}' --ignored --exact {test} --nocapture; stty -a; echo over; sleep 60"
        );
        tmux(&["new-session", "-d", "-x", "100", "-y", "60", &words]);
        let clock = SystemClock::new();
        let mut screen = String::new();
        while !screen.contains("over") && clock.monotonic() < Duration::from_secs(60) {
            clock.sleep(Duration::from_millis(50));
            screen = tmux(&["capture-pane", "-p"]);
        }
        let state = tmux(&["display-message", "-p", "#{alternate_on}"]);
        tmux(&["kill-server"]);
        assert_eq!(state.trim(), "0", "{screen}");
        // On the other screen these words would be gone.
        assert!(screen.contains("a defect, made for a test"), "{screen}");
        assert!(screen.contains(" icanon"), "{screen}");
    }

    #[test]
    #[ignore = "the test above calls it in a terminal of its own"]
    fn a_defect() {
        if std::env::var_os(SIGN).is_some() {
            let _taken = Taken::take().expect("a terminal");
            panic!("a defect, made for a test");
        }
    }
}
