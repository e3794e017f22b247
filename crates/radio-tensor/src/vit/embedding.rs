//! From images to tokens: patches, their projection, the class token and the positions; and back to their gradients.
use candle_core::{CpuStorage, DType, Storage, Tensor};
use rayon::prelude::*;

use super::ViT;
use super::dense::{PATCH_LAYER, column_sums};
use super::parameters::{CLASS, POSITIONS};
use super::positions::Positions;
use crate::element::Element;
use crate::error::{DuringStep, Result, TensorError};
use crate::nhwc::{Map, Nhwc};
use crate::resnet::Gradients;

impl ViT {
    /// The positions of a batch of images; checks its shape.
    pub(super) fn positions(&self, images: &Tensor) -> Result<(usize, Positions, (usize, usize))> {
        let (dims, patch) = (images.dims(), self.config.patch);
        let fits = |side: usize| side >= 1 && side.is_multiple_of(patch);
        match *dims {
            [n, 3, h, w] if n >= 1 && fits(h) && fits(w) => {
                let grid = (h / patch, w / patch);
                Ok((n, Positions::new(self.config.side(), grid, self.config.width), grid))
            }
            _ => Err(TensorError::Shape {
                what: "images of the vision transformer".into(),
                expected: format!("[n, 3, h, w], h and w multiples of {patch}, nothing empty"),
                found: dims.to_vec(),
            }),
        }
    }

    /// The patches as rows, each `[patch row, patch column, channel]` like the weights: `[n, 1, rows * cols, 3 patch²]`.
    pub(super) fn patches<E: Element>(&self, images: &Tensor, n: usize, grid: (usize, usize)) -> Result<Map<E>> {
        let patch = self.config.patch;
        let (rows, cols) = grid;
        let (h, w) = (rows * patch, cols * patch);
        let line = self.input_scaling.map_or([(1.0, 0.0); 3], |scaling| scaling.line());
        let mut patches: Map<E> = self.workspace.take(n, 1, rows * cols, 3 * patch * patch);
        let mut cut = |pixels: &[f32]| {
            let per_image = rows * cols * 3 * patch * patch;
            let per_image =
                patches.values_mut().par_chunks_exact_mut(per_image).zip(pixels.par_chunks_exact(3 * h * w));
            per_image.for_each(|(target, image)| {
                for (place, target) in target.chunks_exact_mut(3 * patch * patch).enumerate() {
                    let (top, left) = (place / cols * patch, place % cols * patch);
                    for (inner, pixel) in target.chunks_exact_mut(3).enumerate() {
                        let at = (top + inner / patch) * w + left + inner % patch;
                        for (channel, target) in pixel.iter_mut().enumerate() {
                            let (factor, offset) = line[channel];
                            *target = E::narrow(image[channel * h * w + at] * factor + offset);
                        }
                    }
                }
            });
        };
        let (storage, layout) = images.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(values)), Some((from, to))) => cut(&values[from..to]),
            _ => {
                drop(storage);
                let values = images.to_dtype(DType::F32).and_then(|i| i.flatten_all()).and_then(|i| i.to_vec1());
                cut(&values.during("images of the vision transformer")?);
            }
        }
        Ok(patches)
    }

    /// Tokens before the first block, `[n, 1, 1 + patches, d]`.
    pub(super) fn tokens<E: Element>(&self, projected: &Map<E>, positions: &Positions) -> Nhwc {
        let d = self.config.width;
        let (class, offset) = (&self.parameters[CLASS].values, self.offset(PATCH_LAYER));
        let positions = positions.of_images(&self.parameters[POSITIONS].values);
        let mut tokens: Nhwc = self.workspace.take(projected.n, 1, projected.w + 1, d);
        let images = tokens.values_mut().par_chunks_exact_mut((projected.w + 1) * d);
        images.zip(projected.values().par_chunks_exact(projected.w * d)).for_each(|(tokens, projected)| {
            let (first, rest) = tokens.split_at_mut(d);
            first.iter_mut().zip(class).zip(&positions).for_each(|((to, class), place)| *to = class + place);
            let rows = rest.chunks_exact_mut(d).zip(projected.chunks_exact(d)).zip(positions[d..].chunks_exact(d));
            for ((to, from), place) in rows {
                for (((to, from), place), offset) in to.iter_mut().zip(from).zip(place).zip(offset) {
                    *to = (from.widen() + offset) + place;
                }
            }
        });
        tokens
    }

    /// Gradients of everything before the first block, for that of its tokens.
    pub(super) fn tokens_backward<E: Element>(
        &self,
        patches: &Map<E>,
        positions: &Positions,
        d_tokens: &Nhwc,
        gradients: &mut Gradients,
    ) {
        let (d, tokens) = (self.config.width, d_tokens.w);
        let mut d_projected: Map<E> = self.workspace.take(d_tokens.n, 1, tokens - 1, d);
        let images = d_projected.values_mut().par_chunks_exact_mut((tokens - 1) * d);
        images.zip(d_tokens.values().par_chunks_exact(tokens * d)).for_each(|(to, from)| {
            to.iter_mut().zip(&from[d..]).for_each(|(to, from)| *to = E::narrow(*from));
        });
        self.weight_backward(PATCH_LAYER, patches, &d_projected, gradients);
        self.workspace.give(d_projected);
        // Over the images: a row of tokens × d columns each.
        let mut by_image: Nhwc = self.workspace.take(1, 1, d_tokens.n, tokens * d);
        by_image.values_mut().copy_from_slice(d_tokens.values());
        let sums = column_sums(&by_image);
        self.workspace.give(by_image);
        gradients[CLASS] = sums[..d].to_vec();
        positions.backward(sums, POSITIONS, gradients);
    }
}
