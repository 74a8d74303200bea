//! `regatta man`: pages of manual for both programs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::gate::worker_program;
use super::{Context, Failure, overview};
use crate::clock::Clock;
use crate::help::{self, Example, Page, examples};
use crate::layout;
use crate::scheduler::program;

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("read one now", "regatta man best | man -l -"),
    ("write all, then `man regatta-best`", "regatta man -o ~/.local/share/man/man1"),
];

/// Show a page of manual, or write those of both programs
///
/// Once after installing, so that `man regatta-best` works. Pages that are there are replaced.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    /// The verb whose page is printed [default: the page of regatta]
    #[arg(value_name = "VERB", conflicts_with = "output")]
    verb: Option<String>,
    /// Folder for all pages; man(1) finds it where its name ends in `man1` and the folder around it is in
    /// MANPATH
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let day = ctx.clock.now().strftime("%Y-%m-%d").to_string();
    let pages = help::pages(overview::command(), &overview::WORDS, &day).map_err(Failure::site)?;
    let Some(folder) = &args.output else {
        ctx.screen.answer(&find(&pages, args.verb.as_deref())?.text);
        return Ok(ExitCode::SUCCESS);
    };
    layout::create_users_folder(folder).map_err(|error| Failure::file("make", folder, &error))?;
    for page in &pages {
        let path = folder.join(&page.file);
        layout::write_users_file(&path, page.text.as_bytes())
            .map_err(|error| Failure::file("write", &path, &error))?;
    }
    ctx.screen.note(format!("wrote {} pages of regatta into {}", pages.len(), folder.display()));
    of_the_worker(ctx, folder).await?;
    let around =
        std::path::absolute(folder).ok().and_then(|path| path.parent().map(Path::to_owned));
    if let Some(around) = around {
        ctx.screen.note(format!("next: man -M {} regatta", around.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn find<'a>(pages: &'a [Page], verb: Option<&str>) -> Result<&'a Page, Failure> {
    let file = verb.map_or("regatta.1".to_owned(), |verb| format!("regatta-{verb}.1"));
    let found = pages.iter().find(|page| page.file == file);
    found.ok_or_else(|| {
        let verb = verb.unwrap_or_default();
        Failure::usage(format!("there is no verb `{verb}`")).hint("`regatta help` lists them")
    })
}

/// The worker knows its own command line; where there is none its pages are missing.
async fn of_the_worker(ctx: &Context, folder: &Path) -> Result<(), Failure> {
    let worker = match worker_program() {
        Ok(worker) => worker,
        Err(missing) => {
            ctx.screen.warn(format!("no pages of regatta-worker: {missing}"));
            return Ok(());
        }
    };
    let words: [OsString; 3] = ["man".into(), "-o".into(), folder.into()];
    let code = program::call(&worker, &words, &[])
        .await
        .map_err(|error| Failure::file("start", &worker, &error))?;
    match code {
        0 => Ok(()),
        code => Err(Failure::site(format!("{} ended with {code}", worker.display()))
            .hint("is it of the same version as regatta? `regatta doctor` shows both")),
    }
}
