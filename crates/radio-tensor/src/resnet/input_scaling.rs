//! What a trained network wants its images scaled by: part of its weights, as they mean nothing without it.
use serde::{Deserialize, Serialize};

/// `(value * scale - mean) / std` of every channel, for values in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputScaling {
    /// Factor before anything else: 1, or 255 for networks that were fed bytes.
    pub scale: f32,
    /// Subtracted from each channel.
    pub mean: [f32; 3],
    /// Each channel is divided by it; finite and above 0.
    pub std: [f32; 3],
}

impl InputScaling {
    /// What torchvision's and solo-learn's ImageNet weights expect (mean and spread of ImageNet in RGB).
    pub const IMAGENET: Self = Self { scale: 1.0, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

    /// Whether every number is finite and every divisor above zero.
    pub fn is_valid(&self) -> bool {
        self.scale.is_finite()
            && self.mean.iter().all(|m| m.is_finite())
            && self.std.iter().all(|s| s.is_finite() && *s > 0.0)
    }

    /// Factor and offset of each channel: the scaling as one straight line.
    pub fn line(&self) -> [(f32, f32); 3] {
        std::array::from_fn(|c| (self.scale / self.std[c], -self.mean[c] / self.std[c]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_the_formula() {
        let bytes = InputScaling { scale: 255.0, mean: [100.0, 50.0, 0.0], std: [2.0, 4.0, 8.0] };
        for (channel, (factor, offset)) in bytes.line().into_iter().enumerate() {
            let want = (0.5 * 255.0 - bytes.mean[channel]) / bytes.std[channel];
            assert!((0.5 * factor + offset - want).abs() < 1e-5);
        }
        assert!(InputScaling::IMAGENET.is_valid());
        assert!(!InputScaling { std: [1.0, 0.0, 1.0], ..bytes }.is_valid());
        assert!(!InputScaling { scale: f32::NAN, ..bytes }.is_valid());
    }
}
