//! Batch-norm statistics taken anew on other images, weights as they are.
use candle_core::Tensor;

use super::ResNet;
use crate::error::Result;

impl ResNet {
    /// Replaces the running statistics of every batch norm by their mean over these batches, each weighted by its images; no
    /// weight is changed. For a trunk that meets images of another kind than it was trained on, or has only its first weights.
    ///
    /// Each layer sees the maps that the layers before it make with the statistics of their batch (training mode), so batches
    /// should be large, and of one kind of image. Returns the number of images; without one, nothing changes. A training step
    /// under way is dropped.
    ///
    /// # Shapes
    /// Every batch `[n, 3, h, w]`.
    /// # Errors
    /// As [`ResNet::forward`], or the batches' own; the statistics are then those of the batches before.
    /// # Source
    /// PyTorch's batch norm with `momentum=None`, where batches of one size are averaged.
    pub fn recompute_running<E: From<crate::TensorError>>(
        &mut self,
        batches: impl IntoIterator<Item = std::result::Result<Tensor, E>>,
    ) -> std::result::Result<usize, E> {
        let mut images = 0;
        let mut outcome = Ok(());
        for batch in batches {
            outcome = batch.and_then(|batch| Ok(self.blend_batch(&batch, images)?)).map(|seen| images = seen);
            if outcome.is_err() {
                break;
            }
        }
        self.momentum = None;
        self.saved = None;
        outcome.map(|()| images)
    }

    /// Takes one batch into the mean over the `before` images before it; returns how many there are now.
    fn blend_batch(&mut self, batch: &Tensor, before: usize) -> Result<usize> {
        let seen = before + batch.dims().first().copied().unwrap_or(0);
        // The first batch has weight 1: whatever stood there before is gone.
        self.momentum = Some((seen - before) as f64 / seen.max(1) as f64);
        self.train(batch)?;
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use crate::TensorError;
    use crate::resnet::{Depth, ResNet, ResNetConfig};

    fn images(n: usize, seed: u64) -> Tensor {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let values: Vec<f32> = (0..n * 3 * 32 * 32).map(|_| rng.random_range(0.0..1.0)).collect();
        Tensor::from_vec(values, (n, 3, 32, 32), &Device::Cpu).unwrap()
    }

    fn trunk(depth: Depth) -> ResNet {
        ResNet::new(ResNetConfig { depth, width: 4 }, &mut ChaCha8Rng::seed_from_u64(1))
    }

    /// One batch: evaluation then normalises by that batch, up to the unbiased variance.
    #[test]
    fn one_batch_makes_evaluation_equal_to_training() {
        for depth in [Depth::ResNet18, Depth::PreActResNet18] {
            let mut trunk = trunk(depth);
            let batch = images(24, 2);
            let before = trunk.parameters().to_vec();
            trunk.running_mut().iter_mut().for_each(|running| running.mean.fill(7.0));
            assert_eq!(trunk.recompute_running::<TensorError>([Ok(batch.clone())]).unwrap(), 24);
            assert_eq!(trunk.parameters(), before);
            let evaluated: Vec<f32> = trunk.embed(&batch).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let trained: Vec<f32> = trunk.forward(&batch).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let size = trained.iter().map(|v| v.abs()).fold(0.0, f32::max);
            let apart = evaluated.iter().zip(&trained).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(size > 0.1 && apart < 0.1 * size, "{depth:?}: {apart} of {size}");
        }
    }

    #[test]
    fn batches_are_weighted_by_their_images() {
        let statistics = |sizes: &[usize]| {
            let mut trunk = trunk(Depth::ResNet18);
            let batches = sizes.iter().map(|&n| Ok::<_, TensorError>(images(n, n as u64)));
            trunk.recompute_running(batches).unwrap();
            trunk.running()[0].mean.clone()
        };
        let (one, two, both) = (statistics(&[6]), statistics(&[2]), statistics(&[6, 2]));
        for ((one, two), both) in one.iter().zip(&two).zip(&both) {
            assert!((0.75 * one + 0.25 * two - both).abs() < 1e-6, "{one} {two} {both}");
        }
        // Later training forwards move the statistics as ever.
        let mut trunk = trunk(Depth::ResNet18);
        trunk.recompute_running::<TensorError>([Ok(images(6, 6))]).unwrap();
        trunk.forward(&images(2, 2)).unwrap();
        for ((one, two), now) in one.iter().zip(&two).zip(&trunk.running()[0].mean) {
            assert!((0.9 * one + 0.1 * two - now).abs() < 1e-6);
        }
        assert_eq!(trunk.recompute_running::<TensorError>([]).unwrap(), 0);
        assert!(trunk.recompute_running::<TensorError>([Ok(images(0, 1))]).is_err());
    }
}
