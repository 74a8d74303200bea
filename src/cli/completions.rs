//! `regatta completions`: what a shell must read once, so that Tab completes.

use std::process::ExitCode;

use clap::ValueEnum;
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use super::gate::this_program;
use super::{Context, Failure, complete};
use crate::help::{Example, examples};

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("bash, as a line of ~/.bashrc", "source <(regatta completions bash)"),
    ("zsh, as a line of ~/.zshrc, below compinit", "source <(regatta completions zsh)"),
    ("fish, once", "regatta completions fish > ~/.config/fish/completions/regatta.fish"),
];

/// bash's line editor divides words at `=`, which the command line does not: `--state=fin` comes as three words,
/// of which the last is completed. This puts them together for clap's function, and takes off again what stands on
/// the line already.
const WHOLE_OPTIONS: &str = r#"
_regatta_complete() {
    local words=() last=-1 at=0 i
    for i in "${!COMP_WORDS[@]}"; do
        if (( last > 0 )) && [[ ${words[last]} =~ ^--[a-z-]+=$ || ( ${words[last]} =~ ^--[a-z-]+$ && ${COMP_WORDS[i]} == = ) ]]; then
            words[last]+=${COMP_WORDS[i]}
        else
            words[++last]=${COMP_WORDS[i]}
        fi
        (( i == COMP_CWORD )) && at=$last
    done
    local typed=$2
    [[ ${words[at]} == --*=* ]] && typed=${words[at]}
    local COMP_WORDS=("${words[@]}") COMP_CWORD=$at
    _clap_complete_regatta "$1" "$typed" "$3"
    [[ $typed == --*=* ]] && COMPREPLY=("${COMPREPLY[@]#--*=}")
    return 0
}
if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -o nospace -o bashdefault -o nosort -F _regatta_complete regatta
else
    complete -o nospace -o bashdefault -F _regatta_complete regatta
fi
"#;

/// Print what your shell needs to complete sweeps, trials and options
///
/// Tab then offers verbs, options, names of sweeps, trials with their state and value, states, metrics,
/// settings and files, of the folder that --root on the line or REGATTA_ROOT names.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Shells that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let shell: &dyn EnvCompleter = match args.shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    // The shell's folder changes; the path of this program does not.
    let program = this_program()?;
    let mut text = Vec::new();
    shell
        .write_registration(
            complete::VARIABLE,
            "regatta",
            "regatta",
            &program.to_string_lossy(),
            &mut text,
        )
        .map_err(Failure::site)?;
    if args.shell == Shell::Bash {
        text.extend_from_slice(WHOLE_OPTIONS.as_bytes());
    }
    ctx.screen.bytes(&text).map_err(Failure::site)?;
    Ok(ExitCode::SUCCESS)
}
