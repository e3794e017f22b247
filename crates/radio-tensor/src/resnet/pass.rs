//! The trunk's passes, written once for both precisions.
use candle_core::{CpuStorage, DType, Device, Storage, Tensor};

use super::{ConvNorm, Gradients, ResNet};
use crate::batch_norm::{self, Affine, BatchStatistics, Shortcut};
use crate::conv2d::ConvWeights;
use crate::element::Element;
use crate::error::{DuringStep, Result, TensorError};
use crate::nhwc::Map;
use crate::pool::{MaxPool, global_average, global_average_backward};

const STEM_POOL: MaxPool = MaxPool { kernel: 3, stride: 2, pad: 1 };
/// Zeros round the images, for the first convolution.
const STEM_PAD: usize = 3;

/// A convolution's output before batch norm, with the statistics of its batch.
struct Normalised<E> {
    map: Map<E>,
    statistics: BatchStatistics,
    affine: Affine,
}

struct SavedBlock<E> {
    input: Map<E>,
    first: Normalised<E>,
    middle: Map<E>,
    second: Normalised<E>,
    downsample: Option<Normalised<E>>,
}

/// What a training forward leaves for its backward.
pub(super) struct Saved<E> {
    images: Map<E>,
    stem: Normalised<E>,
    winners: Vec<u8>,
    blocks: Vec<SavedBlock<E>>,
    output: Map<E>,
}

impl ResNet {
    pub(super) fn forward_in<E: Element>(&mut self, images: &Tensor) -> Result<(Tensor, Saved<E>)> {
        let images: Map<E> = self.load_images(images)?;
        let mut updates = Vec::with_capacity(self.running.len());
        let stem = self.convolve(&self.stem, &images, &mut updates);
        let mut winners = Vec::new();
        let mut x = self.pool(&stem.map, &stem.affine, &mut winners);
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let first = self.convolve(&block.first, &x, &mut updates);
            let mut middle = self.like(&first.map);
            batch_norm::apply_relu(&first.map, &first.affine, Shortcut::None, &mut middle);
            let second = self.convolve(&block.second, &middle, &mut updates);
            let downsample = block.downsample.as_ref().map(|layer| self.convolve(layer, &x, &mut updates));
            let mut y = self.like(&second.map);
            let shortcut = match &downsample {
                Some(own) => Shortcut::Normalised(&own.map, &own.affine),
                None => Shortcut::Identity(&x),
            };
            batch_norm::apply_relu(&second.map, &second.affine, shortcut, &mut y);
            blocks.push(SavedBlock { input: std::mem::replace(&mut x, y), first, middle, second, downsample });
        }
        for (place, statistics) in updates {
            let running = &mut self.running[place];
            batch_norm::update_running(&mut running.mean, &mut running.variance, &statistics);
        }
        let features = self.features_tensor(global_average(&x), x.n)?;
        Ok((features, Saved { images, stem, winners, blocks, output: x }))
    }

    pub(super) fn backward_in<E: Element>(
        &mut self,
        saved: Saved<E>,
        gradient: &Tensor,
        to_images: bool,
    ) -> Result<(Gradients, Option<Tensor>)> {
        let Saved { images, mut stem, winners, blocks, output } = saved;
        let gradient = flat_f32(gradient, &[output.n, output.c], "feature gradient")?;
        let mut gradients: Gradients = self.parameters.iter().map(|p| vec![0.0; p.values.len()]).collect();
        let mut dy = self.like(&output);
        global_average_backward(&gradient, &mut dy);
        let mut y = output;
        for (block, saved) in self.blocks.iter().zip(blocks).rev() {
            let SavedBlock { input, mut first, middle, mut second, downsample } = saved;
            self.norm_backward(&block.second, &mut second, &y, &mut dy, &mut gradients);
            self.workspace.give(y);
            let mut d_middle = self.like(&middle);
            self.conv_backward(&block.second, &middle, &second.map, Some((&mut d_middle, false)), &mut gradients);
            self.norm_backward(&block.first, &mut first, &middle, &mut d_middle, &mut gradients);
            // The input feeds both the first convolution and the shortcut: their gradients add.
            let dx = match (&block.downsample, downsample) {
                (Some(layer), Some(mut own)) => {
                    let mut dx = self.like(&input);
                    self.conv_backward(&block.first, &input, &first.map, Some((&mut dx, false)), &mut gradients);
                    let (gamma, dgamma, dbeta) = self.norm_parts(layer, &mut gradients);
                    batch_norm::backward(&mut own.map, &own.statistics, gamma, &dy, dgamma, dbeta);
                    self.conv_backward(layer, &input, &own.map, Some((&mut dx, true)), &mut gradients);
                    self.workspace.give(own.map);
                    self.workspace.give(dy);
                    dx
                }
                _ => {
                    let mut dx = dy;
                    self.conv_backward(&block.first, &input, &first.map, Some((&mut dx, true)), &mut gradients);
                    dx
                }
            };
            for map in [first.map, middle, second.map, d_middle] {
                self.workspace.give(map);
            }
            dy = dx;
            y = input;
        }
        self.workspace.give(y);
        let mut d_stem = self.like(&stem.map);
        let before = (&stem.map, &stem.affine, &stem.statistics.mean[..]);
        let sums = STEM_POOL.backward_to_norm(&dy, &winners, before, &mut d_stem);
        self.workspace.give(dy);
        let (gamma, dgamma, dbeta) = self.norm_parts(&self.stem, &mut gradients);
        batch_norm::backward_from_sums(&mut stem.map, &stem.statistics, gamma, &d_stem, &sums, dgamma, dbeta);
        self.workspace.give(d_stem);
        let mut d_images = to_images.then(|| self.like(&images));
        self.conv_backward(&self.stem, &images, &stem.map, d_images.as_mut().map(|dx| (dx, false)), &mut gradients);
        self.workspace.give(stem.map);
        self.workspace.give(images);
        let d_images = match d_images {
            Some(map) => {
                let (h, w) = (map.h - 2 * STEM_PAD, map.w - 2 * STEM_PAD);
                let values = map.to_nchw_without(STEM_PAD);
                Some(Tensor::from_vec(values, (map.n, map.c, h, w), &Device::Cpu).during("image gradient")?)
            }
            None => None,
        };
        Ok((gradients, d_images))
    }

    pub(super) fn embed_in<E: Element>(&self, images: &Tensor) -> Result<Tensor> {
        let images: Map<E> = self.load_images(images)?;
        let stem = self.convolved(&self.stem, &images);
        self.workspace.give(images);
        let mut x = self.pool(&stem, &self.running_affine(&self.stem), &mut Vec::new());
        self.workspace.give(stem);
        for block in &self.blocks {
            let middle = self.evaluate(&block.first, &x, Shortcut::None);
            let own = block.downsample.as_ref().map(|layer| (self.convolved(layer, &x), self.running_affine(layer)));
            let shortcut = match &own {
                Some((map, affine)) => Shortcut::Normalised(map, affine),
                None => Shortcut::Identity(&x),
            };
            let y = self.evaluate(&block.second, &middle, shortcut);
            for map in std::iter::once(middle).chain(own.map(|(map, _)| map)) {
                self.workspace.give(map);
            }
            self.workspace.give(std::mem::replace(&mut x, y));
        }
        let features = self.features_tensor(global_average(&x), x.n)?;
        self.workspace.give(x);
        Ok(features)
    }

    /// Gives the maps of a step back.
    pub(super) fn recycle<E: Element>(&self, saved: Saved<E>) {
        let Saved { images, stem, blocks, output, .. } = saved;
        for map in [images, stem.map, output] {
            self.workspace.give(map);
        }
        for block in blocks {
            for map in [block.input, block.first.map, block.middle, block.second.map]
                .into_iter()
                .chain(block.downsample.map(|d| d.map))
            {
                self.workspace.give(map);
            }
        }
    }

    fn features_tensor(&self, features: Vec<f32>, n: usize) -> Result<Tensor> {
        Tensor::from_vec(features, (n, self.config.features()), &Device::Cpu).during("features to candle")
    }

    /// The images as a map, with zeros all round.
    fn load_images<E: Element>(&self, images: &Tensor) -> Result<Map<E>> {
        if self.config.width == 0 {
            return Err(TensorError::Shape {
                what: "ResNet width".into(),
                expected: "1 or more".into(),
                found: vec![0],
            });
        }
        let dims = images.dims();
        let &[n, 3, h, w] = dims else {
            return Err(TensorError::Shape {
                what: "ResNet images".into(),
                expected: "[n, 3, h, w]".into(),
                found: dims.to_vec(),
            });
        };
        if n == 0 || h == 0 || w == 0 {
            return Err(TensorError::Shape {
                what: "ResNet images".into(),
                expected: "no empty axis".into(),
                found: dims.to_vec(),
            });
        }
        let mut map = self.workspace.take(n, h + 2 * STEM_PAD, w + 2 * STEM_PAD, 3);
        let (storage, layout) = images.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(values)), Some((from, to))) => {
                map.copy_from_nchw_padded(&values[from..to], STEM_PAD);
            }
            _ => map.copy_from_nchw_padded(&flat_f32(images, dims, "ResNet images")?, STEM_PAD),
        }
        Ok(map)
    }

    /// A map of the same sizes, to be overwritten.
    fn like<E: Element>(&self, map: &Map<E>) -> Map<E> {
        self.workspace.take(map.n, map.h, map.w, map.c)
    }

    /// Convolution in training mode, with the statistics of this batch.
    fn convolve<E: Element>(
        &self,
        layer: &ConvNorm,
        x: &Map<E>,
        updates: &mut Vec<(usize, BatchStatistics)>,
    ) -> Normalised<E> {
        let mut map = self.output(layer, x);
        let moments = layer.conv.forward_with_moments_on(x, self.weights::<E>(layer), &mut map);
        let statistics = moments.statistics();
        let affine =
            Affine::of_batch(&statistics, &self.parameters[layer.gamma].values, &self.parameters[layer.beta].values);
        updates.push((layer.layer, statistics.clone()));
        Normalised { map, statistics, affine }
    }

    /// Convolution alone.
    fn convolved<E: Element>(&self, layer: &ConvNorm, x: &Map<E>) -> Map<E> {
        let mut y = self.output(layer, x);
        layer.conv.forward_on(x, self.weights::<E>(layer), &mut y);
        y
    }

    /// Convolution, batch norm with the running statistics, shortcut and ReLU.
    fn evaluate<E: Element>(&self, layer: &ConvNorm, x: &Map<E>, shortcut: Shortcut<E>) -> Map<E> {
        let mut y = self.output(layer, x);
        layer.conv.forward_relu_on(x, self.weights::<E>(layer), &self.running_affine(layer), shortcut, &mut y);
        y
    }

    /// A map for the output of a convolution, to be overwritten.
    fn output<E: Element>(&self, layer: &ConvNorm, x: &Map<E>) -> Map<E> {
        let (h, w) = layer.conv.output_size(x.h, x.w);
        self.workspace.take(x.n, h, w, layer.conv.out_channels)
    }

    /// The layer's weights as the kernel reads them; those of all layers are prepared together.
    fn weights<E: Element>(&self, layer: &ConvNorm) -> &ConvWeights {
        if let Some(all) = self.weights.get() {
            return &all[layer.layer];
        }
        // Made outside the lock: packing runs on all threads, and one that waits for its share may take up another
        // `embed`, which must not meet the lock held below it. Two that start together both pack; one result stays.
        let blocks = self.blocks.iter().flat_map(|b| [Some(&b.first), Some(&b.second), b.downsample.as_ref()]);
        let all: Vec<ConvWeights> = std::iter::once(&self.stem)
            .chain(blocks.flatten())
            .map(|l| l.conv.prepare::<E>(self.kernel, &self.parameters[l.weight].values))
            .collect();
        &self.weights.get_or_init(|| all)[layer.layer]
    }

    fn running_affine(&self, layer: &ConvNorm) -> Affine {
        let running = &self.running[layer.layer];
        Affine::of_running(
            &running.mean,
            &running.variance,
            &self.parameters[layer.gamma].values,
            &self.parameters[layer.beta].values,
        )
    }

    /// Batch norm, ReLU and max pool in one pass.
    fn pool<E: Element>(&self, x: &Map<E>, line: &Affine, winners: &mut Vec<u8>) -> Map<E> {
        let (h, w) = STEM_POOL.output_size(x.h, x.w);
        let mut pooled = self.workspace.take(x.n, h, w, x.c);
        STEM_POOL.forward_of_relu(x, line, &mut pooled, winners);
        pooled
    }

    /// Backward of batch norm and ReLU (output `y`); the saved map turns into its own gradient, `dy` is masked.
    fn norm_backward<E: Element>(
        &self,
        layer: &ConvNorm,
        saved: &mut Normalised<E>,
        y: &Map<E>,
        dy: &mut Map<E>,
        gradients: &mut Gradients,
    ) {
        let (gamma, dgamma, dbeta) = self.norm_parts(layer, gradients);
        batch_norm::masked_backward(&mut saved.map, &saved.statistics, gamma, y, dy, dgamma, dbeta);
    }

    /// A batch norm's scale, and the gradients of its scale and offset.
    fn norm_parts<'a>(
        &'a self,
        layer: &ConvNorm,
        gradients: &'a mut Gradients,
    ) -> (&'a [f32], &'a mut [f32], &'a mut [f32]) {
        let (head, tail) = gradients.split_at_mut(layer.beta); // the offset follows the scale
        (&self.parameters[layer.gamma].values, &mut head[layer.gamma], &mut tail[0])
    }

    /// Convolution's backward: weights always, input where asked for (`true`: added to what is there).
    fn conv_backward<E: Element>(
        &self,
        layer: &ConvNorm,
        x: &Map<E>,
        dz: &Map<E>,
        dx: Option<(&mut Map<E>, bool)>,
        gradients: &mut Gradients,
    ) {
        layer.conv.backward_weight_on(self.kernel, x, dz, &mut gradients[layer.weight]);
        if let Some((dx, accumulate)) = dx {
            let weight = &self.parameters[layer.weight].values;
            layer.conv.backward_data_on(self.kernel, dz, weight, dx, accumulate);
        }
    }
}

/// A candle tensor's values, checked for shape.
fn flat_f32(tensor: &Tensor, shape: &[usize], what: &'static str) -> Result<Vec<f32>> {
    if tensor.dims() != shape {
        return Err(TensorError::Shape {
            what: what.into(),
            expected: format!("{shape:?}"),
            found: tensor.dims().to_vec(),
        });
    }
    tensor.to_dtype(DType::F32).and_then(|t| t.flatten_all()).and_then(|t| t.to_vec1()).during(what)
}
