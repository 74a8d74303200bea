//! Calling the worker, or a user's command, here and now: what is no job.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Output, Stdio};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::layout::Limit;

/// Runs a program with this terminal, and with these variables in its environment, and returns its exit
/// code; 1 when a signal ended it. Ctrl-C in the terminal reaches it too, and is its affair: it finishes
/// what it writes, and is waited for.
///
/// # Errors
/// When it cannot be started.
pub async fn call(
    program: &Path,
    arguments: &[OsString],
    environment: &[(&str, &str)],
) -> io::Result<u8> {
    // Listened to so that it does not end this process.
    let _interrupts = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    let mut command = command(program);
    command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::null());
    let status = command.status().await?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Runs a program and returns its exit code with what it printed to stdout and stderr.
///
/// # Errors
/// When it cannot be started.
pub async fn ask(program: &Path, arguments: &[OsString]) -> io::Result<(u8, String, String)> {
    let output = output(command(program).args(arguments).stdin(Stdio::null())).await?;
    let code = output.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((code, text(output.stdout), text(output.stderr)))
}

/// Runs a program and returns its answer, which has a limit.
///
/// # Errors
/// When it cannot be started, or says more than any answer has.
pub(super) async fn output(command: &mut Command) -> io::Result<Output> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = tokio::try_join!(hear(output), hear(errors))?;
    Ok(Output { status: child.wait().await?, stdout, stderr })
}

async fn hear(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let (mut bytes, most) = (Vec::new(), Limit::ANSWER.bytes);
    if let Some(pipe) = pipe {
        pipe.take(most + 1).read_to_end(&mut bytes).await?;
    }
    match bytes.len() as u64 > most {
        true => Err(io::Error::other(format!("it says more than {} MiB", most >> 20))),
        false => Ok(bytes),
    }
}

/// What a program that was listened to printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Its standard output, cut after the limit.
    pub output: Vec<u8>,
    /// Whether it had more to say.
    pub is_cut: bool,
}

/// Runs a program in a folder and listens to its standard output, up to `limit` bytes. Variables
/// without a value are taken from its environment. It is killed when nobody waits any more.
///
/// # Errors
/// When it cannot be started, or ends with another exit code than 0.
pub async fn listen(
    program: &Path,
    arguments: &[OsString],
    folder: &Path,
    environment: &[(&str, Option<&str>)],
    limit: u64,
) -> io::Result<Heard> {
    let mut command = command(program);
    for (name, value) in environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(arguments).current_dir(folder).kill_on_drop(true);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut output = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        pipe.take(limit.saturating_add(1)).read_to_end(&mut output).await?;
    }
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    if output.len() > most {
        output.truncate(most);
        child.kill().await?;
        return Ok(Heard { output, is_cut: true });
    }
    let status = child.wait().await?;
    match status.success() {
        true => Ok(Heard { output, is_cut: false }),
        false => Err(io::Error::other(format!("{}: {status}", program.display()))),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_called_program_has_its_variables_and_its_exit_code_comes_back() {
        let shell = Path::new("/bin/sh");
        let words = ["-c", "exit $REGATTA_TEST_CODE"].map(OsString::from);
        let code = call(shell, &words, &[("REGATTA_TEST_CODE", "7")]).await.expect("called");
        assert_eq!(code, 7);
        let killed = ["-c", "kill -9 $$"].map(OsString::from);
        assert_eq!(call(shell, &killed, &[]).await.expect("called"), 1);
    }
}
