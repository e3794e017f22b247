//! AVX-512 register tiles, f32 and bf16: the innermost loops of the convolutions (those of AMX are in `amx_tile`).
//!
//! Both types are seen as 32-bit words (one f32, or two neighbouring bf16 values along the summed axis); a tile
//! multiplies a word of each of six rows with 64 columns and adds f32. The raw reads of the product are
//! here; that their addresses can be read is the duty of `row_table`, and the sizes of the callers (`indirect`,
//! `indirect_weight`).
use crate::amx_tile;
use crate::element::Element;
use crate::kernel::Kernel;

/// Columns of a tile: four vectors.
pub const COLUMNS: usize = 64;
/// Rows of a tile: 6 x 4 sums leave registers for four columns and one row word.
pub const ROWS: usize = 6;

/// The rows of a block product: for each segment of the summed axis, where every row's words begin.
#[derive(Clone, Copy)]
pub struct RowTable<'a> {
    /// `[segments, rows]` addresses.
    pub starts: &'a [*const u32],
    /// Number of rows.
    pub rows: usize,
}

/// Words of the summed axis that one block product covers.
#[derive(Clone, Copy)]
pub struct WordBlock {
    /// First segment.
    pub segment: usize,
    /// Number of segments.
    pub segments: usize,
    /// First word in each segment.
    pub first: usize,
    /// Number of words in each segment.
    pub words: usize,
}

/// Which tiles multiply words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tiles {
    /// Words of one f32: `f32_words`.
    F32,
    /// Words of two bf16: `bf16_words`.
    Bf16,
    /// Words of two bf16: `amx_tile`.
    Amx,
}

impl Tiles {
    /// The tiles that a kernel has for maps of `E`.
    pub fn of<E: Element>(kernel: Kernel) -> Option<Self> {
        match (E::PER_WORD, kernel) {
            (1, Kernel::Avx512 | Kernel::Avx512Bf16 | Kernel::Amx) if Kernel::Avx512.is_available() => Some(Self::F32),
            (2, Kernel::Avx512Bf16) => Some(Self::Bf16),
            (2, Kernel::Amx) => Some(Self::Amx),
            _ => None,
        }
    }

    /// The check that these tiles may multiply words of `E`.
    ///
    /// # Panics
    /// If the processor lacks their instructions, or the words are others.
    pub fn assert_available<E: Element>(self) {
        let (per_word, kernel) = match self {
            Self::F32 => (1, Kernel::Avx512),
            Self::Bf16 => (2, Kernel::Avx512Bf16),
            Self::Amx => (2, Kernel::Amx),
        };
        assert!(kernel.is_available() && per_word == E::PER_WORD, "tiles of {kernel:?} on a processor without them");
    }

    /// Rows that a task is best made of.
    pub fn rows(self) -> usize {
        match self {
            Self::F32 | Self::Bf16 => ROWS,
            Self::Amx => amx_tile::SIDE,
        }
    }

    /// Words of the summed axis with those that must exist behind them.
    pub fn padded_words(self, words: usize) -> usize {
        match self {
            Self::F32 | Self::Bf16 => words,
            Self::Amx => amx_tile::padded_words(words),
        }
    }
}

macro_rules! tiles {
    ($module:ident, $features:literal, $multiply_add:expr) => {
        pub mod $module {
            use super::{COLUMNS, ROWS, RowTable, WordBlock};
            use std::arch::x86_64::*;

            /// `sums[rows, 64] = or += gathered rows * columns`, over one block of words.
            ///
            /// # Safety
            /// - The processor has this module's target features.
            /// - `columns` holds `block.segments * block.words` runs of 64 words; `sums` holds `table.rows * 64` f32.
            /// - For every segment of the block, each address in the table can be read for `block.first + block.words` words.
            #[target_feature(enable = $features)]
            pub unsafe fn gathered(table: RowTable, block: WordBlock, columns: *const u32, sums: *mut f32, add: bool) {
                let whole = table.rows / ROWS * ROWS;
                for row in (0..whole).step_by(ROWS) {
                    // SAFETY: rows row..row + 6 exist; the caller vouches for the rest.
                    unsafe { gathered_rows::<6>(table, row, block, columns, sums.add(row * COLUMNS), add) };
                }
                // SAFETY: the rows from `whole` on exist and are as many as the chosen tile has.
                unsafe {
                    let sums = sums.add(whole * COLUMNS);
                    match table.rows - whole {
                        1 => gathered_rows::<1>(table, whole, block, columns, sums, add),
                        2 => gathered_rows::<2>(table, whole, block, columns, sums, add),
                        3 => gathered_rows::<3>(table, whole, block, columns, sums, add),
                        4 => gathered_rows::<4>(table, whole, block, columns, sums, add),
                        5 => gathered_rows::<5>(table, whole, block, columns, sums, add),
                        _ => {}
                    }
                }
            }

            #[target_feature(enable = $features)]
            #[inline]
            unsafe fn gathered_rows<const R: usize>(
                table: RowTable,
                row: usize,
                block: WordBlock,
                columns: *const u32,
                sums: *mut f32,
                add: bool,
            ) {
                let mut acc = [[_mm512_setzero_ps(); 4]; R];
                let mut column = columns;
                for segment in block.segment..block.segment + block.segments {
                    // SAFETY: addresses, words and columns exist by the caller's contract.
                    unsafe {
                        let starts = table.starts.as_ptr().add(segment * table.rows + row);
                        let mut rows = [std::ptr::null::<u32>(); R];
                        for r in 0..R {
                            rows[r] = (*starts.add(r)).add(block.first);
                        }
                        for word in 0..block.words {
                            let b = load_columns(column);
                            for r in 0..R {
                                let a = _mm512_set1_epi32(rows[r].add(word).cast::<i32>().read_unaligned());
                                for v in 0..4 {
                                    acc[r][v] = $multiply_add(acc[r][v], a, b[v]);
                                }
                            }
                            column = column.add(COLUMNS);
                        }
                    }
                }
                // SAFETY: `sums` holds R rows of 64.
                unsafe { store(acc, sums, COLUMNS, add) };
            }

            /// `sums[rows, 64] += rows' * columns` over `words`: both sides packed, word by word.
            ///
            /// # Safety
            /// - The processor has this module's target features.
            /// - `left` holds `words` lines of `stride >= rows` words, `columns` `words` lines of 64.
            /// - `sums` holds `rows` lines of 64 f32 at distance `sum_stride`.
            #[target_feature(enable = $features)]
            pub unsafe fn packed(
                rows: usize,
                words: usize,
                left: *const u32,
                stride: usize,
                columns: *const u32,
                sums: *mut f32,
                sum_stride: usize,
            ) {
                let whole = rows / ROWS * ROWS;
                for row in (0..whole).step_by(ROWS) {
                    // SAFETY: rows row..row + 6 exist; the caller vouches for the rest.
                    unsafe {
                        packed_rows::<6>(words, left.add(row), stride, columns, sums.add(row * sum_stride), sum_stride);
                    }
                }
                // SAFETY: the rows from `whole` on exist and are as many as the chosen tile has.
                unsafe {
                    let (left, sums) = (left.add(whole), sums.add(whole * sum_stride));
                    match rows - whole {
                        1 => packed_rows::<1>(words, left, stride, columns, sums, sum_stride),
                        2 => packed_rows::<2>(words, left, stride, columns, sums, sum_stride),
                        3 => packed_rows::<3>(words, left, stride, columns, sums, sum_stride),
                        4 => packed_rows::<4>(words, left, stride, columns, sums, sum_stride),
                        5 => packed_rows::<5>(words, left, stride, columns, sums, sum_stride),
                        _ => {}
                    }
                }
            }

            #[target_feature(enable = $features)]
            #[inline]
            unsafe fn packed_rows<const R: usize>(
                words: usize,
                left: *const u32,
                stride: usize,
                columns: *const u32,
                sums: *mut f32,
                sum_stride: usize,
            ) {
                let mut acc = [[_mm512_setzero_ps(); 4]; R];
                let (mut left, mut column) = (left, columns);
                for _ in 0..words {
                    // SAFETY: lines and columns exist by the caller's contract.
                    unsafe {
                        let b = load_columns(column);
                        for r in 0..R {
                            let a = _mm512_set1_epi32(left.add(r).cast::<i32>().read_unaligned());
                            for v in 0..4 {
                                acc[r][v] = $multiply_add(acc[r][v], a, b[v]);
                            }
                        }
                        left = left.wrapping_add(stride);
                        column = column.add(COLUMNS);
                    }
                }
                // SAFETY: `sums` holds R rows of 64 at this distance.
                unsafe { store(acc, sums, sum_stride, true) };
            }

            #[target_feature(enable = $features)]
            #[inline]
            unsafe fn load_columns(column: *const u32) -> [__m512i; 4] {
                // SAFETY: the caller owns 64 words from `column` on.
                unsafe {
                    [
                        _mm512_loadu_si512(column.cast()),
                        _mm512_loadu_si512(column.add(16).cast()),
                        _mm512_loadu_si512(column.add(32).cast()),
                        _mm512_loadu_si512(column.add(48).cast()),
                    ]
                }
            }

            #[target_feature(enable = $features)]
            #[inline]
            unsafe fn store<const R: usize>(acc: [[__m512; 4]; R], sums: *mut f32, stride: usize, add: bool) {
                for r in 0..R {
                    for v in 0..4 {
                        // SAFETY: the caller owns R rows of 64 f32 at distance `stride`.
                        unsafe {
                            let target = sums.add(r * stride + 16 * v);
                            let old = if add { _mm512_loadu_ps(target) } else { _mm512_setzero_ps() };
                            _mm512_storeu_ps(target, _mm512_add_ps(old, acc[r][v]));
                        }
                    }
                }
            }
        }
    };
}

tiles!(f32_words, "avx512f", |sum, a, b| _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum));
tiles!(bf16_words, "avx512f,avx512bf16", |sum, a: __m512i, b: __m512i| _mm512_dpbf16_ps(
    sum,
    std::mem::transmute::<__m512i, __m512bh>(a),
    std::mem::transmute::<__m512i, __m512bh>(b)
));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::Bf16;

    const GUARD: usize = 64;

    /// Words with NaN on both sides: a read too many shows in the sums.
    fn guarded<E: Element>(words: usize, seed: usize) -> (Vec<u32>, Vec<[f32; 2]>) {
        let values: Vec<[f32; 2]> =
            (0..words).map(|i| [((i * 5 + seed) % 11) as f32 - 5.0, ((i * 3 + seed) % 7) as f32 - 3.0]).collect();
        let nan = vec![E::word([f32::NAN, f32::NAN]); GUARD];
        let inner = values.iter().map(|v| E::word(*v));
        (nan.iter().copied().chain(inner).chain(nan.iter().copied()).collect(), values)
    }

    fn dot<E: Element>(a: [f32; 2], b: [f32; 2]) -> f32 {
        a[0] * b[0] + if E::PER_WORD == 2 { a[1] * b[1] } else { 0.0 }
    }

    /// Small integers: every sum is exact, so results are equal and not only close.
    fn both_products<E: Element>(
        gathered: unsafe fn(RowTable, WordBlock, *const u32, *mut f32, bool),
        packed: unsafe fn(usize, usize, *const u32, usize, *const u32, *mut f32, usize),
    ) {
        for (rows, words, segments) in (1..=13).flat_map(|rows| [(rows, 1, 1), (rows, 5, 2), (rows, 3, 4)]) {
            let (columns, column_values) = guarded::<E>(segments * words * COLUMNS, 1);
            let (left, left_values) = guarded::<E>(segments * rows * words, 2);
            let starts: Vec<*const u32> = (0..segments * rows).map(|i| left[GUARD + i * words..].as_ptr()).collect();
            let mut sums = vec![9.0f32; 2 * GUARD + rows * COLUMNS];
            let block = WordBlock { segment: 0, segments, first: 0, words };
            let want = |row: usize, column: usize| -> f32 {
                let terms = (0..segments * words).map(|i| {
                    let (segment, word) = (i / words, i % words);
                    let a = left_values[(segment * rows + row) * words + word];
                    dot::<E>(a, column_values[i * COLUMNS + column])
                });
                terms.sum()
            };
            for add in [false, true] {
                let table = RowTable { starts: &starts, rows };
                // SAFETY: sizes as stated above; the caller has checked the features.
                unsafe { gathered(table, block, columns[GUARD..].as_ptr(), sums[GUARD..].as_mut_ptr(), add) };
                for (i, sum) in sums.iter().enumerate() {
                    let inside = i >= GUARD && i < GUARD + rows * COLUMNS;
                    let times = if add { 2.0 } else { 1.0 };
                    let expected =
                        if inside { times * want((i - GUARD) / COLUMNS, (i - GUARD) % COLUMNS) } else { 9.0 };
                    assert_eq!(*sum, expected, "{rows} rows, {words} words, {segments} segments, place {i}");
                }
            }
            // Packed: words are lines of `rows`, the sums lie 80 apart.
            let lines = segments * words;
            let stride = 80;
            let mut sums = vec![9.0f32; 2 * GUARD + (rows - 1) * stride + COLUMNS];
            // SAFETY: `left` holds `lines * rows` words, `columns` `lines` lines, `sums` `rows` lines 80 apart.
            unsafe {
                let (left, columns) = (left[GUARD..].as_ptr(), columns[GUARD..].as_ptr());
                packed(rows, lines, left, rows, columns, sums[GUARD..].as_mut_ptr(), stride);
            }
            for (i, sum) in sums.iter().enumerate() {
                let place = i.checked_sub(GUARD).filter(|p| p / stride < rows && p % stride < COLUMNS);
                let expected = 9.0
                    + place.map_or(0.0, |place| {
                        let (row, column) = (place / stride, place % stride);
                        (0..lines)
                            .map(|l| dot::<E>(left_values[l * rows + row], column_values[l * COLUMNS + column]))
                            .sum()
                    });
                assert_eq!(*sum, expected, "packed: {rows} rows, {lines} words, place {i}");
            }
        }
    }

    #[test]
    fn tiles_against_plain_sums_between_guard_bands() {
        if Kernel::Avx512.is_available() {
            both_products::<f32>(f32_words::gathered, f32_words::packed);
        }
        if Kernel::Avx512Bf16.is_available() {
            both_products::<Bf16>(bf16_words::gathered, bf16_words::packed);
        }
    }
}
