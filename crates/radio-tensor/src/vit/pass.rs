//! The passes through the whole transformer.
use candle_core::{DType, Device, Tensor};

use super::ViT;
use super::block::SavedBlock;
use super::dense::PATCH_LAYER;
use super::parameters::last_norm;
use super::positions::Positions;
use crate::element::Element;
use crate::error::{DuringStep, Result, TensorError};
use crate::nhwc::{Map, Nhwc, Workspace};
use crate::resnet::Gradients;

/// What a training forward leaves for its backward.
pub(super) struct Saved<E> {
    patches: Map<E>,
    positions: Positions,
    blocks: Vec<SavedBlock<E>>,
    /// Class tokens behind the last block, `[n, 1, 1, d]`.
    class: Nhwc,
    tokens: usize,
}

impl<E: Element> Saved<E> {
    /// Gives the maps back.
    pub fn give(self, workspace: &Workspace) {
        workspace.give(self.patches);
        self.blocks.into_iter().for_each(|block| block.give(workspace));
        workspace.give(self.class);
    }
}

impl ViT {
    pub(super) fn train_in<E: Element>(&self, images: &Tensor) -> Result<(Saved<E>, Tensor)> {
        let mut blocks = Vec::with_capacity(self.config.blocks);
        let (patches, positions, last) = self.through(images, |block| blocks.push(block))?;
        let (class, tokens) = (self.class_tokens(&last), last.w);
        self.workspace.give(last);
        let features = self.features_tensor(&class)?;
        Ok((Saved { patches, positions, blocks, class, tokens }, features))
    }

    pub(super) fn embed_in<E: Element>(&self, images: &Tensor) -> Result<Tensor> {
        let give = |block: SavedBlock<E>| block.give(&self.workspace);
        let (patches, _, last) = self.through(images, give)?;
        self.workspace.give(patches);
        let class = self.class_tokens(&last);
        self.workspace.give(last);
        let features = self.features_tensor(&class);
        self.workspace.give(class);
        features
    }

    /// Every block in order; `keep` gets what each leaves.
    fn through<E: Element>(
        &self,
        images: &Tensor,
        mut keep: impl FnMut(SavedBlock<E>),
    ) -> Result<(Map<E>, Positions, Nhwc)> {
        let (n, positions, grid) = self.positions(images)?;
        let patches = self.patches::<E>(images, n, grid)?;
        let projected = self.product(PATCH_LAYER, &patches);
        let mut x = self.tokens(&projected, &positions);
        self.workspace.give(projected);
        for block in 0..self.config.blocks {
            let (saved, output) = self.block(block, x);
            keep(saved);
            x = output;
        }
        Ok((patches, positions, x))
    }

    fn class_tokens(&self, last: &Nhwc) -> Nhwc {
        let d = last.c;
        let mut class: Nhwc = self.workspace.take(last.n, 1, 1, d);
        let images = class.values_mut().chunks_exact_mut(d).zip(last.values().chunks_exact(last.w * d));
        images.for_each(|(class, image)| class.copy_from_slice(&image[..d]));
        class
    }

    fn features_tensor(&self, class: &Nhwc) -> Result<Tensor> {
        let features: Nhwc = self.normalised(last_norm(&self.config), class);
        let values = features.values().to_vec();
        self.workspace.give(features);
        Tensor::from_vec(values, (class.n, class.c), &Device::Cpu).during("features to candle")
    }

    pub(super) fn backward_in<E: Element>(&self, saved: Saved<E>, gradient: &Tensor) -> Result<Gradients> {
        let Saved { patches, positions, blocks, class, tokens } = saved;
        let (n, d) = (class.n, class.c);
        if gradient.dims() != [n, d] {
            return Err(TensorError::Shape {
                what: "feature gradient".into(),
                expected: format!("{:?}", [n, d]),
                found: gradient.dims().to_vec(),
            });
        }
        let values = gradient.to_dtype(DType::F32).and_then(|g| g.flatten_all()).and_then(|g| g.to_vec1::<f32>());
        let mut d_features: Nhwc = self.workspace.take(n, 1, 1, d);
        d_features.values_mut().copy_from_slice(&values.during("feature gradient")?);
        let mut gradients: Gradients = vec![Vec::new(); self.parameters.len()];
        let mut d_class: Nhwc = self.workspace.take(n, 1, 1, d);
        d_class.values_mut().fill(0.0);
        self.normalised_backward(last_norm(&self.config), &class, d_features, &mut d_class, &mut gradients);
        self.workspace.give(class);

        let mut dx: Nhwc = self.workspace.take(n, 1, tokens, d);
        dx.values_mut().fill(0.0);
        let images = dx.values_mut().chunks_exact_mut(tokens * d).zip(d_class.values().chunks_exact(d));
        images.for_each(|(image, class)| image[..d].copy_from_slice(class));
        self.workspace.give(d_class);
        for (block, saved) in blocks.into_iter().enumerate().rev() {
            self.block_backward(block, saved, &mut dx, &mut gradients);
        }
        self.tokens_backward(&patches, &positions, &dx, &mut gradients);
        self.workspace.give(patches);
        self.workspace.give(dx);
        Ok(gradients)
    }
}
