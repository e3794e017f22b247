//! One block: attention and two dense layers, each behind a layer norm and with a way round it.
use super::ViT;
use super::attention::{attention, attention_backward};
use super::dense::BlockLayers;
use super::gelu::{gelu, gelu_backward};
use super::layer_norm::{layer_norm, layer_norm_backward};
use super::parameters::{BlockPlaces, Norm};
use crate::element::Element;
use crate::nhwc::{Map, Nhwc, Workspace};
use crate::resnet::Gradients;

/// What a block keeps for its backward.
pub(super) struct SavedBlock<E> {
    input: Nhwc,
    /// Queries, keys and values, without their offset.
    qkv: Map<E>,
    /// What the attention gave.
    mixed: Map<E>,
    /// The sum behind the attention.
    middle: Nhwc,
    /// The hidden layer before offset and GELU.
    hidden: Map<E>,
}

impl<E: Element> SavedBlock<E> {
    /// Gives the maps back.
    pub fn give(self, workspace: &Workspace) {
        let Self { input, qkv, mixed, middle, hidden } = self;
        [input, middle].into_iter().for_each(|map| workspace.give(map));
        [qkv, mixed, hidden].into_iter().for_each(|map| workspace.give(map));
    }
}

impl ViT {
    /// The block's output, and what its backward needs.
    pub(super) fn block<E: Element>(&self, block: usize, input: Nhwc) -> (SavedBlock<E>, Nhwc) {
        let places = BlockPlaces::of(block);
        let layers = BlockLayers::of(block, &places);
        let normal: Map<E> = self.normalised(places.norm1, &input);
        let qkv = self.product(layers.qkv, &normal);
        self.workspace.give(normal);
        let mut mixed = self.workspace.take(input.n, 1, input.w, input.c);
        attention(&qkv, self.offset(layers.qkv), self.config.heads, &mut mixed);
        let out = self.product(layers.out, &mixed);
        let middle = self.residual(&input, &out, self.offset(layers.out));
        self.workspace.give(out);
        let normal: Map<E> = self.normalised(places.norm2, &middle);
        let hidden = self.product(layers.widening, &normal);
        self.workspace.give(normal);
        let active = self.activated(&hidden, self.offset(layers.widening));
        let out = self.product(layers.narrowing, &active);
        self.workspace.give(active);
        let output = self.residual(&middle, &out, self.offset(layers.narrowing));
        self.workspace.give(out);
        (SavedBlock { input, qkv, mixed, middle, hidden }, output)
    }

    /// Turns the gradient behind the block, `dx`, into that before it, and finds those of its parameters.
    pub(super) fn block_backward<E: Element>(
        &self,
        block: usize,
        saved: SavedBlock<E>,
        dx: &mut Nhwc,
        gradients: &mut Gradients,
    ) {
        let places = BlockPlaces::of(block);
        let layers = BlockLayers::of(block, &places);

        let dy: Map<E> = self.rounded(dx);
        let offset = self.offset(layers.widening);
        let active = self.activated(&saved.hidden, offset);
        self.weight_backward(layers.narrowing, &active, &dy, gradients);
        self.workspace.give(active);
        let mut d_hidden = self.data_backward(layers.narrowing, &dy);
        self.workspace.give(dy);
        gelu_backward(&saved.hidden, offset, &mut d_hidden);
        let normal = self.normalised(places.norm2, &saved.middle);
        self.weight_backward(layers.widening, &normal, &d_hidden, gradients);
        self.workspace.give(normal);
        let d_normal = self.data_backward(layers.widening, &d_hidden);
        self.workspace.give(d_hidden);
        self.normalised_backward(places.norm2, &saved.middle, d_normal, dx, gradients);

        let dy: Map<E> = self.rounded(dx);
        self.weight_backward(layers.out, &saved.mixed, &dy, gradients);
        let d_mixed = self.data_backward(layers.out, &dy);
        self.workspace.give(dy);
        let mut d_qkv = self.workspace.take(saved.qkv.n, 1, saved.qkv.w, saved.qkv.c);
        attention_backward(&saved.qkv, self.offset(layers.qkv), self.config.heads, &d_mixed, &mut d_qkv);
        self.workspace.give(d_mixed);
        let normal = self.normalised(places.norm1, &saved.input);
        self.weight_backward(layers.qkv, &normal, &d_qkv, gradients);
        self.workspace.give(normal);
        let d_normal = self.data_backward(layers.qkv, &d_qkv);
        self.workspace.give(d_qkv);
        self.normalised_backward(places.norm1, &saved.input, d_normal, dx, gradients);
        saved.give(&self.workspace);
    }

    pub(super) fn normalised<E: Element>(&self, norm: Norm, x: &Nhwc) -> Map<E> {
        let mut y = self.workspace.take(x.n, x.h, x.w, x.c);
        layer_norm(x, &self.parameters[norm.scale].values, &self.parameters[norm.offset].values, &mut y);
        y
    }

    pub(super) fn normalised_backward<E: Element>(
        &self,
        norm: Norm,
        x: &Nhwc,
        dy: Map<E>,
        dx: &mut Nhwc,
        gradients: &mut Gradients,
    ) {
        let [d_scale, d_offset] = layer_norm_backward(x, &self.parameters[norm.scale].values, &dy, dx);
        (gradients[norm.scale], gradients[norm.offset]) = (d_scale, d_offset);
        self.workspace.give(dy);
    }

    fn activated<E: Element>(&self, hidden: &Map<E>, offset: &[f32]) -> Map<E> {
        let mut active = self.workspace.take(hidden.n, hidden.h, hidden.w, hidden.c);
        gelu(hidden, offset, &mut active);
        active
    }
}
