//! A look at the machine: memory of this process, and the GPU where there is one.

use std::fs;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::error::NvmlError;

use crate::metric::Metrics;

/// Pause between two looks at the GPU.
const EVERY: Duration = Duration::from_secs(10);

/// Watches the machine. A GPU is watched on a thread of its own, since its driver may take its time;
/// without a GPU or driver there is no thread and no error.
#[derive(Debug)]
pub struct Telemetry {
    gpu: Arc<Mutex<Metrics>>,
    name: Option<String>,
    driver: Option<String>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Telemetry {
    /// Begins to watch.
    #[must_use]
    pub fn start() -> Self {
        let gpu = Arc::new(Mutex::new(Metrics::default()));
        let (stop, stopped) = channel::<()>();
        let nvml = Nvml::init().ok();
        let first = nvml.as_ref().and_then(|nvml| nvml.device_by_index(0).ok());
        let name = first.and_then(|device| device.name().ok());
        let driver = nvml.as_ref().and_then(|nvml| nvml.sys_driver_version().ok());
        let thread = nvml.and_then(|nvml| {
            let seen = Arc::clone(&gpu);
            let watch = move || {
                loop {
                    let metrics = look_at_gpus(&nvml);
                    *seen.lock().unwrap_or_else(PoisonError::into_inner) = metrics;
                    if stopped.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            };
            let spawned = std::thread::Builder::new().name("telemetry".to_owned()).spawn(watch);
            spawned.inspect_err(|error| tracing::warn!("the GPU is not watched: {error}")).ok()
        });
        Self { gpu, name, driver, stop: Some(stop), thread }
    }

    /// Returns name and driver version of the first GPU, if there is one.
    #[must_use]
    pub fn gpu(&self) -> (Option<String>, Option<String>) {
        (self.name.clone(), self.driver.clone())
    }

    /// Returns what was seen last: `process/memory` and `process/memory_peak` in bytes, `gpu/…`.
    #[must_use]
    pub fn latest(&self) -> Metrics {
        let mut metrics = self.gpu.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Ok((memory, peak)) = process_memory() {
            metrics.set("process/memory", memory);
            metrics.set("process/memory_peak", peak);
        }
        metrics
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Utilisation in percent, memory in bytes, temperature in degrees Celsius, power in watts. Of
/// several GPUs the second is `gpu1/…`. What a GPU does not tell is left out.
fn look_at_gpus(nvml: &Nvml) -> Metrics {
    let mut metrics = Metrics::default();
    for index in 0..nvml.device_count().unwrap_or(0) {
        let prefix = if index == 0 { "gpu".to_owned() } else { format!("gpu{index}") };
        let Ok(device) = nvml.device_by_index(index) else { continue };
        let mut set = |name: &str, value: Result<f64, NvmlError>| {
            if let Ok(value) = value {
                metrics.set(format!("{prefix}/{name}"), value);
            }
        };
        set("utilisation", device.utilization_rates().map(|rates| f64::from(rates.gpu)));
        #[expect(clippy::cast_precision_loss, reason = "bytes stay below 2^53")]
        set("memory", device.memory_info().map(|memory| memory.used as f64));
        set("temperature", device.temperature(TemperatureSensor::Gpu).map(f64::from));
        set("power", device.power_usage().map(|milliwatts| f64::from(milliwatts) / 1000.0));
    }
    metrics
}

/// Returns the largest resident memory of this process so far, in bytes; none where it is not told.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole kilobytes")]
pub fn memory_peak() -> Option<u64> {
    process_memory().ok().map(|(_, peak)| peak as u64)
}

/// Resident memory of this process, now and at most so far, in bytes (proc(5): `VmRSS`, `VmHWM`).
fn process_memory() -> io::Result<(f64, f64)> {
    let status = fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: f64 =
            line.trim_start_matches(':').trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024.0)
    };
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    Ok((field("VmRSS").ok_or_else(missing)?, field("VmHWM").ok_or_else(missing)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_this_process_is_seen() {
        let metrics = Telemetry::start().latest();
        let memory = metrics.get("process/memory").expect("memory");
        let peak = metrics.get("process/memory_peak").expect("peak");
        assert!(memory > 1e6 && peak >= memory * 0.9, "{memory} {peak}");
    }
}
