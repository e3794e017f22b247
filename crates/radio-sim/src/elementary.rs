//! exp, ln, sine and cosine in single precision, written as plain arithmetic.
//!
//! Two reasons: loops over them turn into vector code, and the bits do not depend on the system's mathematical library.

use std::f32::consts::{LN_2, LOG2_E};

/// 1.5 * 2^23: adding and subtracting it rounds a small number to the nearest integer.
const ROUND: f32 = 12_582_912.0;

/// e^x for `x <= 0` (values below -80 count as -80); relative error below 3e-7.
#[inline(always)]
pub fn exp_negative(x: f32) -> f32 {
    let x = x.max(-80.0);
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, the first exact in few bits, so that n * part is exact.
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let p =
        1.0 + r * (1.0 + r * (0.5 + r * (0.166_666_65 + r * (0.041_665_795 + r * (0.008_333_452 + r * 0.001_392_8)))));
    // The low bits of the shifted number hold n as an integer; it becomes the exponent.
    let exponent = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    p * f32::from_bits(((exponent + 127) << 23) as u32)
}

/// Natural logarithm of a positive normal number; absolute error below 1e-6 on `(0, 1]`.
#[inline(always)]
pub fn ln_positive(x: f32) -> f32 {
    let bits = x.to_bits() as i32;
    // Mantissa moved to [1/sqrt 2, sqrt 2).
    let shift = (bits - 0x3f35_04f3) >> 23;
    let m = f32::from_bits((bits - (shift << 23)) as u32);
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let series = 2.0 + z * (0.666_666_7 + z * (0.4 + z * (0.285_714_3 + z * 0.222_222_22)));
    shift as f32 * LN_2 + s * series
}

/// `(sin, cos)` of `turns` full turns, `turns` in `[0, 1)`; absolute error below 1e-6.
#[inline(always)]
pub fn sin_cos_turns(turns: f32) -> (f32, f32) {
    // Quarter turns, and the rest in [-1/8, 1/8] turn.
    let shifted = turns * 4.0 + ROUND;
    let q = shifted - ROUND;
    let quadrant = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let a = (turns * 4.0 - q) * std::f32::consts::FRAC_PI_2;
    let z = a * a;
    let s = a * (1.0 + z * (-0.166_666_67 + z * (8.333_331e-3 + z * (-1.983_93e-4 + z * 2.7e-6))));
    let c = 1.0 + z * (-0.5 + z * (4.166_666_6e-2 + z * (-1.388_876e-3 + z * 2.44e-5)));
    let (sine, cosine) = if quadrant & 1 == 0 { (s, c) } else { (c, s) };
    let sine = if quadrant & 2 == 0 { sine } else { -sine };
    let cosine = if (quadrant + 1) & 2 == 0 { cosine } else { -cosine };
    (sine, cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_agree_with_the_standard_library() {
        for i in 0..200_000 {
            let x = -60.0 * i as f32 / 200_000.0;
            let want = f64::from(x).exp();
            assert!((f64::from(exp_negative(x)) / want - 1.0).abs() < 4e-7, "exp {x}");
            let u = (i as f32 + 0.5) / 200_000.0;
            assert!((f64::from(ln_positive(u)) - f64::from(u).ln()).abs() < 1.5e-6, "ln {u}");
            let (s, c) = sin_cos_turns(u);
            let angle = f64::from(u) * std::f64::consts::TAU;
            assert!((f64::from(s) - angle.sin()).abs() < 1e-6, "sin {u}");
            assert!((f64::from(c) - angle.cos()).abs() < 1e-6, "cos {u}");
        }
        assert_eq!(exp_negative(0.0), 1.0);
        assert!(exp_negative(-1e6) < 1e-30);
    }
}
