//! The one door to the matrix product: `gemm` on strided slices, checked, single-threaded per call.
//!
//! Kernels split their work into tasks of fixed size (never by thread count) and call this inside
//! each task, so results do not depend on the number of threads.

/// A strided matrix inside a slice: element `(i, j)` lies at `i * row_stride + j * col_stride`.
#[derive(Clone, Copy)]
pub struct Strided<'a> {
    /// Where the values live.
    pub values: &'a [f32],
    /// Distance between rows.
    pub row_stride: usize,
    /// Distance between columns.
    pub col_stride: usize,
}

impl<'a> Strided<'a> {
    /// A row-major matrix with `cols` columns.
    pub fn rows(values: &'a [f32], cols: usize) -> Self {
        Self { values, row_stride: cols, col_stride: 1 }
    }

    /// The transpose, without moving a value.
    pub fn transposed(self) -> Self {
        Self { values: self.values, row_stride: self.col_stride, col_stride: self.row_stride }
    }

    fn holds(&self, rows: usize, cols: usize) -> bool {
        rows == 0 || cols == 0 || (rows - 1) * self.row_stride + (cols - 1) * self.col_stride < self.values.len()
    }
}

/// `out = a * b`, or `out += a * b` with `accumulate`; `a` is `[m, k]`, `b` is `[k, n]`, `out` row-major `[m, n]`.
///
/// # Panics
/// If a slice is too short for the stated sizes: a bug of the calling kernel.
pub fn matmul(m: usize, n: usize, k: usize, a: Strided, b: Strided, out: &mut [f32], accumulate: bool) {
    assert!(a.holds(m, k) && b.holds(k, n) && out.len() >= m * n, "matmul {m}x{k}x{n}: slice too short");
    if m == 0 || n == 0 {
        return;
    }
    // SAFETY: the assertion above proves that every element (i, j) the product reads or writes lies inside
    // its slice; `out` is borrowed mutably and so overlaps neither input.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            accumulate,
            a.values.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_transpose_and_accumulate() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // [2, 3]
        let b = [1.0, 0.0, 2.0, 1.0, 0.0, 3.0]; // [3, 2]
        let mut out = [10.0; 4];
        matmul(2, 2, 3, Strided::rows(&a, 3), Strided::rows(&b, 2), &mut out, false);
        assert_eq!(out, [5.0, 11.0, 14.0, 23.0]);
        matmul(2, 2, 3, Strided::rows(&a, 3), Strided::rows(&b, 2), &mut out, true);
        assert_eq!(out, [10.0, 22.0, 28.0, 46.0]);
        let mut gram = [0.0; 9];
        matmul(3, 3, 2, Strided::rows(&a, 3).transposed(), Strided::rows(&a, 3), &mut gram, false);
        assert_eq!(gram, [17.0, 22.0, 27.0, 22.0, 29.0, 36.0, 27.0, 36.0, 45.0]);
    }

    #[test]
    #[should_panic(expected = "slice too short")]
    fn a_short_slice_is_refused() {
        matmul(2, 2, 3, Strided::rows(&[0.0; 5], 3), Strided::rows(&[0.0; 6], 2), &mut [0.0; 4], false);
    }
}
