//! Learning rate: linear warm-up, then cosine decay (reference-facts D6).
use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// Learning rate as a function of the step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmupCosine {
    /// Rate at the end of the warm-up.
    pub peak: f64,
    /// Rate at and after the last step.
    pub floor: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Steps in all, warm-up included.
    pub total_steps: u64,
}

impl WarmupCosine {
    /// Rate for `step`, counted from 0: `peak * g / W` before the `W`-th step (`g = step + 1`), then half a cosine down to `floor`.
    pub fn lr(&self, step: u64) -> f64 {
        let (g, warmup, total) = (step + 1, self.warmup_steps, self.total_steps);
        if g < warmup {
            self.peak * g as f64 / warmup as f64
        } else if g <= total && total > warmup {
            let done = (g - warmup) as f64 / (total - warmup) as f64;
            self.floor + 0.5 * (self.peak - self.floor) * (1.0 + (PI * done).cos())
        } else {
            self.floor
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reference vectors of reference-facts J4 (hulk_smgps, 1391 steps an epoch).
    #[test]
    fn reference_vectors() {
        let schedule = WarmupCosine { peak: 0.1, floor: 1e-6, warmup_steps: 13_910, total_steps: 139_100 };
        for (step, want, tolerance) in [
            (0, 7.18907261e-6, 1e-13),
            (999, 7.18907261e-3, 1e-10),
            (13_908, 0.0999928109, 1e-10),
            (13_909, 0.1, 1e-12),
            (76_504, 0.0500005, 1e-9),
            (139_098, 1.00001574e-6, 1e-14),
            (139_099, 1e-6, 1e-15),
            (200_000, 1e-6, 0.0),
        ] {
            let got = schedule.lr(step);
            assert!((got - want).abs() <= tolerance, "step {step}: {got} vs {want}");
        }
    }
}
