//! `regatta init`: a workspace to start from.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Context, Failure};
use crate::layout;

const FILES: [(&str, &str); 3] = [
    ("sweeps/own-data.yaml", include_str!("../../sweeps/own-data.yaml")),
    ("sweeps/toy.yaml", include_str!("../../sweeps/toy.yaml")),
    ("templates/site.sh.tera", include_str!("../../templates/site.sh.tera")),
];

/// Make a workspace: a sweep, a toy sweep, a template for your cluster
///
/// Example: regatta init my-study && cd my-study && regatta plan sweeps/toy.yaml
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder; existing files in it are kept
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    for (name, text) in FILES {
        let path = args.dir.join(name);
        let folder = path.parent().unwrap_or(Path::new("."));
        layout::create_users_folder(folder)
            .map_err(|error| Failure::file("make", folder, &error))?;
        match layout::create_users_file(&path, text.as_bytes()) {
            Ok(()) => ctx.screen.note(format!("wrote {}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                ctx.screen.note(format!("kept  {}", path.display()));
            }
            Err(error) => return Err(Failure::file("write", &path, &error)),
        }
    }
    ctx.screen.note(format!(
        "next: cd {}; regatta plan sweeps/toy.yaml; regatta submit sweeps/toy.yaml --scheduler local --wait",
        args.dir.display()
    ));
    Ok(ExitCode::SUCCESS)
}
