//! Powers of positive numbers, from additions and products only: the same bits on every system, and faster than `powf`.

/// `x^b` for a normal positive `x`, to about 1e-6; results beyond the range of `f32` become its ends.
#[inline]
pub(crate) fn power(x: f32, b: f32) -> f32 {
    exp2(b * log2(x.max(f32::MIN_POSITIVE)))
}

fn log2(x: f32) -> f32 {
    // x = m 2^e with m in [sqrt(1/2), sqrt(2)).
    const ROOT_HALF: u32 = 0x3f35_04f3;
    let bits = x.to_bits().wrapping_sub(ROOT_HALF);
    let exponent = (bits as i32) >> 23;
    let m = f32::from_bits((bits & 0x007f_ffff).wrapping_add(ROOT_HALF));
    // ln m = 2 (s + s^3 / 3 + ...), |s| <= 0.172: five terms are enough.
    let s = (m - 1.0) / (m + 1.0);
    let t = s * s;
    // Pairs first: each step of the layout waits for this number, and short chains of operations come sooner.
    let t2 = t * t;
    let series = (1.0 + t * (1.0 / 3.0)) + t2 * ((1.0 / 5.0 + t * (1.0 / 7.0)) + t2 * (1.0 / 9.0));
    exponent as f32 + 2.0 * std::f32::consts::LOG2_E * s * series
}

fn exp2(x: f32) -> f32 {
    // Adding and taking away 1.5 * 2^23 rounds to a whole number.
    const ROUNDER: f32 = 12_582_912.0;
    let x = x.clamp(-126.0, 127.0);
    let whole = (x + ROUNDER) - ROUNDER;
    let t = (x - whole) * std::f32::consts::LN_2;
    let t2 = t * t;
    let high = (1.0 / 24.0 + t * (1.0 / 120.0)) + t2 * (1.0 / 720.0);
    let series = (1.0 + t) + t2 * ((1.0 / 2.0 + t * (1.0 / 6.0)) + t2 * high);
    series * f32::from_bits(((whole as i32 + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_powf_in_double_precision() {
        for i in 0..20_000 {
            let x = (-40.0 + i as f64 * 0.004).exp2() as f32;
            for b in [0.5_f32, 0.79, 0.895, 1.0, 1.33, 1.9] {
                let expected = f64::from(x).powf(f64::from(b));
                let off = (f64::from(power(x, b)) / expected - 1.0).abs();
                assert!(off < 6e-6, "{x}^{b}: {off}");
            }
        }
        assert!(power(0.0, 0.9) < 1e-30 && power(f32::MAX, 2.0).is_finite());
    }
}
