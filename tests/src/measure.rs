//! Rates, medians and resident memory. Figures are printed as ratios against a floor of the same run, because the
//! machine is shared and its speed drifts.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// A stopwatch: benches may read the clock, decisions may not.
#[derive(Debug, Clone, Copy)]
pub struct Watch(Instant);

impl Watch {
    /// Starts it.
    #[expect(clippy::disallowed_methods, reason = "measuring is what this is for")]
    pub fn start() -> Self {
        Self(Instant::now())
    }
    /// Time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
    /// `count` a second since the start.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of a bench are far below 2^52"
    )]
    pub fn rate(self, count: u64) -> f64 {
        count as f64 / self.elapsed().as_secs_f64()
    }
}

/// The middle of the values; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// Bytes of resident memory of a process.
pub fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("no VmRSS")?;
    let kib = line
        .split_whitespace()
        .nth(1)
        .context("no figure in VmRSS")?;
    Ok(kib.parse::<u64>()? * 1024)
}
