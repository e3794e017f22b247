//! Projector and predictor of BYOL, and its loss, in candle.
use candle_core::{Tensor, Var};
use radio_tensor::parameter::Parameter;
use radio_tensor::{DuringStep, TensorError};
use rand_chacha::ChaCha8Rng;

use super::ByolConfig;
use crate::config::ProjectorConfig;
use crate::error::Result;
use crate::head::{Contrast, differentiate, leaves};

/// Added to the variance in batch norm (PyTorch's and the authors' default).
const EPSILON: f64 = 1e-5;
/// Squared norms are raised by this, so that a row of zeros stays zero.
const NORM_FLOOR: f64 = 1e-24;
/// Tensors of one network: dense, scale and offset of batch norm, dense.
const TENSORS: usize = 4;

/// Weights of projector and predictor; names as PyTorch's `Sequential(Linear, BatchNorm1d, ReLU, Linear)` without offsets
/// in the dense layers, under `projector` and `predictor`.
#[derive(Debug, Clone, PartialEq)]
pub struct Heads {
    parameters: Vec<Parameter>,
}

impl Heads {
    /// Glorot-uniform weights, scales 1, offsets 0.
    pub fn new(features: usize, projector: ProjectorConfig, byol: ByolConfig, rng: &mut ChaCha8Rng) -> Self {
        let mut network = |name: &str, sizes: [usize; 3]| {
            let [input, hidden, output] = sizes;
            [
                Parameter::glorot_uniform(format!("{name}.0.weight"), [hidden, input], rng),
                Parameter::constant(format!("{name}.1.weight"), vec![hidden], 1.0),
                Parameter::constant(format!("{name}.1.bias"), vec![hidden], 0.0),
                Parameter::glorot_uniform(format!("{name}.3.weight"), [output, hidden], rng),
            ]
        };
        let projector_part = network("projector", [features, projector.hidden, projector.output]);
        let predictor_part = network("predictor", [projector.output, byol.predictor_hidden, projector.output]);
        Self { parameters: projector_part.into_iter().chain(predictor_part).collect() }
    }

    /// Projector, then predictor.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Projector, then predictor, to be updated.
    pub fn parameters_mut(&mut self) -> &mut [Parameter] {
        &mut self.parameters
    }

    /// The projector's part, which the target network has too.
    pub fn projector(&self) -> &[Parameter] {
        &self.parameters[..TENSORS]
    }

    /// The loss of 2N views and its gradients.
    ///
    /// # Shapes
    /// - `features`: `[2N, features]`, first views, then second views, of the online network;
    /// - `targets`: `[2N, output]`, the target network's projections of the same views in the same order: constants here.
    /// - loss: `2 - 2 cos` between the prediction of a view and the target of its partner, mean over the cutouts, both
    ///   directions added: from 0 to 8.
    /// # Errors
    /// On another shape.
    /// # Source
    /// Grill et al. 2020 (arXiv:2006.07733), eq. 2 and 3.
    pub fn contrast(&self, features: &Tensor, targets: &Tensor) -> Result<Contrast> {
        let rows = features.dims().first().copied().unwrap_or(0);
        if rows == 0 || rows % 2 != 0 || targets.dims().first() != Some(&rows) {
            let what = format!("BYOL's targets for {rows} views");
            let expected = "as many rows as features, an even number".into();
            return Err(TensorError::Shape { what, expected, found: targets.dims().to_vec() }.into());
        }
        let variables = leaves(&self.parameters).during("weights of projector and predictor")?;
        let leaf = Var::from_tensor(features).during("features as a leaf")?;
        let z = network(leaf.as_tensor(), &variables[..TENSORS]).during("projector")?;
        let distance = || {
            let predictions = unit_rows(&network(&z, &variables[TENSORS..])?)?;
            let (first, second) = (targets.narrow(0, 0, rows / 2)?, targets.narrow(0, rows / 2, rows / 2)?);
            let partners = unit_rows(&Tensor::cat(&[second, first], 0)?.detach())?;
            // Both directions: 2 (2 - 2 mean cos).
            (predictions * partners)?.sum_all()?.affine(-4.0 / rows as f64, 4.0)
        };
        differentiate(&distance().during("BYOL's loss")?, &z, &leaf, &variables)
    }
}

/// Projections by the target network's weights, `[n, output]`, outside any graph.
///
/// # Errors
/// On another shape.
pub(super) fn project(features: &Tensor, projector: &[Parameter]) -> Result<Tensor> {
    let constants: Vec<Var> = leaves(projector).during("weights of the target's projector")?;
    Ok(network(features, &constants).map(|z| z.detach()).during("target's projector")?)
}

/// Dense, batch norm with the statistics of the batch, ReLU, dense.
fn network(x: &Tensor, variables: &[Var]) -> candle_core::Result<Tensor> {
    let [dense_0, scale, offset, dense_1] = variables else {
        candle_core::bail!("a network of {TENSORS} tensors, found {}", variables.len());
    };
    let hidden = x.matmul(&dense_0.t()?)?;
    let centred = hidden.broadcast_sub(&hidden.mean_keepdim(0)?)?;
    let spread = (centred.sqr()?.mean_keepdim(0)? + EPSILON)?.sqrt()?;
    let normal = centred.broadcast_div(&spread)?.broadcast_mul(scale)?.broadcast_add(offset)?;
    // ReLU as a product with its mask: candle's own has gradient 1 at 0.
    let mask = normal.gt(0.0)?.to_dtype(normal.dtype())?;
    (normal * mask)?.matmul(&dense_1.t()?)
}

fn unit_rows(x: &Tensor) -> candle_core::Result<Tensor> {
    x.broadcast_div(&(x.sqr()?.sum_keepdim(1)? + NORM_FLOOR)?.sqrt()?)
}
