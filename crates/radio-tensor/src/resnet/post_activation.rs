//! The residual blocks of torchvision's networks: batch norm behind every convolution, ReLU behind the sum.
use super::layers::{Block, PostActivation};
use super::pass::{Incoming, Normalised, Updates, add};
use super::{Gradients, ResNet};
use crate::batch_norm::{self, Shortcut};
use crate::element::Element;
use crate::nhwc::Map;

/// What one block leaves for its backward.
pub(super) struct SavedBlock<E> {
    pub input: Map<E>,
    /// All convolutions but the last: before batch norm, and behind the ReLU.
    inner: Vec<(Normalised<E>, Map<E>)>,
    last: Normalised<E>,
    downsample: Option<Normalised<E>>,
}

impl<E> SavedBlock<E> {
    pub fn into_maps(self) -> Vec<Map<E>> {
        let inner = self.inner.into_iter().flat_map(|(before, behind)| [before.map, behind]);
        inner.chain([self.input, self.last.map]).chain(self.downsample.map(|d| d.map)).collect()
    }
}

impl ResNet {
    /// Training pass from the pooled map to the last.
    pub(super) fn train_blocks<E: Element>(
        &self,
        layers: &PostActivation,
        mut x: Map<E>,
        updates: &mut Updates,
    ) -> (Vec<SavedBlock<E>>, Map<E>) {
        let mut blocks = Vec::with_capacity(layers.blocks.len());
        for block in &layers.blocks {
            let Some((last, before)) = block.layers.split_last() else { continue };
            let mut inner: Vec<(Normalised<E>, Map<E>)> = Vec::with_capacity(before.len());
            for layer in before {
                let convolved = self.convolve(layer, inner.last().map_or(&x, |(_, behind)| behind), updates);
                let mut behind = self.like(&convolved.map);
                batch_norm::apply_relu(&convolved.map, &convolved.affine, Shortcut::None, &mut behind);
                inner.push((convolved, behind));
            }
            let last = self.convolve(last, inner.last().map_or(&x, |(_, behind)| behind), updates);
            let downsample = block.downsample.as_ref().map(|layer| self.convolve(layer, &x, updates));
            let mut y = self.like(&last.map);
            let shortcut = match &downsample {
                Some(own) => Shortcut::Normalised(&own.map, &own.affine),
                None => Shortcut::Identity(&x),
            };
            batch_norm::apply_relu(&last.map, &last.affine, shortcut, &mut y);
            blocks.push(SavedBlock { input: std::mem::replace(&mut x, y), inner, last, downsample });
        }
        (blocks, x)
    }

    /// From the gradient of the last map to that of the pooled one.
    pub(super) fn blocks_backward<E: Element>(
        &self,
        layers: &PostActivation,
        saved: Vec<SavedBlock<E>>,
        output: Map<E>,
        incoming: Incoming<E>,
        gradients: &mut Gradients,
    ) -> Map<E> {
        let Incoming { output: mut dy, mut taps } = incoming;
        let mut y = output;
        for (block, saved) in layers.blocks.iter().zip(saved).rev() {
            let (input, dx) = self.block_backward(block, saved, y, dy, gradients);
            (y, dy) = (input, dx);
            if let Some(tap) = if block.starts_stage { taps.pop() } else { None } {
                add(&tap, &mut dy);
                self.workspace.give(tap);
            }
        }
        self.workspace.give(y);
        dy
    }

    /// From the gradient `dy` of a block's output `y` to its input and that one's gradient.
    fn block_backward<E: Element>(
        &self,
        block: &Block,
        saved: SavedBlock<E>,
        y: Map<E>,
        mut dy: Map<E>,
        gradients: &mut Gradients,
    ) -> (Map<E>, Map<E>) {
        let SavedBlock { input, mut inner, mut last, downsample } = saved;
        let Some((layer, before)) = block.layers.split_last() else { return (input, dy) };
        self.norm_backward(&layer.norm, &mut last, &y, &mut dy, gradients);
        self.workspace.give(y);
        let (mut conv, mut dz) = (layer.conv, last.map);
        for layer in before.iter().rev() {
            let Some((mut convolved, behind)) = inner.pop() else { break };
            let mut d_behind = self.like(&behind);
            self.conv_backward(&conv, &behind, &dz, Some((&mut d_behind, false)), gradients);
            self.workspace.give(dz);
            self.norm_backward(&layer.norm, &mut convolved, &behind, &mut d_behind, gradients);
            self.workspace.give(behind);
            self.workspace.give(d_behind);
            (conv, dz) = (layer.conv, convolved.map);
        }
        // The input feeds both the first convolution and the shortcut: their gradients add.
        let dx = match (&block.downsample, downsample) {
            (Some(layer), Some(mut own)) => {
                let mut dx = self.like(&input);
                self.conv_backward(&conv, &input, &dz, Some((&mut dx, false)), gradients);
                let (gamma, dgamma, dbeta) = self.norm_parts(&layer.norm, gradients);
                batch_norm::backward(&mut own.map, &own.statistics, gamma, &dy, dgamma, dbeta);
                self.conv_backward(&layer.conv, &input, &own.map, Some((&mut dx, true)), gradients);
                self.workspace.give(own.map);
                self.workspace.give(dy);
                dx
            }
            _ => {
                let mut dx = dy;
                self.conv_backward(&conv, &input, &dz, Some((&mut dx, true)), gradients);
                dx
            }
        };
        self.workspace.give(dz);
        (input, dx)
    }

    /// Evaluation from the pooled map to the last; `tap` is shown the input of stages 2 to 4.
    pub(super) fn evaluate_blocks<E: Element>(
        &self,
        layers: &PostActivation,
        mut x: Map<E>,
        mut tap: impl FnMut(&Map<E>),
    ) -> Map<E> {
        for block in &layers.blocks {
            if block.starts_stage {
                tap(&x);
            }
            let Some((last, before)) = block.layers.split_last() else { continue };
            let mut middle: Option<Map<E>> = None;
            for layer in before {
                let behind = self.evaluate(layer, middle.as_ref().unwrap_or(&x), Shortcut::None);
                if let Some(used) = middle.replace(behind) {
                    self.workspace.give(used);
                }
            }
            let own = block
                .downsample
                .as_ref()
                .map(|layer| (self.convolved(&layer.conv, &x), self.running_affine(&layer.norm)));
            let shortcut = match &own {
                Some((map, affine)) => Shortcut::Normalised(map, affine),
                None => Shortcut::Identity(&x),
            };
            let y = self.evaluate(last, middle.as_ref().unwrap_or(&x), shortcut);
            for map in middle.into_iter().chain(own.map(|(map, _)| map)) {
                self.workspace.give(map);
            }
            self.workspace.give(std::mem::replace(&mut x, y));
        }
        x
    }
}
