//! The matrix product of a block of rows: registers full of sums on AVX-512 and AVX2, plain loops elsewhere.
//!
//! The only unsafe code of the loss. What it assumes is asserted in [`product`], once, before any pointer is formed.
use super::tile::{BLOCK, Kernels};

/// A strided matrix `a(i, k) = values[i * row + k * col]` with `BLOCK` rows.
#[derive(Clone, Copy)]
pub struct Left<'a, T> {
    pub(super) values: &'a [T],
    pub(super) row: usize,
    pub(super) col: usize,
}

/// `out[i, n] = Σ_k a(i, k) · b[k, n]`, or added to `out` with `accumulate`; `b` is `[k, n]` and `out` `[BLOCK, n]`, row-major.
///
/// # Panics
/// If a slice is too short, or `n` is no multiple of 32: a bug of the caller.
pub(super) fn product<T: Product>(
    kernels: Kernels,
    n: usize,
    k: usize,
    a: Left<T>,
    b: &[T],
    out: &mut [T],
    accumulate: bool,
) {
    assert!(n.is_multiple_of(32) && k > 0, "{k} terms for {n} columns");
    assert!((BLOCK - 1) * a.row + (k - 1) * a.col < a.values.len() && b.len() >= k * n && out.len() >= BLOCK * n);
    match kernels {
        // SAFETY: `Kernels` is Avx512 only on a processor that has it; sizes are asserted above.
        #[cfg(target_arch = "x86_64")]
        Kernels::Avx512 => unsafe { T::avx512(n, k, a, b, out, accumulate) },
        // SAFETY: `Kernels` is Avx2 only on a processor with AVX2 and FMA; sizes are asserted above.
        #[cfg(target_arch = "x86_64")]
        Kernels::Avx2 => unsafe { T::avx2(n, k, a, b, out, accumulate) },
        Kernels::Portable => T::portable(n, k, a, b, out, accumulate),
    }
}

/// The product of one number type, for every instruction set.
pub trait Product: Copy {
    /// # Safety
    /// The processor has AVX-512 F; sizes as asserted in `product`.
    #[cfg(target_arch = "x86_64")]
    #[doc(hidden)]
    unsafe fn avx512(n: usize, k: usize, a: Left<Self>, b: &[Self], out: &mut [Self], accumulate: bool);

    /// # Safety
    /// The processor has AVX2 and FMA; sizes as asserted in `product`.
    #[cfg(target_arch = "x86_64")]
    #[doc(hidden)]
    unsafe fn avx2(n: usize, k: usize, a: Left<Self>, b: &[Self], out: &mut [Self], accumulate: bool);

    #[doc(hidden)]
    fn portable(n: usize, k: usize, a: Left<Self>, b: &[Self], out: &mut [Self], accumulate: bool);
}

/// `HEIGHT` rows by two registers of sums stay in registers while `k` runs; both divide `BLOCK` and 32.
#[cfg(target_arch = "x86_64")]
macro_rules! in_registers {
    ($name:ident, $feature:literal, $real:ty, $lanes:literal, $height:literal,
     $zero:ident, $load:ident, $store:ident, $splat:ident, $fused:ident, $add:ident) => {
        #[target_feature(enable = $feature)]
        unsafe fn $name(n: usize, k: usize, a: Left<$real>, b: &[$real], out: &mut [$real], accumulate: bool) {
            use std::arch::x86_64::*;
            let Left { values, row, col } = a;
            let (a, b, out) = (values.as_ptr(), b.as_ptr(), out.as_mut_ptr());
            for column in (0..n).step_by(2 * $lanes) {
                for first in (0..BLOCK).step_by($height) {
                    let mut sums = [[$zero(); 2]; $height];
                    // SAFETY: term < k, column + 2 * lanes <= n, first + i < BLOCK: inside what `product` asserted.
                    unsafe {
                        for term in 0..k {
                            let left = $load(b.add(term * n + column));
                            let right = $load(b.add(term * n + column + $lanes));
                            for i in 0..$height {
                                let a = $splat(*a.add((first + i) * row + term * col));
                                sums[i][0] = $fused(a, left, sums[i][0]);
                                sums[i][1] = $fused(a, right, sums[i][1]);
                            }
                        }
                        for i in 0..$height {
                            let out = out.add((first + i) * n + column);
                            for half in 0..2 {
                                let out = out.add(half * $lanes);
                                let sum = sums[i][half];
                                $store(out, if accumulate { $add($load(out), sum) } else { sum });
                            }
                        }
                    }
                }
            }
        }
    };
}

macro_rules! product_of {
    ($real:ty, $avx512:ident, $avx2:ident) => {
        impl Product for $real {
            #[cfg(target_arch = "x86_64")]
            unsafe fn avx512(n: usize, k: usize, a: Left<Self>, b: &[Self], out: &mut [Self], accumulate: bool) {
                // SAFETY: passed on to the caller.
                unsafe { $avx512(n, k, a, b, out, accumulate) }
            }

            #[cfg(target_arch = "x86_64")]
            unsafe fn avx2(n: usize, k: usize, a: Left<Self>, b: &[Self], out: &mut [Self], accumulate: bool) {
                // SAFETY: passed on to the caller.
                unsafe { $avx2(n, k, a, b, out, accumulate) }
            }

            fn portable(n: usize, k: usize, a: Left<Self>, b: &[Self], out: &mut [Self], accumulate: bool) {
                for (i, out) in out.chunks_exact_mut(n).take(BLOCK).enumerate() {
                    if !accumulate {
                        out.fill(0.0);
                    }
                    for (term, b) in b.chunks_exact(n).take(k).enumerate() {
                        let a = a.values[i * a.row + term * a.col];
                        out.iter_mut().zip(b).for_each(|(out, b)| *out += a * b);
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
in_registers!(
    avx512_f32,
    "avx512f",
    f32,
    16,
    8,
    _mm512_setzero_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_set1_ps,
    _mm512_fmadd_ps,
    _mm512_add_ps
);
#[cfg(target_arch = "x86_64")]
in_registers!(
    avx512_f64,
    "avx512f",
    f64,
    8,
    8,
    _mm512_setzero_pd,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_set1_pd,
    _mm512_fmadd_pd,
    _mm512_add_pd
);
#[cfg(target_arch = "x86_64")]
in_registers!(
    avx2_f32,
    "avx2,fma",
    f32,
    8,
    4,
    _mm256_setzero_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps,
    _mm256_add_ps
);
#[cfg(target_arch = "x86_64")]
in_registers!(
    avx2_f64,
    "avx2,fma",
    f64,
    4,
    4,
    _mm256_setzero_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_set1_pd,
    _mm256_fmadd_pd,
    _mm256_add_pd
);
product_of!(f32, avx512_f32, avx2_f32);
product_of!(f64, avx512_f64, avx2_f64);

#[cfg(test)]
mod tests {
    use super::*;

    /// Small whole numbers, so that every order of summation gives the same; both strides, both modes, odd `k`.
    #[test]
    fn every_kernel_equals_the_triple_loop() {
        fn check<T: Product + PartialEq + std::fmt::Debug>(of: impl Fn(f64) -> T) {
            let value = |i: usize, m: usize| ((i * 7 + i / 3) % m) as f64 - 3.0;
            for (n, k) in [(32, 1), (64, 128), (96, 64), (32, 37)] {
                for (row, col) in [(k, 1), (1, BLOCK), (k + 3, 1)] {
                    let a_len = (BLOCK - 1) * row + (k - 1) * col + 1;
                    let (a, b): (Vec<f64>, Vec<f64>) =
                        ((0..a_len).map(|i| value(i, 11)).collect(), (0..k * n).map(|i| value(i, 13)).collect());
                    for accumulate in [false, true] {
                        let start = if accumulate { 5.0 } else { 0.0 };
                        let want: Vec<T> = (0..BLOCK * n)
                            .map(|o| {
                                of((0..k).map(|t| a[o / n * row + t * col] * b[t * n + o % n]).sum::<f64>() + start)
                            })
                            .collect();
                        let (a, b): (Vec<T>, Vec<T>) =
                            (a.iter().map(|&v| of(v)).collect(), b.iter().map(|&v| of(v)).collect());
                        for kernels in Kernels::available() {
                            let mut out = vec![of(5.0); BLOCK * n];
                            product(kernels, n, k, Left { values: &a, row, col }, &b, &mut out, accumulate);
                            assert_eq!(out, want, "{kernels:?}, {n} x {k}, strides {row} {col}, {accumulate}");
                        }
                    }
                }
            }
        }
        check(|v| v as f32);
        check(|v| v);
    }
}
