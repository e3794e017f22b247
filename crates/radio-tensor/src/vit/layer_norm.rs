//! Layer norm over the values of a token, forward and backward.
//!
//! The normalised values are not kept: mean and spread of a row are taken again from the row.
use rayon::prelude::*;

use crate::element::Element;
use crate::kernel::vectorised;
use crate::nhwc::{Map, Nhwc};

/// Added to the variance (torchvision's and timm's value).
const EPSILON: f32 = 1e-6;
/// Rows of one task.
const TASK_ROWS: usize = 32;
/// Partial sums of a row, added up in a fixed order.
const LANES: usize = 16;

/// `y = (x - mean) / sqrt(variance + epsilon) * scale + offset`, of every row.
pub(super) fn layer_norm<E: Element>(x: &Nhwc, scale: &[f32], offset: &[f32], y: &mut Map<E>) {
    let task = TASK_ROWS * x.c;
    let tasks = y.values_mut().par_chunks_mut(task).zip(x.values().par_chunks(task));
    tasks.for_each(|(y, x)| norm_rows(y, x, scale, offset));
}

vectorised! {
    fn norm_rows<E>(y: &mut [E], x: &[f32], scale: &[f32], offset: &[f32]) {
        for (y, x) in y.chunks_exact_mut(scale.len()).zip(x.chunks_exact(scale.len())) {
            let (mean, inverse) = moments(x);
            for (((y, x), scale), offset) in y.iter_mut().zip(x).zip(scale).zip(offset) {
                *y = E::narrow((x - mean) * inverse * scale + offset);
            }
        }
    }
}

/// Adds the gradient with respect to `x` to `dx`, and returns those of scale and offset.
pub(super) fn layer_norm_backward<E: Element>(x: &Nhwc, scale: &[f32], dy: &Map<E>, dx: &mut Nhwc) -> [Vec<f32>; 2] {
    let task = TASK_ROWS * x.c;
    let tasks = dx.values_mut().par_chunks_mut(task).zip(x.values().par_chunks(task)).zip(dy.values().par_chunks(task));
    let parts: Vec<[Vec<f32>; 2]> = tasks
        .map(|((dx, x), dy)| {
            let (mut d_scale, mut d_offset) = (vec![0.0; scale.len()], vec![0.0; scale.len()]);
            norm_rows_backward(dx, x, dy, scale, &mut d_scale, &mut d_offset);
            [d_scale, d_offset]
        })
        .collect();
    let mut sums = [vec![0.0; scale.len()], vec![0.0; scale.len()]];
    for (sum, part) in parts.iter().flat_map(|part| [0, 1].map(|i| (i, &part[i]))) {
        sums[sum].iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    sums
}

vectorised! {
    fn norm_rows_backward<E>(dx: &mut [f32], x: &[f32], dy: &[E], scale: &[f32], d_scale: &mut [f32], d_offset: &mut [f32]) {
        let width = scale.len();
        let mut gradient = vec![0f32; width];
        let mut normal = vec![0f32; width];
        for ((dx, x), dy) in dx.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(dy.chunks_exact(width)) {
            let (mean, inverse) = moments(x);
            for i in 0..width {
                let dy = dy[i].widen();
                normal[i] = (x[i] - mean) * inverse;
                gradient[i] = dy * scale[i];
                d_scale[i] += dy * normal[i];
                d_offset[i] += dy;
            }
            let share = 1.0 / width as f32;
            let along_one = share * sum(&gradient, |g, _| g, &gradient);
            let along_normal = share * sum(&gradient, |g, n| g * n, &normal);
            for i in 0..width {
                dx[i] += inverse * (gradient[i] - along_one - normal[i] * along_normal);
            }
        }
    }
}

/// Mean of a row, and one over its standard deviation.
#[inline(always)]
fn moments(x: &[f32]) -> (f32, f32) {
    let share = 1.0 / x.len() as f32;
    let mean = share * sum(x, |x, _| x, x);
    let variance = share * sum(x, |x, _| (x - mean) * (x - mean), x);
    (mean, 1.0 / (variance + EPSILON).sqrt())
}

/// Sum of `of(a, b)`, in lanes that the compiler takes side by side.
#[inline(always)]
fn sum(a: &[f32], of: impl Fn(f32, f32) -> f32, b: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let (a_lanes, b_lanes) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_lanes.remainder().iter().zip(b_lanes.remainder()).map(|(a, b)| of(*a, *b)).sum();
    for (a, b) in a_lanes.zip(b_lanes) {
        for i in 0..LANES {
            lanes[i] += of(a[i], b[i]);
        }
    }
    lanes.iter().sum::<f32>() + rest
}
