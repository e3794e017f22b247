//! Attention of the tokens of each image to each other, head by head; the shares are not kept but made again for the backward.
use rayon::prelude::*;

use super::gelu::exp_not_above_zero;
use crate::element::Element;
use crate::kernel::vectorised;
use crate::matmul::{Strided, matmul};
use crate::nhwc::Map;

/// Query, key and value of one head for all tokens of an image, in f32, and the shares of attention.
struct Head {
    tokens: usize,
    width: usize,
    /// `[tokens, width]` each; the query is divided by the root of the width.
    parts: [Vec<f32>; 3],
    /// `[tokens, tokens]`, each row adds up to 1.
    shares: Vec<f32>,
}

impl Head {
    fn new(tokens: usize, width: usize) -> Self {
        Self {
            tokens,
            width,
            parts: std::array::from_fn(|_| vec![0.0; tokens * width]),
            shares: vec![0.0; tokens * tokens],
        }
    }

    fn scale(&self) -> f32 {
        (self.width as f32).sqrt().recip()
    }

    /// Reads one head of an image's `[tokens, 3 * heads * width]` and finds the shares.
    fn load<E: Element>(&mut self, qkv: &[E], offset: &[f32], head: usize) {
        let (width, scale) = (self.width, self.scale());
        for (part, values) in self.parts.iter_mut().enumerate() {
            let first = part * offset.len() / 3 + head * width;
            let factor = if part == 0 { scale } else { 1.0 };
            let offset_here = &offset[first..][..width];
            for (target, row) in values.chunks_exact_mut(width).zip(qkv.chunks_exact(offset.len())) {
                for ((target, v), offset) in target.iter_mut().zip(&row[first..][..width]).zip(offset_here) {
                    *target = (v.widen() + offset) * factor;
                }
            }
        }
        let (t, [q, k, _]) = (self.tokens, &self.parts);
        matmul(t, t, width, Strided::rows(q, width), Strided::rows(k, width).transposed(), &mut self.shares, false);
        softmax_rows(&mut self.shares, t);
    }
}

/// What every token takes from the values of all, heads side by side: `[n, 1, tokens, d]` from `qkv`, `[n, 1, tokens, 3 d]` without its offset.
pub(super) fn attention<E: Element>(qkv: &Map<E>, offset: &[f32], heads: usize, mixed: &mut Map<E>) {
    let (tokens, d) = (mixed.w, mixed.c);
    let width = d / heads;
    let images = mixed.values_mut().par_chunks_mut(tokens * d).zip(qkv.values().par_chunks(tokens * 3 * d));
    images.for_each(|(mixed, qkv)| {
        let mut state = Head::new(tokens, width);
        let mut taken = vec![0.0; tokens * width];
        for head in 0..heads {
            state.load(qkv, offset, head);
            let (shares, v) = (Strided::rows(&state.shares, tokens), Strided::rows(&state.parts[2], width));
            matmul(tokens, width, tokens, shares, v, &mut taken, false);
            store(&taken, mixed, d, head * width, width);
        }
    });
}

/// Gradient with respect to `qkv`, for `d_mixed` behind [`attention`].
pub(super) fn attention_backward<E: Element>(
    qkv: &Map<E>,
    offset: &[f32],
    heads: usize,
    d_mixed: &Map<E>,
    d_qkv: &mut Map<E>,
) {
    let (tokens, d) = (d_mixed.w, d_mixed.c);
    let width = d / heads;
    let images = d_qkv.values_mut().par_chunks_mut(tokens * 3 * d).zip(qkv.values().par_chunks(tokens * 3 * d));
    images.zip(d_mixed.values().par_chunks(tokens * d)).for_each(|((d_qkv, qkv), d_mixed)| {
        let mut state = Head::new(tokens, width);
        let (mut dy, mut part) = (vec![0.0; tokens * width], vec![0.0; tokens * width]);
        let mut d_scores = vec![0.0; tokens * tokens];
        for head in 0..heads {
            state.load(qkv, offset, head);
            for (target, row) in dy.chunks_exact_mut(width).zip(d_mixed.chunks_exact(d)) {
                target.iter_mut().zip(&row[head * width..]).for_each(|(target, v)| *target = v.widen());
            }
            let rows = |values| Strided::rows(values, width);
            let square = |values| Strided::rows(values, tokens);
            let [q, k, v] = &state.parts;
            matmul(tokens, width, tokens, square(&state.shares).transposed(), rows(&dy), &mut part, false);
            store(&part, d_qkv, 3 * d, 2 * d + head * width, width);
            matmul(tokens, tokens, width, rows(&dy), rows(v).transposed(), &mut d_scores, false);
            softmax_rows_backward(&mut d_scores, &state.shares, tokens);
            matmul(tokens, width, tokens, square(&d_scores).transposed(), rows(q), &mut part, false);
            store(&part, d_qkv, 3 * d, d + head * width, width);
            matmul(tokens, width, tokens, square(&d_scores), rows(k), &mut part, false);
            let scale = state.scale();
            part.iter_mut().for_each(|v| *v *= scale);
            store(&part, d_qkv, 3 * d, head * width, width);
        }
    });
}

/// Writes `[tokens, width]` into the columns from `first` of rows of `columns`.
fn store<E: Element>(values: &[f32], rows: &mut [E], columns: usize, first: usize, width: usize) {
    for (row, values) in rows.chunks_exact_mut(columns).zip(values.chunks_exact(width)) {
        row[first..][..width].iter_mut().zip(values).for_each(|(target, v)| *target = E::narrow(*v));
    }
}

vectorised! {
    /// Softmax of every row.
    fn softmax_rows<E>(rows: &mut [E], columns: usize) {
        for row in rows.chunks_exact_mut(columns) {
            // A comparison leaves a NaN out; it comes back with its own exponential.
            let largest = row.iter().fold(f32::NEG_INFINITY, |most, v| if v.widen() > most { v.widen() } else { most });
            row.iter_mut().for_each(|v| *v = E::narrow(exp_not_above_zero(v.widen() - largest)));
            let sum: f32 = row.iter().map(|v| v.widen()).sum();
            row.iter_mut().for_each(|v| *v = E::narrow(v.widen() / sum));
        }
    }
}

vectorised! {
    /// `dy` becomes the gradient before the softmax whose result was `y`.
    fn softmax_rows_backward<E>(dy: &mut [E], y: &[E], columns: usize) {
        for (dy, y) in dy.chunks_exact_mut(columns).zip(y.chunks_exact(columns)) {
            let along: f32 = dy.iter().zip(y).map(|(dy, y)| dy.widen() * y.widen()).sum();
            dy.iter_mut().zip(y).for_each(|(dy, y)| *dy = E::narrow(y.widen() * (dy.widen() - along)));
        }
    }
}
