//! Four feature maps of falling resolution, for detectors (a feature pyramid network), and their backward.
use candle_core::{Device, Tensor};

use super::pass::{Incoming, Saved, SavedBody, flat_f32};
use super::{AnySaved, Gradients, Precision, ResNet};
use crate::element::{Bf16, Element};
use crate::error::{DuringStep, Result, TensorError};
use crate::nhwc::Map;

/// Feature maps at 1/4, 1/8, 1/16 and 1/32 of the image: C2, C3, C4, C5, each `[n, channels, h, w]`.
///
/// Channels are [`super::ResNetConfig::stage_channels`] of stage 0 to 3. torchvision's networks give the outputs of `layer1`
/// to `layer4`; the pre-activation network gives `stage2_unit1_relu1`, `stage3_unit1_relu1`, `stage4_unit1_relu1` and
/// `relu1`, as Mask R-CNN takes them from it.
pub type Pyramid = [Tensor; 4];

impl ResNet {
    /// The pyramid in evaluation mode.
    ///
    /// # Shapes
    /// `images`: `[n, 3, h, w]`.
    /// # Errors
    /// As [`ResNet::forward`].
    pub fn pyramid(&self, images: &Tensor) -> Result<Pyramid> {
        match self.precision {
            Precision::F32 => self.pyramid_in::<f32>(images),
            Precision::Bf16 => self.pyramid_in::<Bf16>(images),
        }
    }

    fn pyramid_in<E: Element>(&self, images: &Tensor) -> Result<Pyramid> {
        let mut taps = Vec::with_capacity(4);
        let last = self.evaluate_map::<E>(images, |map| taps.push(tensor(map)))?;
        taps.push(tensor(&last));
        self.workspace.give(last);
        four(taps.into_iter().collect::<Result<Vec<Tensor>>>()?)
    }

    /// The pyramid in training mode; state is kept for [`ResNet::backward_pyramid`].
    ///
    /// # Errors
    /// As [`ResNet::forward`].
    pub fn forward_pyramid(&mut self, images: &Tensor) -> Result<Pyramid> {
        self.train(images)?;
        match &self.saved {
            Some(AnySaved::F32(saved)) => self.pyramid_of(saved),
            Some(AnySaved::Bf16(saved)) => self.pyramid_of(saved),
            None => Err(TensorError::NoSavedState("ResNet")),
        }
    }

    fn pyramid_of<E: Element>(&self, saved: &Saved<E>) -> Result<Pyramid> {
        four(self.taps(saved).into_iter().map(tensor).collect::<Result<_>>()?)
    }

    /// The maps of the pyramid, kept by a training pass.
    fn taps<'a, E>(&self, saved: &'a Saved<E>) -> Vec<&'a Map<E>> {
        let lower: Vec<&Map<E>> = match (&saved.body, &self.layers) {
            (SavedBody::Post(saved), super::Layers::Post(layers)) => {
                let blocks = layers.blocks.iter().zip(saved);
                blocks.filter(|(block, _)| block.starts_stage).map(|(_, saved)| &saved.input).collect()
            }
            (SavedBody::Pre(saved), super::Layers::Pre(layers)) => {
                let units = layers.units.iter().zip(&saved.units);
                units.filter(|(unit, _)| unit.starts_stage).map(|(_, saved)| &saved.first).collect()
            }
            _ => Vec::new(),
        };
        lower.into_iter().chain([&saved.output]).collect()
    }

    /// Backward of the last [`ResNet::forward_pyramid`].
    ///
    /// # Shapes
    /// `gradient`: of the loss with respect to each map, in its shape.
    /// # Errors
    /// Without a training forward before it, or on another shape.
    pub fn backward_pyramid(&mut self, gradient: &Pyramid) -> Result<Gradients> {
        match self.saved.take().ok_or(TensorError::NoSavedState("ResNet"))? {
            AnySaved::F32(saved) => self.backward_pyramid_in(saved, gradient),
            AnySaved::Bf16(saved) => self.backward_pyramid_in(saved, gradient),
        }
    }

    fn backward_pyramid_in<E: Element>(&mut self, saved: Saved<E>, gradient: &Pyramid) -> Result<Gradients> {
        let mut taps = Vec::with_capacity(4);
        for (map, gradient) in self.taps(&saved).into_iter().zip(gradient) {
            let mut d = self.like(map);
            d.copy_from_nchw(&flat_f32(gradient, &[map.n, map.c, map.h, map.w], "pyramid gradient")?);
            taps.push(d);
        }
        let output = taps.pop().ok_or(TensorError::NoSavedState("ResNet"))?;
        Ok(self.backward_from(saved, Incoming { output, taps }, false)?.0)
    }
}

fn tensor<E: Element>(map: &Map<E>) -> Result<Tensor> {
    Tensor::from_vec(map.to_nchw(), (map.n, map.c, map.h, map.w), &Device::Cpu).during("pyramid to candle")
}

fn four(maps: Vec<Tensor>) -> Result<Pyramid> {
    maps.try_into().map_err(|_| TensorError::NoSavedState("ResNet"))
}
