# shellcheck shell=bash
# What the scripts share: words to the user, cache paths, and a way to install what is missing.
# Sourced, never run. Everything here speaks on stderr, so that stdout stays free for answers.

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
SCRIPT=$(basename "$0")
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/regatta
PATH=$PATH:/usr/sbin:/sbin:$HOME/.cargo/bin

say()  { printf '%s\n' "$*" >&2; }
note() { say "$SCRIPT: $*"; }
die()  { say "$SCRIPT: $*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

headline() {   # bold in a terminal
  if [[ -t 2 && -z ${NO_COLOR:-} ]]; then printf '\n\033[1m== %s\033[0m\n' "$*" >&2; else printf '\n== %s\n' "$*" >&2; fi
}

# took SECONDS: "7 s" or "2 min 05 s"
took() { if (($1 < 60)); then echo "$1 s"; else printf '%d min %02d s\n' $(($1 / 60)) $(($1 % 60)); fi; }

# The comment block at the top of a script is its help text.
usage() { sed -n '2,/^[^#]/p' "$0" | sed '/^[^#]/d; s/^# \{0,1\}//'; }

# --- packages -----------------------------------------------------------------------------------

may_install() { have apt-get && { [[ $(id -u) == 0 ]] || { have sudo && sudo -n true; }; } 2>/dev/null; }

as_root() { if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi; }

# apt_install PACKAGE...: with no question asked and nothing suggested; nonzero when apt fails.
# Pattern-Only: where the package lists are empty, apt-get else reads g++ as a regular expression,
# finds it in the names of what is installed, and reports success.
apt_install() {
  local log rc=0 install=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300
    -o APT::Cmd::Pattern-Only=true install -y --no-install-recommends)
  log=$(mktemp)
  note "installing through apt: $*"
  {
    as_root "${install[@]}" "$@" ||
      { as_root apt-get -o DPkg::Lock::Timeout=300 update && as_root "${install[@]}" "$@"; }
  } </dev/null >"$log" 2>&1 || rc=$?
  ((rc == 0)) || tail -n 5 "$log" >&2
  rm -f "$log"
  return "$rc"
}

# A test per package: a command that succeeds where the package (or another way to it) is there.
package_present() {
  case $1 in
    g++)          have c++ || have g++ ;;
    python3-venv) find_python >/dev/null ;;
    slurm-client) have sbatch && have squeue ;;
    munge)        have munged ;;
    bubblewrap)   have bwrap ;;
    *)            have "$1" ;;
  esac
}

# require PACKAGE...: installs what is missing where that is allowed; otherwise one line names it.
require() {
  local missing
  read -r -a missing < <(absent "$@")
  ((${#missing[@]})) || return 0
  if may_install; then
    apt_install "${missing[@]}" || { note "apt could not install: ${missing[*]}"; return 1; }
    read -r -a missing < <(absent "${missing[@]}")
    ((${#missing[@]})) || return 0
    note "still not found after apt installed it: ${missing[*]}"
  elif have apt-get; then
    note "missing: ${missing[*]}; to install: sudo apt-get install ${missing[*]}"
  else
    note "missing: ${missing[*]} (Debian's names); install what this system calls so, then try again"
  fi
  return 1
}

# absent PACKAGE...: those that are not there, in one line.
absent() {
  local p missing=()
  for p; do package_present "$p" || missing+=("$p"); done
  echo "${missing[*]}"
}

# A python3 with the two modules that make a virtual environment (Debian packs them apart).
find_python() {
  local p
  for p in python3 /usr/bin/python3; do
    have "$p" && "$p" -c 'import venv, ensurepip' 2>/dev/null && { echo "$p"; return 0; }
  done
  return 1
}

# python_environment PLACE PACKAGE...: makes a virtual environment with these packages, once, and prints the path
# of its python. Fails where it cannot.
python_environment() {
  local place=$1
  shift
  if [[ ! -f $place/made-of || $(<"$place/made-of") != "$*" ]]; then
    require python3-venv >&2 || return 1
    note "making an environment with $* in $place"
    rm -rf "$place"
    "$(find_python)" -m venv "$place" >&2 || return 1
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >&2 || return 1
    echo "$*" >"$place/made-of"
  fi
  echo "$place/bin/python"
}

# --- Rust ---------------------------------------------------------------------------------------

# The toolchain named in rust-toolchain.toml, with its components.
require_rust() {
  local channel
  channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' "$REPO/rust-toolchain.toml")
  have cargo || die "cargo is missing: install rustup, the Rust toolchain's installer; it brings Rust $channel by itself"
  if ! (cd "$REPO" && cargo --version >/dev/null 2>&1); then
    have rustup || die "cargo does not start; Rust $channel is needed (rust-toolchain.toml)"
    note "fetching Rust $channel"
    rustup toolchain install "$channel" --profile minimal -c rustfmt -c clippy >&2 || die "rustup could not fetch Rust $channel"
  fi
  (cd "$REPO" && cargo fmt --version && cargo clippy --version) >/dev/null 2>&1 && return 0
  if have rustup && rustup component add --toolchain "$channel" rustfmt clippy >&2; then return 0; fi
  note "rustfmt or clippy is missing: rustup component add --toolchain $channel rustfmt clippy"
  return 1
}

# The build outputs of the tests, the demo and every clone lie together: libtorch's C++ layer takes
# a minute to compile, and is compiled once.
use_target_dir() {
  export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}
  mkdir -p "$CARGO_TARGET_DIR"
  CARGO_TARGET_DIR=$(cd "$CARGO_TARGET_DIR" && pwd)
}

# use_libtorch: finds or fetches libtorch and puts the environment for cargo in place.
use_libtorch() {
  local lines
  lines=$("$REPO/scripts/libtorch" --print-env) || return 1
  eval "$lines"
}

# Both programs, in the profile and folder of the tests, so that libtorch's C++ layer is compiled once.
# The controller is built by itself: in one build with the feature `train` the library's code for
# libtorch comes along, and the controller would be linked to it (ARCHITECTURE.md, "The house").
build_programs() {
  cargo build --locked --features train --bin regatta-worker && cargo build --locked --bin regatta
}

# carries_libtorch PROGRAM
carries_libtorch() { ldd "$1" 2>/dev/null | grep libtorch >/dev/null; }
