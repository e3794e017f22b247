//! What the passes of both variants share: images in, the first layers, the end, and the single layers in both precisions.
use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use rayon::prelude::*;

use super::layers::{ConvNorm, Convolution, Layers, Norm};
use super::post_activation::SavedBlock;
use super::pre_activation::SavedUnits;
use super::{Gradients, ResNet};
use crate::batch_norm::{self, Affine, BatchStatistics, Shortcut};
use crate::conv2d::ConvWeights;
use crate::element::Element;
use crate::error::{DuringStep, Result, TensorError};
use crate::kernel::vectorised;
use crate::nhwc::{Map, Nhwc};
use crate::pool::{MaxPool, global_average, global_average_backward};

const STEM_POOL: MaxPool = MaxPool { kernel: 3, stride: 2, pad: 1 };
/// Zeros round the images, for the first convolution.
const STEM_PAD: usize = 3;

/// A map before batch norm, with the statistics of its batch.
pub(super) struct Normalised<E> {
    pub map: Map<E>,
    pub statistics: BatchStatistics,
    pub affine: Affine,
}

/// What a training forward leaves for its backward.
pub(super) struct Saved<E> {
    /// The images before their own batch norm (pre-activation only).
    input: Option<Normalised<f32>>,
    images: Map<E>,
    stem: Normalised<E>,
    winners: Vec<u8>,
    pub body: SavedBody<E>,
    pub output: Map<E>,
}

pub(super) enum SavedBody<E> {
    Post(Vec<SavedBlock<E>>),
    Pre(SavedUnits<E>),
}

/// Statistics of a batch by the place of their running counterpart.
pub(super) type Updates = Vec<(usize, BatchStatistics)>;

/// Gradients that reach the trunk from outside: of the last map, and of the maps the pyramid taps below it.
pub(super) struct Incoming<E> {
    pub output: Map<E>,
    /// Of the first three taps, in order; all or none.
    pub taps: Vec<Map<E>>,
}

impl ResNet {
    pub(super) fn train_in<E: Element>(&mut self, images: &Tensor) -> Result<Saved<E>> {
        let mut updates = Updates::with_capacity(self.running.len());
        let (images, input) = self.load_training_images(images, &mut updates)?;
        let stem = self.convolve(self.stem(), &images, &mut updates);
        let mut winners = Vec::new();
        let pooled = self.pool(&stem.map, &stem.affine, &mut winners);
        let (body, output) = match &self.layers {
            Layers::Post(layers) => {
                let (blocks, output) = self.train_blocks(layers, pooled, &mut updates);
                (SavedBody::Post(blocks), output)
            }
            Layers::Pre(layers) => {
                let (units, output) = self.train_units(layers, pooled, &mut updates);
                (SavedBody::Pre(units), output)
            }
        };
        let momentum = self.momentum.unwrap_or(self.config.depth.norm().momentum);
        for (place, statistics) in updates {
            let running = &mut self.running[place];
            batch_norm::update_running(&mut running.mean, &mut running.variance, &statistics, momentum);
        }
        Ok(Saved { input, images, stem, winners, body, output })
    }

    /// The features of a training forward.
    pub(super) fn features_of<E: Element>(&self, saved: &Saved<E>) -> Result<Tensor> {
        self.features_tensor(global_average(&saved.output), saved.output.n)
    }

    pub(super) fn backward_in<E: Element>(
        &mut self,
        saved: Saved<E>,
        gradient: &Tensor,
        to_images: bool,
    ) -> Result<(Gradients, Option<Tensor>)> {
        let gradient = flat_f32(gradient, &[saved.output.n, saved.output.c], "feature gradient")?;
        let mut output = self.like(&saved.output);
        global_average_backward(&gradient, &mut output);
        self.backward_from(saved, Incoming { output, taps: Vec::new() }, to_images)
    }

    pub(super) fn backward_from<E: Element>(
        &mut self,
        saved: Saved<E>,
        incoming: Incoming<E>,
        to_images: bool,
    ) -> Result<(Gradients, Option<Tensor>)> {
        let Saved { input, images, mut stem, winners, body, output } = saved;
        let mut gradients: Gradients = self.parameters.iter().map(|p| vec![0.0; p.values.len()]).collect();
        let dy = match (&self.layers, body) {
            (Layers::Post(layers), SavedBody::Post(blocks)) => {
                self.blocks_backward(layers, blocks, output, incoming, &mut gradients)
            }
            (Layers::Pre(layers), SavedBody::Pre(units)) => {
                self.units_backward(layers, units, output, incoming, &mut gradients)
            }
            _ => return Err(TensorError::NoSavedState("ResNet")),
        };
        let layer = self.stem();
        let mut d_stem = self.like(&stem.map);
        let before = (&stem.map, &stem.affine, &stem.statistics.mean[..]);
        let sums = STEM_POOL.backward_to_norm(&dy, &winners, before, &mut d_stem);
        self.workspace.give(dy);
        let (gamma, dgamma, dbeta) = self.norm_parts(&layer.norm, &mut gradients);
        batch_norm::backward_from_sums(&mut stem.map, &stem.statistics, gamma, &d_stem, &sums, dgamma, dbeta);
        self.workspace.give(d_stem);
        // The offset of the images' own batch norm needs their gradient too.
        let mut d_images = (to_images || input.is_some()).then(|| self.like(&images));
        let dx = d_images.as_mut().map(|dx| (dx, false));
        self.conv_backward(&layer.conv, &images, &stem.map, dx, &mut gradients);
        self.workspace.give(stem.map);
        self.workspace.give(images);
        let Some(map) = d_images else { return Ok((gradients, None)) };
        let (n, h, w, c) = (map.n, map.h - 2 * STEM_PAD, map.w - 2 * STEM_PAD, map.c);
        let mut values = map.to_nchw_without(STEM_PAD);
        self.workspace.give(map);
        if let (Some(mut input), Layers::Pre(layers)) = (input, &self.layers) {
            let mut d = Nhwc::zeros(n, h, w, c);
            d.copy_from_nchw(&values);
            let dbeta = &mut gradients[layers.input.beta];
            batch_norm::backward(&mut input.map, &input.statistics, &[1.0; 3], &d, &mut [0.0; 3], dbeta);
            values = input.map.to_nchw();
        }
        if !to_images {
            return Ok((gradients, None));
        }
        if let Some(scaling) = self.input_scaling {
            apply_line(&mut values, h * w, scaling.line().map(|(factor, _)| (factor, 0.0)));
        }
        Ok((gradients, Some(Tensor::from_vec(values, (n, c, h, w), &Device::Cpu).during("image gradient")?)))
    }

    pub(super) fn embed_in<E: Element>(&self, images: &Tensor) -> Result<Tensor> {
        let x = self.evaluate_map::<E>(images, |_| ())?;
        let features = self.features_tensor(global_average(&x), x.n)?;
        self.workspace.give(x);
        Ok(features)
    }

    /// Evaluation up to the last map; `tap` is shown the lower three maps of the pyramid as they come.
    pub(super) fn evaluate_map<E: Element>(&self, images: &Tensor, tap: impl FnMut(&Map<E>)) -> Result<Map<E>> {
        let images: Map<E> = self.load_images(images)?;
        let layer = self.stem();
        let stem = self.convolved(&layer.conv, &images);
        self.workspace.give(images);
        let x = self.pool(&stem, &self.running_affine(&layer.norm), &mut Vec::new());
        self.workspace.give(stem);
        Ok(match &self.layers {
            Layers::Post(layers) => self.evaluate_blocks(layers, x, tap),
            Layers::Pre(layers) => self.evaluate_units(layers, x, tap),
        })
    }

    /// Gives the maps of a step back.
    pub(super) fn recycle<E: Element>(&self, saved: Saved<E>) {
        let Saved { images, stem, body, output, .. } = saved;
        let body: Vec<Map<E>> = match body {
            SavedBody::Post(blocks) => blocks.into_iter().flat_map(SavedBlock::into_maps).collect(),
            SavedBody::Pre(units) => units.into_maps(),
        };
        for map in [images, stem.map, output].into_iter().chain(body) {
            self.workspace.give(map);
        }
    }

    fn stem(&self) -> &ConvNorm {
        match &self.layers {
            Layers::Post(layers) => &layers.stem,
            Layers::Pre(layers) => &layers.stem,
        }
    }

    fn features_tensor(&self, features: Vec<f32>, n: usize) -> Result<Tensor> {
        Tensor::from_vec(features, (n, self.config.features()), &Device::Cpu).during("features to candle")
    }

    /// Number, rows and columns of an image batch.
    fn image_sizes(&self, images: &Tensor) -> Result<(usize, usize, usize)> {
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
        Ok((n, h, w))
    }

    /// The images as a map, with zeros all round.
    fn load_images<E: Element>(&self, images: &Tensor) -> Result<Map<E>> {
        let (n, h, w) = self.image_sizes(images)?;
        let mut map = self.workspace.take(n, h + 2 * STEM_PAD, w + 2 * STEM_PAD, 3);
        if let Some(line) = self.input_line() {
            let mut values = flat_f32(images, images.dims(), "ResNet images")?;
            apply_line(&mut values, h * w, line);
            map.copy_from_nchw_padded(&values, STEM_PAD);
            return Ok(map);
        }
        let (storage, layout) = images.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(values)), Some((from, to))) => {
                map.copy_from_nchw_padded(&values[from..to], STEM_PAD);
            }
            _ => map.copy_from_nchw_padded(&flat_f32(images, images.dims(), "ResNet images")?, STEM_PAD),
        }
        Ok(map)
    }

    /// Scaling and batch norm of the images in evaluation, as one straight line per channel; nothing if there is neither.
    fn input_line(&self) -> Option<[(f32, f32); 3]> {
        let Layers::Pre(layers) = &self.layers else { return self.input_scaling.map(|scaling| scaling.line()) };
        let scaling = self.input_scaling.map_or([(1.0, 0.0); 3], |scaling| scaling.line());
        let running = &self.running[layers.input.running];
        let beta = &self.parameters[layers.input.beta].values;
        let norm =
            Affine::of_running(&running.mean, &running.variance, &[1.0; 3], beta, self.config.depth.norm().epsilon);
        Some(std::array::from_fn(|c| {
            let (factor, offset) = scaling[c];
            (factor * norm.scale[c], offset * norm.scale[c] + norm.shift[c])
        }))
    }

    /// As [`ResNet::load_images`] in training: the images' own batch norm takes the statistics of the batch.
    fn load_training_images<E: Element>(
        &self,
        images: &Tensor,
        updates: &mut Updates,
    ) -> Result<(Map<E>, Option<Normalised<f32>>)> {
        let Layers::Pre(layers) = &self.layers else { return Ok((self.load_images(images)?, None)) };
        let (n, h, w) = self.image_sizes(images)?;
        let mut values = flat_f32(images, images.dims(), "ResNet images")?;
        if let Some(scaling) = self.input_scaling {
            apply_line(&mut values, h * w, scaling.line());
        }
        let mut raw = Nhwc::zeros(n, h, w, 3);
        raw.copy_from_nchw(&values);
        let statistics = self.statistics(layers.input.running, || batch_norm::moments(&raw), updates);
        let affine = Affine::of_batch(&statistics, &[1.0; 3], &self.parameters[layers.input.beta].values);
        apply_line(&mut values, h * w, std::array::from_fn(|c| (affine.scale[c], affine.shift[c])));
        let mut map = self.workspace.take(n, h + 2 * STEM_PAD, w + 2 * STEM_PAD, 3);
        map.copy_from_nchw_padded(&values, STEM_PAD);
        Ok((map, Some(Normalised { map: raw, statistics, affine })))
    }

    /// A map of the same sizes, to be overwritten.
    pub(super) fn like<E: Element>(&self, map: &Map<E>) -> Map<E> {
        self.workspace.take(map.n, map.h, map.w, map.c)
    }

    /// Convolution in training mode, with the statistics of this batch.
    pub(super) fn convolve<E: Element>(&self, layer: &ConvNorm, x: &Map<E>, updates: &mut Updates) -> Normalised<E> {
        let mut map = self.output(&layer.conv, x);
        let moments = layer.conv.shape.forward_with_moments_on(x, self.weights::<E>(&layer.conv), &mut map);
        self.with_statistics(&layer.norm, map, &moments, updates)
    }

    /// A map with its statistics and the batch norm made of them.
    pub(super) fn with_statistics<E: Element>(
        &self,
        norm: &Norm,
        map: Map<E>,
        moments: &batch_norm::Moments,
        updates: &mut Updates,
    ) -> Normalised<E> {
        let statistics = self.statistics(norm.running, || moments.clone(), updates);
        let affine =
            Affine::of_batch(&statistics, &self.parameters[norm.gamma].values, &self.parameters[norm.beta].values);
        Normalised { map, statistics, affine }
    }

    /// What a batch norm in training normalises with: the batch's statistics, which also move the running ones at `place`, or
    /// the running ones ([`ResNet::set_stored_statistics`]), unless those are being taken anew.
    fn statistics(
        &self,
        place: usize,
        moments: impl FnOnce() -> batch_norm::Moments,
        updates: &mut Updates,
    ) -> BatchStatistics {
        let epsilon = self.config.depth.norm().epsilon;
        if self.stored_statistics && self.momentum.is_none() {
            let running = &self.running[place];
            return BatchStatistics::of_running(&running.mean, &running.variance, epsilon);
        }
        let statistics = moments().statistics_with(epsilon);
        updates.push((place, statistics.clone()));
        statistics
    }

    /// Convolution alone.
    pub(super) fn convolved<E: Element>(&self, layer: &Convolution, x: &Map<E>) -> Map<E> {
        let mut y = self.output(layer, x);
        layer.shape.forward_on(x, self.weights::<E>(layer), &mut y);
        y
    }

    /// Convolution, batch norm with the running statistics, shortcut and ReLU.
    pub(super) fn evaluate<E: Element>(&self, layer: &ConvNorm, x: &Map<E>, shortcut: Shortcut<E>) -> Map<E> {
        let mut y = self.output(&layer.conv, x);
        let line = self.running_affine(&layer.norm);
        layer.conv.shape.forward_relu_on(x, self.weights::<E>(&layer.conv), &line, shortcut, &mut y);
        y
    }

    /// A map for the output of a convolution, to be overwritten.
    fn output<E: Element>(&self, layer: &Convolution, x: &Map<E>) -> Map<E> {
        let (h, w) = layer.shape.output_size(x.h, x.w);
        self.workspace.take(x.n, h, w, layer.shape.out_channels)
    }

    /// The layer's weights as the kernel reads them; those of all layers are prepared together.
    fn weights<E: Element>(&self, layer: &Convolution) -> &ConvWeights {
        if let Some(all) = self.weights.get() {
            return &all[layer.place];
        }
        // Made outside the lock: packing runs on all threads, and one that waits for its share may take up another
        // `embed`, which must not meet the lock held below it. Two that start together both pack; one result stays.
        let all: Vec<ConvWeights> = self
            .convolutions
            .iter()
            .map(|l| l.shape.prepare::<E>(self.kernel, &self.parameters[l.weight].values))
            .collect();
        &self.weights.get_or_init(|| all)[layer.place]
    }

    pub(super) fn running_affine(&self, norm: &Norm) -> Affine {
        let running = &self.running[norm.running];
        Affine::of_running(
            &running.mean,
            &running.variance,
            &self.parameters[norm.gamma].values,
            &self.parameters[norm.beta].values,
            self.config.depth.norm().epsilon,
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
    pub(super) fn norm_backward<E: Element>(
        &self,
        norm: &Norm,
        saved: &mut Normalised<E>,
        y: &Map<E>,
        dy: &mut Map<E>,
        gradients: &mut Gradients,
    ) {
        let (gamma, dgamma, dbeta) = self.norm_parts(norm, gradients);
        batch_norm::masked_backward(&mut saved.map, &saved.statistics, gamma, y, dy, dgamma, dbeta);
    }

    /// A batch norm's scale, and the gradients of its scale and offset.
    pub(super) fn norm_parts<'a>(
        &'a self,
        norm: &Norm,
        gradients: &'a mut Gradients,
    ) -> (&'a [f32], &'a mut [f32], &'a mut [f32]) {
        let (head, tail) = gradients.split_at_mut(norm.beta); // the offset follows the scale
        (&self.parameters[norm.gamma].values, &mut head[norm.gamma], &mut tail[0])
    }

    /// Convolution's backward: weights always, input where asked for (`true`: added to what is there).
    pub(super) fn conv_backward<E: Element>(
        &self,
        layer: &Convolution,
        x: &Map<E>,
        dz: &Map<E>,
        dx: Option<(&mut Map<E>, bool)>,
        gradients: &mut Gradients,
    ) {
        layer.shape.backward_weight_on(self.kernel, x, dz, &mut gradients[layer.weight]);
        if let Some((dx, accumulate)) = dx {
            let weight = &self.parameters[layer.weight].values;
            layer.shape.backward_data_on(self.kernel, dz, weight, dx, accumulate);
        }
    }
}

/// `value * factor + offset` of each of three channels, in `[n, 3, plane]` order.
fn apply_line(values: &mut [f32], plane: usize, line: [(f32, f32); 3]) {
    for (channel, values) in values.chunks_exact_mut(plane).enumerate() {
        let (factor, offset) = line[channel % 3];
        values.iter_mut().for_each(|v| *v = *v * factor + offset);
    }
}

/// A candle tensor's values, checked for shape.
pub(super) fn flat_f32(tensor: &Tensor, shape: &[usize], what: &'static str) -> Result<Vec<f32>> {
    if tensor.dims() != shape {
        return Err(TensorError::Shape {
            what: what.into(),
            expected: format!("{shape:?}"),
            found: tensor.dims().to_vec(),
        });
    }
    tensor.to_dtype(DType::F32).and_then(|t| t.flatten_all()).and_then(|t| t.to_vec1()).during(what)
}

/// `y += x`, of maps of the same sizes.
pub(super) fn add<E: Element>(x: &Map<E>, y: &mut Map<E>) {
    const BLOCK: usize = 1 << 14;
    y.values_mut().par_chunks_mut(BLOCK).zip(x.values().par_chunks(BLOCK)).for_each(|(y, x)| add_run(y, x));
}

vectorised! {
    fn add_run<E>(y: &mut [E], x: &[E]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = E::narrow(y.widen() + x.widen());
        }
    }
}
