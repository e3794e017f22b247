//! BYOL, the second method: the projection of one view predicts what a slowly following copy of the network makes of the
//! other view. No negatives, so no cutout is pushed away from another that may look the same.
//!
//! Followed from Grill et al. 2020: projector and predictor are dense, batch norm, ReLU, dense, nothing behind the last;
//! the target network's weights are an exponential moving average of the online network's, with a momentum that rises to
//! 1 on half a cosine; it runs with the statistics of its batch; no gradient reaches it; the loss is `2 - 2 cos` in both
//! directions, added up.
//!
//! Not followed: both views go through each network together, so that batch norm sees `2N` views (there each view is a batch
//! of its own); Adam in the place of LARS; dense layers without offsets, which batch norm would take away (there the
//! first has one); Glorot-uniform weights; the projector's batch norm keeps no running statistics, for after training it is
//! not used.
mod heads;
mod target;
#[cfg(test)]
mod tests;

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

pub use heads::Heads;
pub use target::Target;

/// What BYOL needs beside the numbers it shares with SimCLR; the projector is [`crate::SimClrConfig::projector`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByolConfig {
    /// Width of the predictor's hidden layer; its output is as wide as the projector's.
    pub predictor_hidden: usize,
    /// Momentum of the target network at the first step.
    pub target_momentum: f64,
    /// Momentum at the end, on half a cosine from the first.
    pub final_momentum: f64,
}

impl ByolConfig {
    /// Grill et al. 2020, section 3.2: 4,096 wide, momentum from 0.996 to 1. Their projector is 4,096 to 256.
    ///
    /// The momentum is for a thousand epochs; shorter trainings want less at the start (theirs of 300 epochs: 0.99).
    pub fn grill() -> Self {
        Self { predictor_hidden: 4096, target_momentum: 0.996, final_momentum: 1.0 }
    }

    /// The authors of the paper: 256 wide, momentum 0.99 throughout. Their projector is 256 to 128.
    ///
    /// # Source
    /// reference-facts D8.
    pub fn upstream() -> Self {
        Self { predictor_hidden: 256, target_momentum: 0.99, final_momentum: 0.99 }
    }

    /// Momentum of the update after `step`, counted from 0, of a run of `total_steps`.
    ///
    /// # Source
    /// Grill et al. 2020 (arXiv:2006.07733), section 3.2: `1 - (1 - m) (cos(π k / K) + 1) / 2`.
    pub fn momentum(&self, step: u64, total_steps: u64) -> f64 {
        let done = (step as f64 / total_steps.max(1) as f64).min(1.0);
        self.final_momentum - (self.final_momentum - self.target_momentum) * ((PI * done).cos() + 1.0) / 2.0
    }
}
