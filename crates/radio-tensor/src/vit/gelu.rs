//! GELU with the error function (PyTorch's default), its derivative, and the exponential both they and softmax need.
//!
//! Written out as polynomials, because the compiler makes vectors of these and not of a call to the mathematics library.
use rayon::prelude::*;

use crate::element::Element;
use crate::kernel::vectorised;
use crate::nhwc::Map;

/// Values of one task.
const TASK: usize = 1 << 14;

/// `y = gelu(x + offset)`, the offset of every column.
pub(super) fn gelu<E: Element>(x: &Map<E>, offset: &[f32], y: &mut Map<E>) {
    let task = rows_of_task(x.c) * x.c;
    let tasks = y.values_mut().par_chunks_mut(task).zip(x.values().par_chunks(task));
    tasks.for_each(|(y, x)| gelu_run(y, x, offset));
}

/// `dy *= gelu'(x + offset)`.
pub(super) fn gelu_backward<E: Element>(x: &Map<E>, offset: &[f32], dy: &mut Map<E>) {
    let task = rows_of_task(x.c) * x.c;
    let tasks = dy.values_mut().par_chunks_mut(task).zip(x.values().par_chunks(task));
    tasks.for_each(|(dy, x)| gelu_backward_run(dy, x, offset));
}

fn rows_of_task(columns: usize) -> usize {
    (TASK / columns.max(1)).max(1)
}

vectorised! {
    fn gelu_run<E>(y: &mut [E], x: &[E], offset: &[f32]) {
        for (y, x) in y.chunks_exact_mut(offset.len()).zip(x.chunks_exact(offset.len())) {
            for ((y, x), offset) in y.iter_mut().zip(x).zip(offset) {
                let x = x.widen() + offset;
                *y = E::narrow(0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)));
            }
        }
    }
}

vectorised! {
    fn gelu_backward_run<E>(dy: &mut [E], x: &[E], offset: &[f32]) {
        for (dy, x) in dy.chunks_exact_mut(offset.len()).zip(x.chunks_exact(offset.len())) {
            for ((dy, x), offset) in dy.iter_mut().zip(x).zip(offset) {
                let x = x.widen() + offset;
                let slope = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)) + x * density(x);
                *dy = E::narrow(dy.widen() * slope);
            }
        }
    }
}

/// The normal density.
#[inline(always)]
fn density(x: f32) -> f32 {
    const PEAK: f32 = 0.398_942_3; // 1 / sqrt(2 pi)
    PEAK * exp_not_above_zero(-0.5 * x * x)
}

/// The error function, to 4e-7: a ratio of polynomials on [-4, 4], beyond which it is 1 in f32 (Eigen's coefficients). NaN stays NaN.
#[inline(always)]
fn erf(x: f32) -> f32 {
    const TOP: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_3e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const BOTTOM: [f32; 5] = [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2];
    let x = if x > 4.0 { 4.0 } else { x };
    let x = if x < -4.0 { -4.0 } else { x };
    let square = x * x;
    let polynomial = |coefficients: &[f32]| coefficients.iter().fold(0.0, |sum, c| sum * square + c);
    x * polynomial(&TOP) / polynomial(&BOTTOM)
}

/// `exp(x)` for `x` of at most 0, to 2e-7 of itself; 1.6e-38 for anything below -87. NaN stays NaN.
#[inline(always)]
pub(super) fn exp_not_above_zero(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if x < -87.0 { -87.0 } else { x };
    let halvings = (x * std::f32::consts::LOG2_E).round_ties_even();
    let rest = (x - halvings * LN_2_HIGH) - halvings * LN_2_LOW;
    let mut sum = 1.0 / 720.0;
    for factor in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = sum * rest + factor;
    }
    // From -126 to 0: an exponent within range. The cast takes NaN to 0, and the sum is NaN already.
    sum * f32::from_bits(((halvings as i32 + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python 3 `math.erf`, rounded.
    #[test]
    fn error_function() {
        let known = [
            (0.0, 0.0),
            (0.1, 0.112_462_916),
            (0.5, 0.520_499_9),
            (1.0, 0.842_700_8),
            (2.0, 0.995_322_3),
            (3.5, 0.999_999_3),
        ];
        for (x, want) in known {
            assert!((erf(x) - want).abs() < 4e-7 && (erf(-x) + want).abs() < 4e-7, "{x}: {} {want}", erf(x));
        }
        assert!(
            (erf(40.0) - 1.0).abs() < 4e-7 && (erf(f32::NEG_INFINITY) + 1.0).abs() < 4e-7 && erf(f32::NAN).is_nan()
        );
    }

    #[test]
    fn exponential() {
        for step in 0..8700 {
            let x = -0.01 * step as f32;
            let want = f64::from(x).exp();
            assert!((f64::from(exp_not_above_zero(x)) - want).abs() < 2.5e-7 * want, "{x}");
        }
        assert_eq!(exp_not_above_zero(0.0), 1.0);
        assert!(exp_not_above_zero(f32::NEG_INFINITY) < 2e-38 && exp_not_above_zero(f32::NAN).is_nan());
    }

    #[test]
    fn slope_by_differences() {
        for step in -60..60 {
            let x = 0.1 * step as f32;
            let at = |x: f32, derive: bool| {
                let (mut map, mut y) = (Map::<f32>::zeros(1, 1, 1, 1), Map::<f32>::zeros(1, 1, 1, 1));
                map.values_mut()[0] = x - 1.0;
                y.values_mut()[0] = 1.0;
                if derive {
                    gelu_backward(&map, &[1.0], &mut y)
                } else {
                    gelu(&map, &[1.0], &mut y)
                }
                y.values()[0]
            };
            let difference = (at(x + 1e-2, false) - at(x - 1e-2, false)) / 2e-2;
            assert!((difference - at(x, true)).abs() < 2e-4, "{x}: {difference} {}", at(x, true));
        }
    }
}
