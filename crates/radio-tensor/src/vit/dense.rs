//! The dense layers of the transformer on the convolution kernels: a 1×1 convolution is a product with every row.
//!
//! Offsets are not added here but where the product is read next, so that no pass over memory is theirs alone.
use rayon::prelude::*;

use super::ViT;
use super::parameters::{BlockPlaces, Dense, PATCHES};
use crate::conv2d::{Conv2d, ConvWeights};
use crate::element::Element;
use crate::kernel::vectorised;
use crate::nhwc::{Map, Nhwc};
use crate::resnet::Gradients;

/// Rows of one task of a sum.
const TASK_ROWS: usize = 64;
/// Dense layers of a block.
const OF_BLOCK: usize = 4;

/// A dense layer by its place among the parameters and among the prepared weights.
#[derive(Clone, Copy)]
pub(super) struct Layer {
    pub dense: Dense,
    prepared: usize,
}

/// The dense layers of a block.
#[derive(Clone, Copy)]
pub(super) struct BlockLayers {
    pub qkv: Layer,
    pub out: Layer,
    pub widening: Layer,
    pub narrowing: Layer,
}

/// The projection of the patches.
pub(super) const PATCH_LAYER: Layer = Layer { dense: PATCHES, prepared: 0 };

impl BlockLayers {
    pub fn of(block: usize, places: &BlockPlaces) -> Self {
        let layer = |dense, at: usize| Layer { dense, prepared: 1 + block * OF_BLOCK + at };
        Self {
            qkv: layer(places.qkv, 0),
            out: layer(places.out, 1),
            widening: layer(places.widening, 2),
            narrowing: layer(places.narrowing, 3),
        }
    }
}

impl ViT {
    fn layers(&self) -> impl Iterator<Item = Layer> {
        let of_block = |block| {
            let layers = BlockLayers::of(block, &BlockPlaces::of(block));
            [layers.qkv, layers.out, layers.widening, layers.narrowing]
        };
        std::iter::once(PATCH_LAYER).chain((0..self.config.blocks).flat_map(of_block))
    }

    fn conv(&self, layer: Layer) -> Conv2d {
        let shape = &self.parameters[layer.dense.weight].shape;
        let (out_channels, in_channels) = (shape[0], shape[1..].iter().product());
        Conv2d { in_channels, out_channels, kernel: 1, stride: 1, pad: 0 }
    }

    /// A layer's weight as the kernels want it, `[in, out]`: the patch projection is kept like that, the others as PyTorch has them.
    fn matrix(&self, layer: Layer) -> Vec<f32> {
        let p = &self.parameters[layer.dense.weight];
        match p.shape[..] {
            [out, input] => transposed(&p.values, out, input),
            _ => p.values.clone(),
        }
    }

    fn prepared<E: Element>(&self) -> &[ConvWeights] {
        self.weights.get_or_init(|| {
            self.layers().map(|layer| self.conv(layer).prepare::<E>(self.kernel, &self.matrix(layer))).collect()
        })
    }

    /// The offset of a layer.
    pub(super) fn offset(&self, layer: Layer) -> &[f32] {
        &self.parameters[layer.dense.offset].values
    }

    /// `x` times the weight, the offset still to be added.
    pub(super) fn product<E: Element>(&self, layer: Layer, x: &Map<E>) -> Map<E> {
        let conv = self.conv(layer);
        let mut y = self.workspace.take(x.n, x.h, x.w, conv.out_channels);
        conv.forward_on(x, &self.prepared::<E>()[layer.prepared], &mut y);
        y
    }

    /// Gradients of weight and offset, for `dy` behind the layer.
    pub(super) fn weight_backward<E: Element>(&self, layer: Layer, x: &Map<E>, dy: &Map<E>, gradients: &mut Gradients) {
        let conv = self.conv(layer);
        let mut d_weight = vec![0.0; conv.weights()];
        conv.backward_weight_on(self.kernel, x, dy, &mut d_weight);
        if self.parameters[layer.dense.weight].shape.len() == 2 {
            d_weight = transposed(&d_weight, conv.in_channels, conv.out_channels);
        }
        gradients[layer.dense.weight] = d_weight;
        gradients[layer.dense.offset] = column_sums(dy);
    }

    /// Gradient before the layer.
    pub(super) fn data_backward<E: Element>(&self, layer: Layer, dy: &Map<E>) -> Map<E> {
        let conv = self.conv(layer);
        let mut dx = self.workspace.take(dy.n, dy.h, dy.w, conv.in_channels);
        conv.backward_data_on(self.kernel, dy, &self.matrix(layer), &mut dx, false);
        dx
    }

    /// A copy in the precision of the products.
    pub(super) fn rounded<E: Element>(&self, x: &Nhwc) -> Map<E> {
        let mut copy = self.workspace.take(x.n, x.h, x.w, x.c);
        copy.copy_rounded(x);
        copy
    }

    /// `x + y + offset`: the way round a block.
    pub(super) fn residual<E: Element>(&self, x: &Nhwc, y: &Map<E>, offset: &[f32]) -> Nhwc {
        let mut sum: Nhwc = self.workspace.take(x.n, x.h, x.w, x.c);
        let task = TASK_ROWS * x.c;
        let tasks =
            sum.values_mut().par_chunks_mut(task).zip(x.values().par_chunks(task)).zip(y.values().par_chunks(task));
        tasks.for_each(|((sum, x), y)| residual_rows(sum, x, y, offset));
        sum
    }
}

vectorised! {
    fn residual_rows<E>(sum: &mut [f32], x: &[f32], y: &[E], offset: &[f32]) {
        let rows = sum.chunks_exact_mut(offset.len()).zip(x.chunks_exact(offset.len())).zip(y.chunks_exact(offset.len()));
        for ((sum, x), y) in rows {
            for (((sum, x), y), offset) in sum.iter_mut().zip(x).zip(y).zip(offset) {
                *sum = x + (y.widen() + offset);
            }
        }
    }
}

/// Sum of every column: parts of a fixed number of rows, then the parts in order.
pub(super) fn column_sums<E: Element>(map: &Map<E>) -> Vec<f32> {
    let columns = map.c;
    let parts: Vec<Vec<f32>> = map
        .values()
        .par_chunks(TASK_ROWS * columns)
        .map(|rows| {
            let mut part = vec![0.0; columns];
            add_rows(rows, &mut part);
            part
        })
        .collect();
    let mut sums = vec![0.0; columns];
    parts.iter().for_each(|part| add_rows(part, &mut sums));
    sums
}

vectorised! {
    fn add_rows<E>(rows: &[E], sums: &mut [f32]) {
        for row in rows.chunks_exact(sums.len()) {
            sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v.widen());
        }
    }
}

/// The transpose of a row-major matrix.
fn transposed(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    const BLOCK: usize = 16;
    let mut result = vec![0.0; values.len()];
    for first_row in (0..rows).step_by(BLOCK) {
        for first_col in (0..cols).step_by(BLOCK) {
            for row in first_row..rows.min(first_row + BLOCK) {
                for col in first_col..cols.min(first_col + BLOCK) {
                    result[col * rows + row] = values[row * cols + col];
                }
            }
        }
    }
    result
}
