//! The table of products, block by block: never more than one block a task in memory.

use crate::points::Points;

/// Query rows of one task.
pub(crate) const QUERIES: usize = 256;
/// Reference rows of one block.
pub(crate) const REFERENCES: usize = 512;

/// Hands every block of products of the rows `first..first + count` with the reference to `visit`, in the order of the
/// reference from row `from` on: first reference row of the block, rows in it, and products `[count, rows]`. Ends early when `visit` returns `false`.
pub(crate) fn visit_tiles(
    queries: &Points,
    first: usize,
    count: usize,
    reference: &Points,
    from: usize,
    mut visit: impl FnMut(usize, usize, &[f32]) -> bool,
) {
    let columns = reference.table.columns;
    let mut products = vec![0.0_f32; count * REFERENCES];
    let query_rows = &queries.copy[first * columns..(first + count) * columns];
    for start in (from..reference.table.rows).step_by(REFERENCES) {
        let width = REFERENCES.min(reference.table.rows - start);
        let reference_rows = &reference.copy[start * columns..(start + width) * columns];
        row_products(query_rows, reference_rows, columns, &mut products[..count * width]);
        if !visit(start, width, &products[..count * width]) {
            return;
        }
    }
}

/// `out[i, j] = a[i] · b[j]` for rows of `columns` values, on the calling thread.
fn row_products(a: &[f32], b: &[f32], columns: usize, out: &mut [f32]) {
    let (m, n) = (a.len() / columns, b.len() / columns);
    assert!(a.len() == m * columns && b.len() == n * columns && out.len() == m * n, "blocks of whole rows");
    // SAFETY: the assertion above proves that every element read or written lies inside its slice; `out` is borrowed
    // mutably and so overlaps neither input.
    unsafe {
        gemm::gemm(
            m,
            n,
            columns,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            a.as_ptr(),
            1,
            columns as isize,
            b.as_ptr(),
            columns as isize,
            1,
            0.0f32,
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
    fn products_of_rows() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [1.0, 0.0, 2.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0];
        let mut out = [9.0; 6];
        row_products(&a, &b, 3, &mut out);
        assert_eq!(out, [7.0, 6.0, 3.0, 16.0, 15.0, 6.0]);
    }
}
