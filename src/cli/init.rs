//! `regatta init`: a workspace to start from.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Map, json};

use super::{Context, Failure, schema};
use crate::help::{Example, examples};
use crate::layout;

/// Files of a workspace, and whether they are sweeps.
const FILES: [(&str, bool, &str); 5] = [
    ("README.md", false, include_str!("../../templates/workspace/README.md")),
    (".gitignore", false, include_str!("../../templates/workspace/gitignore")),
    ("sweeps/own-data.yaml", true, include_str!("../../sweeps/own-data.yaml")),
    ("sweeps/toy.yaml", true, include_str!("../../sweeps/toy.yaml")),
    ("templates/site.sh.tera", false, include_str!("../../templates/site.sh.tera")),
];

/// The schema that editors read, and the line of a sweep that names it.
const SCHEMA: &str = "sweep.schema.json";
const NAMES_IT: &str = "# yaml-language-server: $schema=../sweep.schema.json\n";

/// Shown at the end of its help.
const EXAMPLES: &[Example] =
    &[("a new folder", "regatta init my-study"), ("into the folder where you are", "regatta init")];

/// Make a workspace: sweeps to start from, a template, what comes next
///
/// Begin here. README.md in the new folder tells the first steps; files that are there already are kept.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    /// The folder; existing files in it are kept
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let mut files = Map::new();
    for (name, is_sweep, text) in FILES {
        let first = if is_sweep { NAMES_IT } else { "" };
        let made = make(ctx, &args.dir.join(name), &format!("{first}{text}"))?;
        files.insert(name.to_owned(), made.into());
    }
    let made = make(ctx, &args.dir.join(SCHEMA), &schema::text()?)?;
    files.insert(SCHEMA.to_owned(), made.into());
    if ctx.screen.is_json() {
        ctx.screen.json(&json!({ "schema_version": 1, "folder": args.dir, "files": files }));
        return Ok(ExitCode::SUCCESS);
    }
    let here = args.dir == Path::new(".");
    let way = if here { String::new() } else { format!("cd {}; ", quoted(&args.dir)) };
    ctx.screen.note(format!(
        "next: {way}regatta plan sweeps/toy.yaml; regatta submit sweeps/toy.yaml --scheduler local --wait"
    ));
    ctx.screen.note("then your own images: README.md there tells how");
    Ok(ExitCode::SUCCESS)
}

/// Makes a file, unless there is one; says which.
fn make(ctx: &Context, path: &Path, text: &str) -> Result<&'static str, Failure> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let failed = |error: &std::io::Error| {
        Failure::file("make", folder, error).hint("name a folder of your own: `regatta init DIR`")
    };
    layout::create_users_folder(folder).map_err(|error| failed(&error))?;
    match layout::create_users_file(path, text.as_bytes()) {
        Ok(()) => {
            ctx.screen.note(format!("wrote {}", path.display()));
            Ok("written")
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            ctx.screen.note(format!("kept  {}", path.display()));
            Ok("kept")
        }
        Err(error) => Err(Failure::file("write", path, &error)),
    }
}

/// A path as it is typed.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-~+@%,".contains(c);
    match text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}
