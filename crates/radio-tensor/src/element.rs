//! What a map may hold: f32, or bf16 (the upper half of an f32). Arithmetic is f32 either way.
use bytemuck::{Pod, Zeroable};

/// A brain floating-point number: sign, 8 exponent bits, 7 mantissa bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct Bf16(u16);

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for super::Bf16 {}
}

/// A storage type of maps, widened to f32 for every computation.
///
/// Sealed: the kernels know its two types by their number of values in a word, and read memory by it.
pub trait Element: sealed::Sealed + Pod + Send + Sync + 'static {
    /// Values in 32 bits: what one lane of a dot product takes at a time.
    const PER_WORD: usize;

    /// The value as f32, exact.
    fn widen(self) -> f32;

    /// The nearest value of this type, ties to even; NaN stays NaN.
    fn narrow(value: f32) -> Self;

    /// One word of up to [`Element::PER_WORD`] values, the first in the low bits; missing values are zero.
    fn word(values: [f32; 2]) -> u32;

    /// Words that pair `first[i]` with `second[i]` (f32: `first` alone).
    fn pair_rows(first: &[Self], second: &[Self], words: &mut [u32]);
}

impl Element for f32 {
    const PER_WORD: usize = 1;

    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }

    #[inline(always)]
    fn narrow(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn word(values: [f32; 2]) -> u32 {
        values[0].to_bits()
    }

    #[inline(always)]
    fn pair_rows(first: &[Self], _: &[Self], words: &mut [u32]) {
        for (word, value) in words.iter_mut().zip(first) {
            *word = value.to_bits();
        }
    }
}

impl Element for Bf16 {
    const PER_WORD: usize = 2;

    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    #[inline(always)]
    fn narrow(value: f32) -> Self {
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
        // A NaN keeps its sign and becomes quiet: rounding could turn it into infinity.
        Self(if value.is_nan() { bits >> 16 | 0x40 } else { rounded } as u16)
    }

    #[inline(always)]
    fn word(values: [f32; 2]) -> u32 {
        u32::from(Self::narrow(values[0]).0) | u32::from(Self::narrow(values[1]).0) << 16
    }

    #[inline(always)]
    fn pair_rows(first: &[Self], second: &[Self], words: &mut [u32]) {
        for ((word, first), second) in words.iter_mut().zip(first).zip(second) {
            *word = u32::from(first.0) | u32::from(second.0) << 16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_nearest_even() {
        let round = |bits: u32| Bf16::narrow(f32::from_bits(bits)).widen().to_bits();
        assert_eq!(round(0x3f80_8000), 0x3f80_0000); // tie, even below
        assert_eq!(round(0x3f81_8000), 0x3f82_0000); // tie, even above
        assert_eq!(round(0x3f80_8001), 0x3f81_0000);
        assert_eq!(round(0xbf80_7fff), 0xbf80_0000);
        assert_eq!(Bf16::narrow(f32::MAX).widen(), f32::INFINITY);
        assert!(Bf16::narrow(f32::from_bits(0x7fff_ffff)).widen().is_nan());
        assert!(Bf16::narrow(f32::from_bits(0x7f80_0001)).widen().is_nan());
        assert_eq!(Bf16::word([1.0, -2.0]), 0xc000_3f80);
    }
}
