//! From quantised whole numbers back to reals, with the random numbers of the standard taken off again.
//!
//! FITS standard 4.0, section 10.2 and appendix I. Dithering adds a random number below 1 to each pixel before rounding and
//! subtracts it here, so that the rounding leaves no trace in averages; both sides draw from the same 10,000 numbers.

use std::sync::LazyLock;

/// How a float image was made whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dither {
    /// NO_DITHER.
    None,
    /// SUBTRACTIVE_DITHER_1, with ZDITHER0.
    Subtractive { seed: i64 },
    /// SUBTRACTIVE_DITHER_2: exact zeros are kept as such.
    SubtractiveKeepingZeros { seed: i64 },
}

/// Scale and zero of a tile, and the number that stands for NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Steps {
    pub scale: f64,
    pub zero: f64,
    pub blank: Option<i32>,
}

const N_RANDOM: usize = 10_000;

/// SUBTRACTIVE_DITHER_2 writes exact zeros as this.
const EXACT_ZERO: i32 = -2_147_483_646;

/// Park & Miller's generator: seed ← 16807 · seed mod (2^31 - 1).
static RANDOM: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let mut seed = 1_u64;
    let next = |_| {
        seed = seed * 16_807 % 2_147_483_647;
        (seed as f64 / 2_147_483_647.0) as f32
    };
    (0..N_RANDOM).map(next).collect()
});

/// Appends the real pixels of table row `tile` (from 0) to `pixels`.
pub(crate) fn dequantize(stored: &[i32], steps: Steps, dither: Dither, tile: usize, pixels: &mut Vec<f32>) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just asked whether it has AVX2.
        return unsafe { dequantize_avx2(stored, steps, dither, tile, pixels) };
    }
    dequantize_any(stored, steps, dither, tile, pixels);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dequantize_avx2(stored: &[i32], steps: Steps, dither: Dither, tile: usize, pixels: &mut Vec<f32>) {
    dequantize_any(stored, steps, dither, tile, pixels);
}

#[inline(always)]
fn dequantize_any(stored: &[i32], steps: Steps, dither: Dither, tile: usize, pixels: &mut Vec<f32>) {
    let Steps { scale, zero, blank } = steps;
    let start = pixels.len();
    match dither {
        Dither::None => pixels.extend(stored.iter().map(|&value| (f64::from(value) * scale + zero) as f32)),
        Dither::Subtractive { seed } | Dither::SubtractiveKeepingZeros { seed } => {
            let random = RANDOM.as_slice();
            // ZDITHER0 counts from 1; the remainder keeps any other number inside.
            let mut first = (tile as i64).wrapping_add(seed.wrapping_sub(1)).rem_euclid(N_RANDOM as i64) as usize;
            let mut rest = stored;
            while !rest.is_empty() {
                // Draws go on from a place that a draw chose, to the end of the list, then from the next such place.
                let from = (random[first] * 500.0) as usize;
                let (now, later) = rest.split_at(rest.len().min(N_RANDOM - from));
                // In this order: the numbers are to be the same as those of every other reader.
                let real =
                    |(&value, &draw): (&i32, &f32)| ((f64::from(value) - f64::from(draw) + 0.5) * scale + zero) as f32;
                pixels.extend(now.iter().zip(&random[from..]).map(real));
                rest = later;
                first = (first + 1) % N_RANDOM;
            }
        }
    }
    let real = &mut pixels[start..];
    if let Dither::SubtractiveKeepingZeros { .. } = dither {
        replace(stored, EXACT_ZERO, 0.0, real);
    }
    if let Some(blank) = blank {
        replace(stored, blank, f32::NAN, real);
    }
}

#[inline(always)]
fn replace(stored: &[i32], wanted: i32, by: f32, pixels: &mut [f32]) {
    for (pixel, &value) in pixels.iter_mut().zip(stored) {
        *pixel = if value == wanted { by } else { *pixel };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_random_sequence_is_that_of_the_standard() {
        // Appendix I: after 10,000 steps the seed is 1043618065.
        let last = (f64::from(1_043_618_065) / 2_147_483_647.0) as f32;
        assert_eq!((RANDOM.len(), RANDOM[N_RANDOM - 1]), (N_RANDOM, last));
        assert_eq!(RANDOM[0], (16_807.0 / 2_147_483_647.0) as f32);
    }

    #[test]
    fn blanks_and_exact_zeros_stand_out() {
        let stored = [-2_147_483_647, EXACT_ZERO, 4];
        let steps = Steps { scale: 0.5, zero: 1.0, blank: Some(-2_147_483_647) };
        let mut pixels = Vec::new();
        dequantize(&stored, steps, Dither::SubtractiveKeepingZeros { seed: 1 }, 0, &mut pixels);
        let from = (RANDOM[0] * 500.0) as usize;
        assert!(pixels[0].is_nan() && pixels[1] == 0.0);
        assert_eq!(pixels[2], ((4.0 - f64::from(RANDOM[from + 2]) + 0.5) * 0.5 + 1.0) as f32);
        pixels.clear();
        dequantize(&[4, -1], steps, Dither::None, 7, &mut pixels);
        assert_eq!(pixels, [3.0, 0.5]);
    }

    #[test]
    fn long_tiles_and_late_tiles_walk_round_the_list() {
        let stored = vec![0; 2 * N_RANDOM + 5];
        let steps = Steps { scale: 1.0, zero: 0.0, blank: None };
        let mut pixels = Vec::new();
        dequantize(&stored, steps, Dither::Subtractive { seed: 10_000 }, 0, &mut pixels);
        // Draw by draw, as the appendix words it.
        let (mut first, mut next) = (N_RANDOM - 1, (RANDOM[N_RANDOM - 1] * 500.0) as usize);
        for (at, &pixel) in pixels.iter().enumerate() {
            assert_eq!(pixel, (0.5 - f64::from(RANDOM[next])) as f32, "{at}");
            next += 1;
            if next == N_RANDOM {
                first = (first + 1) % N_RANDOM;
                next = (RANDOM[first] * 500.0) as usize;
            }
        }
    }
}
