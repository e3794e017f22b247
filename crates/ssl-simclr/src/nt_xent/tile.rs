//! The work on one tile of the matrix of similarities: product, log-sum-exp, weights of the gradient.
//!
//! The code is plain and generic; [`Kernels`] holds it compiled for AVX-512, for AVX2 with FMA, and for any processor.
//! Which one is used changes the last bits of a result, never the order of its sums.
use radio_tensor::kernel::{Kernel, kernel_in_use};

use super::product::{Left, product};
use super::real::Real;

/// Rows (and columns) of a tile. Row blocks are filled up with rows of zeros.
pub(super) const BLOCK: usize = 64;
/// Values of a tile, row-major.
pub(super) const TILE: usize = BLOCK * BLOCK;
/// The width of the embedding is filled up with zeros to a multiple of this.
pub(super) const DIM_STEP: usize = 32;

/// The kernels of one instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernels {
    /// AVX-512 F.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// No assumption.
    Portable,
}

impl Kernels {
    /// All this processor can run, fastest first.
    pub(super) fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma") {
                found.push(Self::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Self::Avx2);
            }
        }
        found.push(Self::Portable);
        found
    }

    /// What goes with the trunk's kernel ([`kernel_in_use`]): forced to be portable, AVX2 is the most that is used.
    pub(super) fn of_trunk() -> Self {
        Self::beside(kernel_in_use())
    }

    fn beside(trunk: Kernel) -> Self {
        #[cfg(target_arch = "x86_64")]
        if trunk == Kernel::Portable {
            return Self::available().into_iter().find(|k| *k != Self::Avx512).unwrap_or(Self::Portable);
        }
        let _ = trunk;
        Self::available()[0]
    }
}

/// Compiles a generic kernel for every instruction set behind one safe function.
macro_rules! dispatched {
    ($(#[$doc:meta])* $name:ident, $generic:ident, ($($argument:ident: $type:ty),*)) => {
        $(#[$doc])*
        pub(super) fn $name<T: Real>(kernels: Kernels, $($argument: $type),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,fma")]
            fn avx512<T: Real>($($argument: $type),*) {
                $generic::<T, true>($($argument),*);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2<T: Real>($($argument: $type),*) {
                $generic::<T, true>($($argument),*);
            }
            match kernels {
                // SAFETY: `Kernels::available` gives Avx512 only on a processor with avx512f and fma.
                #[cfg(target_arch = "x86_64")]
                Kernels::Avx512 => unsafe { avx512($($argument),*) },
                // SAFETY: `Kernels::available` gives Avx2 only on a processor with avx2 and fma.
                #[cfg(target_arch = "x86_64")]
                Kernels::Avx2 => unsafe { avx2($($argument),*) },
                Kernels::Portable => $generic::<T, false>($($argument),*),
            }
        }
    };
}

/// `tile = aᵀ · b * factor`, where `a` and `b` are blocks of rows in transposed form, `[dim, BLOCK]`.
pub(super) fn similarities<T: Real>(kernels: Kernels, a: &[T], b: &[T], factor: T, tile: &mut [T; TILE]) {
    let a = Left { values: a, row: 1, col: BLOCK };
    product(kernels, BLOCK, a.values.len() / BLOCK, a, b, tile, false);
    tile.iter_mut().for_each(|s| *s = *s * factor);
}

/// `sum[i, d] += Σ_j weights[i, j] · rows[j, d]`: what the columns of a tile give to its rows.
pub(super) fn add_to_rows<T: Real>(kernels: Kernels, weights: &[T; TILE], rows: &[T], sum: &mut [T]) {
    product(kernels, rows.len() / BLOCK, BLOCK, Left { values: weights, row: BLOCK, col: 1 }, rows, sum, true);
}

/// `sum[j, d] += Σ_i weights[i, j] · rows[i, d]`: what the rows of a tile give to its columns.
pub(super) fn add_to_columns<T: Real>(kernels: Kernels, weights: &[T; TILE], rows: &[T], sum: &mut [T]) {
    product(kernels, rows.len() / BLOCK, BLOCK, Left { values: weights, row: 1, col: BLOCK }, rows, sum, true);
}

dispatched! {
    /// Takes a tile into the log-sum-exps of its rows.
    log_sum_rows, log_sum_rows_of, (tile: &[T; TILE], sums: &mut LogSums<T>)
}
dispatched! {
    /// Takes a tile into the log-sum-exps of its columns.
    log_sum_columns, log_sum_columns_of, (tile: &[T; TILE], sums: &mut LogSums<T>)
}
dispatched! {
    /// Turns similarities into `exp(s - rows[i]) + exp(s - columns[j])`, where both are log-sum-exps.
    softmax_both_ways, softmax_both_ways_of, (tile: &mut [T; TILE], rows: &[T; BLOCK], columns: &[T; BLOCK])
}

/// Streaming log-sum-exp of the rows of a block: the largest similarity so far, and the sum of exponentials below it.
pub(super) struct LogSums<T> {
    largest: [T; BLOCK],
    sum: [f64; BLOCK],
}

impl<T: Real> LogSums<T> {
    pub(super) fn new() -> Self {
        Self { largest: [T::LOWEST; BLOCK], sum: [0.0; BLOCK] }
    }

    /// log Σ exp of a row.
    pub(super) fn of_row(&self, row: usize) -> f64 {
        self.largest[row].wide() + self.sum[row].ln()
    }

    /// Raises the largest of a row to at least `seen`, rescales its sum, and returns what to subtract from similarities.
    #[inline(always)]
    fn raise(&mut self, row: usize, seen: T) -> T {
        let old = self.largest[row];
        let new = if seen > old { seen } else { old };
        // Nothing but masked entries yet: any number does, and -inf - -inf would be NaN.
        let pivot = if new == T::LOWEST { T::ZERO } else { new };
        if new != old {
            self.sum[row] *= (old.wide() - pivot.wide()).exp();
        }
        self.largest[row] = new;
        pivot
    }
}

#[inline(always)]
fn log_sum_rows_of<T: Real, const FMA: bool>(tile: &[T; TILE], sums: &mut LogSums<T>) {
    const LANES: usize = 16;
    for (row, line) in tile.chunks_exact(BLOCK).enumerate() {
        let mut largest = [T::LOWEST; LANES];
        for part in line.chunks_exact(LANES) {
            for lane in 0..LANES {
                largest[lane] = if part[lane] > largest[lane] { part[lane] } else { largest[lane] };
            }
        }
        let seen = largest.into_iter().fold(T::LOWEST, |a, b| if b > a { b } else { a });
        let pivot = sums.raise(row, seen);
        let mut sum = [T::ZERO; LANES];
        for part in line.chunks_exact(LANES) {
            for lane in 0..LANES {
                sum[lane] = sum[lane] + (part[lane] - pivot).exponential::<FMA>();
            }
        }
        sums.sum[row] += sum.iter().map(|s| s.wide()).sum::<f64>();
    }
}

#[inline(always)]
fn log_sum_columns_of<T: Real, const FMA: bool>(tile: &[T; TILE], sums: &mut LogSums<T>) {
    let mut seen = [T::LOWEST; BLOCK];
    for line in tile.chunks_exact(BLOCK) {
        for (seen, s) in seen.iter_mut().zip(line) {
            *seen = if *s > *seen { *s } else { *seen };
        }
    }
    let mut pivot = [T::ZERO; BLOCK];
    for column in 0..BLOCK {
        pivot[column] = sums.raise(column, seen[column]);
    }
    let mut sum = [T::ZERO; BLOCK];
    for line in tile.chunks_exact(BLOCK) {
        for ((sum, s), pivot) in sum.iter_mut().zip(line).zip(&pivot) {
            *sum = *sum + (*s - *pivot).exponential::<FMA>();
        }
    }
    for (total, sum) in sums.sum.iter_mut().zip(&sum) {
        *total += sum.wide();
    }
}

#[inline(always)]
fn softmax_both_ways_of<T: Real, const FMA: bool>(tile: &mut [T; TILE], rows: &[T; BLOCK], columns: &[T; BLOCK]) {
    for (line, row) in tile.chunks_exact_mut(BLOCK).zip(rows) {
        for (s, column) in line.iter_mut().zip(columns) {
            *s = (*s - *row).exponential::<FMA>() + (*s - *column).exponential::<FMA>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portable_trunk_has_no_avx512_beside_it() {
        let found = Kernels::beside(Kernel::Portable);
        assert!(Kernels::available().contains(&found));
        assert!(!format!("{found:?}").contains("512"), "{found:?}");
        assert_eq!(Kernels::beside(Kernel::Avx512), Kernels::available()[0]);
    }
}
