//! What the small networks between features and loss have in common: from a batch of features to a loss and its gradients.
use candle_core::{Device, Tensor, Var};
use radio_tensor::DuringStep;
use radio_tensor::parameter::Parameter;

use crate::error::Result;

/// The loss of one batch and its gradients.
pub struct Contrast {
    /// Loss of the batch: NT-Xent in nats, or BYOL's distance.
    pub loss: f32,
    /// With respect to the features, `[2N, features]`.
    pub d_features: Tensor,
    /// With respect to the head's parameters, in their order.
    pub gradients: Vec<Vec<f32>>,
    /// Spread of the projected views ([`embedding_std`]).
    pub embedding_std: f32,
}

/// The parameters as leaves of candle's graph.
pub(crate) fn leaves(parameters: &[Parameter]) -> candle_core::Result<Vec<Var>> {
    parameters.iter().map(|p| Var::from_slice(&p.values, p.shape.as_slice(), &Device::Cpu)).collect()
}

/// Runs candle's backward; `features` is the leaf the gradient of the features is taken at, `z` what its spread is told of.
pub(crate) fn differentiate(loss: &Tensor, z: &Tensor, features: &Var, variables: &[Var]) -> Result<Contrast> {
    let store = loss.backward().during("gradient of the head")?;
    let gradient = |var: &Var| store.get(var).cloned().map_or_else(|| var.zeros_like(), Ok);
    let gradients = variables
        .iter()
        .map(|var| gradient(var).and_then(|g| g.flatten_all()).and_then(|g| g.to_vec1()))
        .collect::<candle_core::Result<Vec<Vec<f32>>>>()
        .during("gradient of the head")?;
    let width = z.dims().last().copied().unwrap_or(0);
    let z: Vec<f32> = z.flatten_all().and_then(|z| z.to_vec1()).during("projected views")?;
    Ok(Contrast {
        loss: loss.to_scalar().during("loss")?,
        d_features: gradient(features).during("gradient of the features")?,
        gradients,
        embedding_std: embedding_std(&z, width),
    })
}

/// How far the embeddings spread over the sphere: rows are divided by their norm, the standard deviation of each column is
/// taken, and their mean is multiplied by √width. About 1 when directions are random, 0 when all rows point the same way.
///
/// `z`: `[n, width]`, row-major. 0 without a row; NaN if a value is.
///
/// # Source
/// Chen & He 2021 (SimSiam, arXiv:2011.10566), section 4.1.
pub fn embedding_std(z: &[f32], width: usize) -> f32 {
    let rows = z.len().checked_div(width).unwrap_or(0);
    if rows == 0 {
        return 0.0;
    }
    let (mut sums, mut squares) = (vec![0f64; width], vec![0f64; width]);
    for row in z.chunks_exact(width) {
        let norm = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
        let scale = if norm > 0.0 { 1.0 / norm } else { 1.0 };
        for ((sum, square), v) in sums.iter_mut().zip(&mut squares).zip(row) {
            let unit = f64::from(*v) * scale;
            *sum += unit;
            *square += unit * unit;
        }
    }
    let n = rows as f64;
    let variance = |(sum, square): (&f64, &f64)| square / n - (sum / n) * (sum / n);
    // Rounding may leave a little less than nothing; `max` would hide a NaN.
    let std = |variance: f64| if variance <= 0.0 { 0.0 } else { variance.sqrt() };
    let mean = sums.iter().zip(&squares).map(variance).map(std).sum::<f64>() / width as f64;
    (mean * (width as f64).sqrt()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Equal directions: 0. Both ends of one axis of d: std 1 in one column of d, so 1/√d. The d axes: √(d-1)/√d.
    #[test]
    fn known_spreads() {
        let same: Vec<f32> = (1..=6).flat_map(|k| [0.3 * k as f32, -0.1 * k as f32, 0.7 * k as f32]).collect();
        assert!(embedding_std(&same, 3) < 1e-6, "lengths do not count");
        let ends = [5.0, 0., 0., 0., -2.0, 0., 0., 0.];
        assert!((embedding_std(&ends, 4) - 0.5).abs() < 1e-6);
        let axes: Vec<f32> = (0..16).map(|i| if i % 5 == 0 { 2.0 } else { 0.0 }).collect();
        assert!((embedding_std(&axes, 4) - 0.75f32.sqrt()).abs() < 1e-6);
        assert_eq!((embedding_std(&[], 4), embedding_std(&[0.0; 8], 4)), (0.0, 0.0));
        assert!(embedding_std(&[1.0, f32::NAN, 0.0, 1.0], 2).is_nan());
    }
}
