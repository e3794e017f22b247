//! Gradient caching: large batches through the trunk in chunks, so that memory follows the chunk and not the batch.
//!
//! NT-Xent needs the features of all views at once, the trunk's backward does not. So every chunk runs forward for its
//! features only; the loss and the gradient of each feature are found from all of them; then chunk after chunk
//! runs forward again and backward from the gradients kept for it. What stays for the whole batch are features and
//! their gradients, `[2N, features]`; views are asked for twice and not kept.
//!
//! The gradient is the one of the plain step, except that **each chunk is a batch of its own to batch norm**: statistics
//! are those of its `2 * chunk` views (a vision transformer has none of that: there it is the plain gradient). With one chunk it is the plain step, to the bit. Running
//! statistics take in every chunk once, in order. The last chunk needs no second forward.
//!
//! Source: Gao, Zhang, Han & Callan 2021 (GradCache, arXiv:2101.06983), section 3.
use candle_core::{DType, Device, Tensor};
use radio_tensor::DuringStep;
use radio_tensor::resnet::Gradients;
use radio_tensor::trunk::Trunk;

use crate::error::{Result, SimClrError};
use crate::projector::Contrast;

/// Loss and gradients of one step, the batch taken in `chunks` chunks of equal size.
///
/// # Shapes
/// - `views(k)`: `[2c, 3, s, s]`: the first views of the cutouts of chunk `k`, then their second views. It is called for
///   `0..chunks` in order, then again for `chunks - 2` down to 0 and must then give the same views.
/// - `contrast` gets `[2N, features]`, `N = c * chunks`: all first views in the order of the chunks, then all second
///   views, and returns the gradient of these features among others.
/// - result: what `contrast` returned, and the gradients of the trunk's parameters.
/// # Errors
/// Those of `views`, `contrast` and the trunk; chunks of unequal or odd size.
pub fn cached_gradients(
    trunk: &mut Trunk,
    chunks: usize,
    views: impl FnMut(usize) -> Result<Tensor>,
    contrast: impl FnOnce(&Tensor) -> Result<Contrast>,
) -> Result<(Contrast, Gradients)> {
    with_second_look(trunk, chunks, views, |_, _| Ok(()), |features, _| contrast(features))
}

/// As [`cached_gradients`], with a look at the views of every chunk in order, each once, before the trunk's own: what a
/// target network makes of them. `contrast` gets what `look` returned as well.
pub(crate) fn with_second_look<T>(
    trunk: &mut Trunk,
    chunks: usize,
    mut views: impl FnMut(usize) -> Result<Tensor>,
    mut look: impl FnMut(&mut Trunk, &Tensor) -> Result<T>,
    contrast: impl FnOnce(&Tensor, &[T]) -> Result<Contrast>,
) -> Result<(Contrast, Gradients)> {
    let (mut parts, mut seen) = (Vec::with_capacity(chunks), Vec::with_capacity(chunks));
    for chunk in 0..chunks {
        let views = views(chunk)?;
        seen.push(look(trunk, &views)?);
        let features = trunk.forward(&views)?;
        drop(views);
        let rows = features.dims()[0];
        let expected = parts.first().map_or(rows, |first: &Tensor| first.dims()[0]);
        if rows % 2 != 0 || rows != expected {
            return Err(SimClrError::Chunk { chunk, expected, found: rows });
        }
        parts.push(features);
    }
    let half = parts.first().map_or(0, |first| first.dims()[0] / 2);
    let contrast = contrast(&joined(&parts)?, &seen)?;
    let d_features = contrast.d_features.to_dtype(DType::F32).during("gradient of the features")?;
    // Running statistics have seen every chunk by now; the second forwards must not count again.
    let running = trunk.running().to_vec();
    let mut sum: Option<Gradients> = None;
    for chunk in (0..chunks).rev() {
        if chunk + 1 < chunks {
            trunk.forward(&views(chunk)?)?;
        }
        let gradients = trunk.backward(&rows_of_chunk(&d_features, chunk, half, chunks)?)?;
        match &mut sum {
            None => sum = Some(gradients),
            Some(sum) => {
                for (sum, gradient) in sum.iter_mut().zip(&gradients) {
                    sum.iter_mut().zip(gradient).for_each(|(sum, gradient)| *sum += gradient);
                }
            }
        }
    }
    if chunks > 1 {
        trunk.running_mut().clone_from_slice(&running);
    }
    Ok((contrast, sum.unwrap_or_default()))
}

/// First halves of all chunks, then second halves.
pub(crate) fn joined(parts: &[Tensor]) -> Result<Tensor> {
    let half = parts.first().map_or(0, |first| first.dims()[0] / 2);
    if let [only] = parts {
        return Ok(only.clone());
    }
    let halves = |first: usize| parts.iter().map(move |part| part.narrow(0, first, half));
    let all = halves(0).chain(halves(half)).collect::<candle_core::Result<Vec<Tensor>>>();
    Ok(all.and_then(|all| Tensor::cat(&all, 0)).during("features of all chunks")?)
}

/// The rows of one chunk: its share of the first half, then of the second.
fn rows_of_chunk(all: &Tensor, chunk: usize, half: usize, chunks: usize) -> Result<Tensor> {
    if chunks == 1 {
        return Ok(all.clone());
    }
    let of_half = |first: usize| all.narrow(0, first + chunk * half, half);
    let rows = of_half(0).and_then(|first| Tensor::cat(&[first, of_half(half * chunks)?], 0));
    Ok(rows.and_then(|rows| rows.to_device(&Device::Cpu)).during("gradient of a chunk's features")?)
}
