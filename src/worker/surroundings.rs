//! What an attempt works with and on, for the record.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::event::Event;
use crate::id::hex;
use crate::layout;

/// How the program was started. The door fills it in: only doors read the environment.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// SHA-256 in hex of the program file.
    pub binary_sha256: Option<String>,
    /// The command line.
    pub command: Vec<String>,
    /// The folder it was started in.
    pub folder: PathBuf,
    /// Variables that [`kept`] lets pass.
    pub environment: BTreeMap<String, String>,
}

impl Program {
    /// Makes the record.
    #[must_use]
    pub fn surroundings(
        &self,
        gpu: (Option<String>, Option<String>),
        settings: &serde_json::Map<String, serde_json::Value>,
    ) -> Event {
        let (gpu, driver) = gpu;
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        Event::Surroundings {
            binary_sha256: self.binary_sha256.clone(),
            cpu: cpu_model(),
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
            gpu,
            driver,
            system: system(),
            command: self.command.clone(),
            folder: self.folder.clone(),
            environment: self.environment.clone(),
            settings: settings.clone(),
        }
    }
}

/// Beginnings of the names of variables that change what a program does or tell where it runs.
const KEPT: [&str; 22] = [
    "SLURM_",
    "SBATCH_",
    "SRUN_",
    "REGATTA_",
    "OMP_",
    "MKL_",
    "OPENBLAS_",
    "KMP_",
    "GOMP_",
    "ATEN_",
    "TORCH",
    "PYTORCH_",
    "CUDA",
    "NVIDIA_",
    "CUDNN_",
    "NCCL_",
    "LD_",
    "CONDA_",
    "APPTAINER_",
    "SINGULARITY_",
    "MALLOC_",
    "LC_",
];
const KEPT_WHOLE: [&str; 14] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "HOSTNAME",
    "SHELL",
    "LANG",
    "TMPDIR",
    "PWD",
    "LOADEDMODULES",
    "MODULEPATH",
    "VIRTUAL_ENV",
    "RUST_LOG",
    "TZ",
];

/// Words in a name that speak of a secret.
const SECRET: [&str; 9] =
    ["TOKEN", "SECRET", "PASS", "KEY", "CREDENTIAL", "AUTH", "JWT", "COOKIE", "PRIVATE"];

/// Says whether a variable may stand in a journal: it is one that matters, and its name does not
/// speak of a secret.
#[must_use]
pub fn kept(name: &str) -> bool {
    let matters =
        KEPT_WHOLE.contains(&name) || KEPT.iter().any(|beginning| name.starts_with(beginning));
    matters && !SECRET.iter().any(|word| name.to_uppercase().contains(word))
}

/// Says whether a value holds an address with a password in it, `https://me:secret@host`.
#[must_use]
pub fn has_password(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let host = rest.split(['/', ' ', ',', '"', '\'']).next().unwrap_or_default();
        host.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

/// Returns the SHA-256 in hex of a file; none where it cannot be read.
#[must_use]
pub fn file_sha256(path: &Path) -> Option<String> {
    let mut file = fs::File::open(path).ok()?;
    let mut sum = Sha256::new();
    let mut part = vec![0; 1 << 20];
    loop {
        match file.read(&mut part).ok()? {
            0 => break,
            length => sum.update(&part[..length]),
        }
    }
    Some(hex(&sum.finalize()))
}

/// A word where the disk has no room for a few checkpoints of a network of so many parameters, which
/// take about 12 bytes a parameter (weights and two moments).
#[must_use]
pub fn scarce_room(folder: &Path, parameters: u64) -> Option<String> {
    const KEPT: u64 = 3;
    let (bytes, free) = (12 * parameters, layout::free_bytes(folder).ok()?);
    (free < KEPT * bytes).then(|| {
        format!(
            "{} MB are free for checkpoints of about {} MB, of which up to {KEPT} are kept: make room",
            free / 1_000_000,
            bytes.div_ceil(1_000_000),
        )
    })
}

/// Name of this machine.
#[must_use]
pub fn host() -> String {
    nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned()
}

/// Model of the processor (proc(5), `cpuinfo`); empty where it is not told.
#[must_use]
pub fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or_else(String::new, |(_, model)| model.trim().to_owned())
}

fn system() -> String {
    let part = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}"));
    let part = |name| part(name).map(|text| text.trim().to_owned()).unwrap_or_default();
    format!("{} {}", part("ostype"), part("osrelease")).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_kept_and_secrets_never() {
        for name in
            ["SLURM_JOB_ID", "OMP_NUM_THREADS", "PATH", "CUDA_VISIBLE_DEVICES", "LD_PRELOAD"]
        {
            assert!(kept(name), "{name}");
        }
        for name in [
            "SLURM_JWT",
            "REGATTA_API_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "WANDB_API_KEY",
            "HF_TOKEN",
            "CONDA_AUTH",
            "TORCH_PASSWORD",
            "DATABASE_URL",
            "SSH_AUTH_SOCK",
            "NVIDIA_TOKEN",
        ] {
            assert!(!kept(name), "{name}");
        }
    }

    #[test]
    fn an_address_with_a_password_is_seen() {
        for bad in ["https://me:x@host/simple", "a,http://u:p@h:80", "'s3://k:v@b'"] {
            assert!(has_password(bad), "{bad}");
        }
        for good in ["https://host:80/a@b", "/usr/bin:/bin", "git@host:repo", "ssh://git@host/x:y"]
        {
            assert!(!has_password(good), "{good}");
        }
    }

    #[test]
    fn the_program_has_a_checksum_and_the_machine_a_name() {
        let home = tempfile::tempdir().expect("folder");
        let path = home.path().join("program");
        crate::layout::write_atomic(&path, b"abc").expect("written");
        let sum = file_sha256(&path).expect("sum");
        assert_eq!(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(file_sha256(&home.path().join("none")), None);
        assert!(system().starts_with("Linux "));
    }
}
