//! Calling the worker, or a user's command, here and now: what is no job.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Runs a program with this terminal and returns its exit code; 1 when a signal ended it.
///
/// # Errors
/// When it cannot be started.
pub async fn call(program: &Path, arguments: &[OsString]) -> io::Result<u8> {
    let status = command(program).args(arguments).stdin(Stdio::null()).status().await?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Runs a program and returns its exit code with what it printed to stdout and stderr.
///
/// # Errors
/// When it cannot be started.
pub async fn ask(program: &Path, arguments: &[OsString]) -> io::Result<(u8, String, String)> {
    let output = command(program).args(arguments).stdin(Stdio::null()).output().await?;
    let code = output.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((code, text(output.stdout), text(output.stderr)))
}

/// Gives a text to a user's shell command (`notify`). Returns whether it succeeded.
///
/// # Errors
/// When the shell cannot be started.
pub async fn tell(shell_command: &str, text: &str) -> io::Result<bool> {
    let mut child =
        command(Path::new("/bin/sh")).arg("-c").arg(shell_command).stdin(Stdio::piped()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A command that does not read its input is no failure.
        let _ = input.write_all(text.as_bytes()).await;
    }
    Ok(child.wait().await?.success())
}

#[expect(clippy::disallowed_methods, reason = "this wing starts processes")]
fn command(program: &Path) -> Command {
    Command::new(program)
}
