//! f32 and f64 as the loss needs them, with an exponential that the compiler can vectorise.
use std::ops::{Add, Mul, Sub};

use super::product::Product;

/// f32 and f64, as far as the loss needs them.
pub trait Real:
    Product + Send + Sync + PartialOrd + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + 'static
{
    /// 0.
    const ZERO: Self;
    /// Below everything.
    const LOWEST: Self;
    /// Rounds from f64.
    fn of(value: f64) -> Self;
    /// Widens to f64.
    fn wide(self) -> f64;
    /// `self * factor + term`, in one rounding where `FMA` says that the processor has the instruction.
    fn times_plus<const FMA: bool>(self, factor: Self, term: Self) -> Self;
    /// e to the power of a number that is not above 1; NaN stays NaN, and what has no normal result is 0.
    ///
    /// Taylor's polynomial after reduction to |r| <= ln 2 / 2. Truncation is below 6e-9 (f32: r^8 / 8!) and 5e-18
    /// (f64: r^14 / 14!) of the result; with rounding the error stays within 2 units in the last place, tested.
    fn exponential<const FMA: bool>(self) -> Self;
}

macro_rules! real {
    ($real:ty, $bits:ty, $mantissa:literal, $bias:literal, $magic:literal, $lowest:literal, $ln2:expr, $taylor:expr) => {
        impl Real for $real {
            const ZERO: Self = 0.0;
            const LOWEST: Self = Self::NEG_INFINITY;

            #[inline(always)]
            fn of(value: f64) -> Self {
                value as Self
            }

            #[inline(always)]
            fn wide(self) -> f64 {
                f64::from(self)
            }

            #[inline(always)]
            fn times_plus<const FMA: bool>(self, factor: Self, term: Self) -> Self {
                if FMA { self.mul_add(factor, term) } else { self * factor + term }
            }

            #[inline(always)]
            fn exponential<const FMA: bool>(self) -> Self {
                const LOG2_E: $real = std::f64::consts::LOG2_E as $real;
                // Adding 1.5 * 2^mantissa leaves the nearest whole number in the low bits.
                let shifted = self.times_plus::<FMA>(LOG2_E, $magic);
                let n = shifted - $magic;
                let r = n.times_plus::<FMA>(-$ln2[1], n.times_plus::<FMA>(-$ln2[0], self));
                let mut sum = $taylor[0];
                for coefficient in &$taylor[1..] {
                    sum = sum.times_plus::<FMA>(r, *coefficient);
                }
                let power = <$real>::from_bits(shifted.to_bits().wrapping_add($bias) << $mantissa as $bits);
                if self < $lowest { 0.0 } else { sum * power }
            }
        }
    };
}

// ln 2 as a short number, whose product with n is exact, and the rest.
real!(
    f32,
    u32,
    23,
    127,
    12_582_912.0,
    -87.3,
    [0.693_359_4f32, -2.121_944_4e-4],
    [1.0f32 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0]
);
real!(
    f64,
    u64,
    52,
    1023,
    6_755_399_441_055_744.0,
    -708.3,
    [6.931_457_519_531_25e-1f64, 1.428_606_820_309_417_2e-6],
    [
        1.0f64 / 6_227_020_800.0,
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0
    ]
);

#[cfg(test)]
mod tests {
    use super::*;

    /// Every 97th f32 from 0 down to the lowest, and as many f64.
    #[test]
    fn the_exponential_is_within_two_units_in_the_last_place() {
        let (mut worst, mut count) = (0f64, 0);
        for bits in (0..(87.3f32).to_bits()).step_by(97) {
            let x = -f32::from_bits(bits);
            let want = f64::from(x).exp();
            for got in [x.exponential::<true>(), x.exponential::<false>()] {
                worst = worst.max((f64::from(got) / want - 1.0).abs() / f64::from(f32::EPSILON));
            }
            count += 1;
        }
        assert!(count > 10_000_000 && worst < 2.0, "f32: {worst} units over {count} values");
        let mut worst = 0f64;
        for k in 0..2_000_000 {
            let x = -708.3 * (f64::from(k) / 2e6).powi(3);
            for got in [x.exponential::<true>(), x.exponential::<false>()] {
                worst = worst.max((got / x.exp() - 1.0).abs() / f64::EPSILON);
            }
        }
        assert!(worst < 2.0, "f64: {worst} units");
    }

    #[test]
    fn ends_of_the_exponential() {
        fn check<T: Real + std::fmt::Debug>(nan: T) {
            assert_eq!(T::ZERO.exponential::<false>(), T::of(1.0));
            assert_eq!(T::LOWEST.exponential::<false>(), T::ZERO);
            assert_eq!(T::of(-1e30).exponential::<true>(), T::ZERO);
            assert!(nan.exponential::<true>().wide().is_nan() && nan.exponential::<false>().wide().is_nan());
            assert!((T::of(0.75).exponential::<true>().wide() - 0.75f64.exp()).abs() < 5e-7);
        }
        check(f32::NAN);
        check(f64::NAN);
        check(-f32::NAN);
    }
}
