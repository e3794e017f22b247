//! AMX register tiles, bf16: the innermost loops of the convolutions on processors that have them.
//!
//! One block of assembly multiplies 32 rows of words with 32 columns of words (a word is two neighbouring bf16 values along
//! the summed axis, as in `tile`) and adds f32, in 2 x 2 tiles of 16 x 16 sums. A tile is loaded with one distance between its
//! rows, which the rows below a convolution's pixels do not have: 32 of them are first copied side by side. Tails are
//! filled up with zeros; the tiles keep one shape.
use std::arch::asm;
use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_mask_xor_epi32, _mm512_permutex2var_epi32, _mm512_set_epi32,
    _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512, _mm512_test_epi32_mask,
};
use std::marker::PhantomData;

use bytemuck::Zeroable;

use crate::kernel::wide_vectors;
use crate::nhwc::CacheLine;
use crate::tile::{COLUMNS, RowTable, WordBlock};

/// Rows, and columns, of one block of assembly.
pub const SIDE: usize = 32;
/// Words of the summed axis that a tile takes at a time.
pub const STEP_WORDS: usize = 16;

/// Palette 1, eight tiles of 16 rows of 64 bytes (`LDTILECFG` in Intel's manual: byte 0, u16 from byte 16, u8 from byte 48).
#[repr(C, align(64))]
struct TileShapes([u8; 64]);

static SHAPES: TileShapes = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = 64;
        bytes[48 + tile] = 16;
        tile += 1;
    }
    TileShapes(bytes)
};

/// The tile registers of this thread, in shape while this lives.
pub struct ConfiguredTiles {
    /// Not to be sent to another thread.
    thread: PhantomData<*const ()>,
}

impl ConfiguredTiles {
    /// Shapes this thread's tiles.
    ///
    /// # Safety
    /// Tile instructions can be executed, and this thread has no other [`ConfiguredTiles`].
    pub unsafe fn new() -> Self {
        // SAFETY: reads 64 bytes of a valid configuration; no code of the compiler's uses tile registers.
        unsafe {
            asm!(
                "ldtilecfg [{shapes}]",
                shapes = in(reg) &raw const SHAPES,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, readonly, preserves_flags),
            );
        }
        Self { thread: PhantomData }
    }
}

impl Drop for ConfiguredTiles {
    /// Tiles that are given back need not be saved when the thread is interrupted.
    fn drop(&mut self) {
        // SAFETY: `new` has executed a tile instruction before.
        unsafe {
            asm!(
                "tilerelease",
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nomem, nostack, preserves_flags),
            );
        }
    }
}

/// A matrix as the tiles read or write it: its first value, and the bytes between its rows.
#[derive(Clone, Copy)]
pub struct Lines<T> {
    /// The first value.
    pub start: *mut T,
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// `sums[32, 32] = or += rows[32, steps * 16 words] * columns[steps * 16 words, 32]`.
///
/// # Safety
/// - `rows` can be read in 32 rows of `16 * steps` words, `columns` in `16 * steps` rows of 32 words, and `sums` can be read and
///   written in 32 rows of 32 f32.
/// - `steps` is not 0.
unsafe fn block_32(
    _: &ConfiguredTiles,
    rows: Lines<u32>,
    columns: Lines<u32>,
    steps: usize,
    sums: Lines<f32>,
    add: bool,
) {
    // SAFETY: reads and writes what the caller vouches for: the upper and lower 16 rows of `rows` in steps of 64 bytes, 16 rows of
    // `columns` in two times 64 bytes, and the four quarters of `sums`. `ConfiguredTiles` says that the tiles have their shape.
    unsafe {
        asm!(
            "test {add}, {add}",
            "jz 3f",
            "tileloadd tmm0, [{sums} + {sum_stride}]",
            "tileloadd tmm1, [{sums} + {sum_stride} + 64]",
            "tileloadd tmm2, [{lower_sums} + {sum_stride}]",
            "tileloadd tmm3, [{lower_sums} + {sum_stride} + 64]",
            "jmp 2f",
            "3:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{rows} + {row_stride}]",
            "tileloadd tmm6, [{columns} + {column_stride}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{columns} + {column_stride} + 64]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{lower_rows} + {row_stride}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {rows}, 64",
            "add {lower_rows}, 64",
            "add {columns}, {step}",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{sums} + {sum_stride}], tmm0",
            "tilestored [{sums} + {sum_stride} + 64], tmm1",
            "tilestored [{lower_sums} + {sum_stride}], tmm2",
            "tilestored [{lower_sums} + {sum_stride} + 64], tmm3",
            rows = inout(reg) rows.start => _,
            lower_rows = inout(reg) rows.start.wrapping_byte_add(16 * rows.stride) => _,
            row_stride = in(reg) rows.stride,
            columns = inout(reg) columns.start => _,
            column_stride = in(reg) columns.stride,
            step = in(reg) STEP_WORDS * columns.stride,
            steps = inout(reg) steps => _,
            sums = in(reg) sums.start,
            lower_sums = in(reg) sums.start.wrapping_byte_add(16 * sums.stride),
            sum_stride = in(reg) sums.stride,
            add = in(reg) usize::from(add),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// One panel of columns of a block: its words in lines of 64, and how many of the 64 count.
pub struct Panel<'a> {
    /// The words of the block, filled up to a whole number of steps: what follows its own is multiplied by zero.
    pub words: &'a [u32],
    /// Columns that count.
    pub used: usize,
}

/// `sums[panel][rows, 64] = or += gathered rows * columns of the panel`, over one block of words.
///
/// `sums` holds for every panel a whole number of 32 rows of 64. Rows behind those of the table, and columns that do not count,
/// are left without meaning.
///
/// # Panics
/// On other sizes.
///
/// # Safety
/// For every segment of the block, each address in the table can be read for `block.first + block.words` words.
pub unsafe fn gathered(
    tiles: &ConfiguredTiles,
    table: RowTable,
    block: WordBlock,
    panels: &[Panel],
    left: &mut Vec<CacheLine>,
    sums: &mut [f32],
    add: bool,
) {
    let words = padded_words(block.segments * block.words);
    let panel_sums = table.rows.next_multiple_of(SIDE) * COLUMNS;
    let holds = |panel: &Panel| panel.words.len() >= words * COLUMNS && panel.used <= COLUMNS;
    assert!(words > 0 && panels.iter().all(holds) && sums.len() >= panels.len() * panel_sums);
    left.resize((SIDE * words / 16).max(left.len()), CacheLine::zeroed());
    let left: &mut [u32] = &mut bytemuck::cast_slice_mut(left)[..SIDE * words];
    for row in (0..table.rows).step_by(SIDE) {
        // SAFETY: the caller's promise.
        unsafe { gather(table, row, block, left, words) };
        let left = Lines { start: left.as_mut_ptr(), stride: 4 * words };
        for (panel, sums) in panels.iter().zip(sums.chunks_exact_mut(panel_sums)) {
            for column in (0..panel.used).step_by(SIDE) {
                let columns = Lines { start: panel.words[column..].as_ptr().cast_mut(), stride: 4 * COLUMNS };
                let sums = Lines { start: sums[row * COLUMNS + column..].as_mut_ptr(), stride: 4 * COLUMNS };
                // SAFETY: `left` holds 32 rows of `words`, `columns` (only read) `words` rows of 64 of which 32 lie behind the column,
                // `sums` 32 rows of 64 from `row` on: cut and asserted above. `words` is a multiple of 16, not 0.
                unsafe { block_32(tiles, left, columns, words / STEP_WORDS, sums, add) };
            }
        }
    }
}

/// Copies the block's words of 32 rows side by side; rows and words that do not exist are zero.
///
/// # Safety
/// As [`gathered`]; `row` is a row of the table.
unsafe fn gather(table: RowTable, row: usize, block: WordBlock, left: &mut [u32], words: usize) {
    let rows = SIDE.min(table.rows - row);
    let (filled, empty) = left.split_at_mut(rows * words);
    empty.fill(0);
    for (place, line) in filled.chunks_exact_mut(words).enumerate() {
        let (line, rest) = line.split_at_mut(block.segments * block.words);
        rest.fill(0);
        for (segment, line) in line.chunks_exact_mut(block.words).enumerate() {
            let start = table.starts[(block.segment + segment) * table.rows + row + place];
            // SAFETY: `block.words` words can be read from there on; a slice of the caller's own buffer cannot overlap them. Rows
            // of a map may begin at half a word, hence bytes.
            unsafe {
                let source = start.add(block.first).cast::<u8>();
                std::ptr::copy_nonoverlapping(source, line.as_mut_ptr().cast::<u8>(), 4 * block.words);
            }
        }
    }
}

/// `sums[columns, inner] += columns' * left`: both sides packed along the summed axis, word by word, the columns turned.
///
/// `turned` is `[columns, words]`, `left` is `[words, its stride]`, `sums` is `[columns, its stride]`; `words` is a multiple of 16,
/// the number of columns one of 32, and the strides reach to the next multiple of 32 behind `inner`. The sums behind
/// `inner` are left without meaning.
///
/// # Panics
/// On other sizes.
pub fn turned_product(
    tiles: &ConfiguredTiles,
    words: usize,
    turned: &[u32],
    (left, left_stride): (&[u32], usize),
    inner: usize,
    (sums, stride): (&mut [f32], usize),
) {
    let (columns, whole) = (sums.len() / stride, inner.next_multiple_of(SIDE));
    assert!(words > 0 && words.is_multiple_of(STEP_WORDS) && columns.is_multiple_of(SIDE));
    assert!(whole <= left_stride && whole <= stride, "strides too short for {inner}");
    assert!(turned.len() >= columns * words && left.len() >= words * left_stride);
    for row in (0..columns).step_by(SIDE) {
        let rows = Lines { start: turned[row * words..].as_ptr().cast_mut(), stride: 4 * words };
        for column in (0..inner).step_by(SIDE) {
            let left = Lines { start: left[column..].as_ptr().cast_mut(), stride: 4 * left_stride };
            let sums = Lines { start: sums[row * stride + column..].as_mut_ptr(), stride: 4 * stride };
            // SAFETY: 32 rows of `turned` from `row` on, 32 columns of `left` and `sums` from `column` on exist, as asserted above
            // (`rows` and `left` are only read). `words` is a multiple of 16, not 0.
            unsafe { block_32(tiles, rows, left, words / STEP_WORDS, sums, true) };
        }
    }
}

/// Turns `[lines, stride]` words to `[columns, turned_stride]`; `lines` and `columns` are multiples of 16.
///
/// # Panics
/// On other sizes.
pub fn turn(words: &[u32], stride: usize, turned: &mut [u32], turned_stride: usize, (lines, columns): (usize, usize)) {
    assert!(lines.is_multiple_of(16) && columns.is_multiple_of(16) && columns <= stride && lines <= turned_stride);
    for line in (0..lines).step_by(16) {
        for column in (0..columns).step_by(16) {
            let turned = &mut turned[column * turned_stride + line..];
            let words = &words[line * stride + column..];
            assert!(words.len() >= 15 * stride + 16 && turned.len() >= 15 * turned_stride + 16);
            if wide_vectors() {
                // SAFETY: wide vectors are AVX-512. 16 lines of 16 words lie in either slice.
                unsafe { turn_16(words.as_ptr(), stride, turned.as_mut_ptr(), turned_stride) };
            } else {
                for place in 0..256 {
                    turned[place % 16 * turned_stride + place / 16] = words[place / 16 * stride + place % 16];
                }
            }
        }
    }
}

/// Turns 16 lines of 16 words, by exchanging the off-diagonal quarters of ever smaller squares.
///
/// # Safety
/// 16 lines of 16 words can be read from `words` on, and written from `turned` on.
#[target_feature(enable = "avx512f")]
unsafe fn turn_16(words: *const u32, stride: usize, turned: *mut u32, turned_stride: usize) {
    let mut square = [_mm512_setzero_si512(); 16];
    for (line, target) in square.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *target = unsafe { _mm512_loadu_si512(words.add(line * stride).cast()) };
    }
    exchange::<8>(&mut square);
    exchange::<4>(&mut square);
    exchange::<2>(&mut square);
    exchange::<1>(&mut square);
    for (line, words) in square.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_si512(turned.add(line * turned_stride).cast(), words) };
    }
}

/// In every square of side `2 * HALF` on the diagonal: upper right and lower left change places.
#[target_feature(enable = "avx512f")]
#[inline]
fn exchange<const HALF: usize>(square: &mut [__m512i; 16]) {
    // Lanes of the first vector are 0 to 15, of the second 16 to 31.
    let first = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    let half = _mm512_set1_epi32(HALF as i32);
    let right = _mm512_test_epi32_mask(first, half);
    let second = _mm512_add_epi32(first, _mm512_set1_epi32(16));
    let above = _mm512_mask_xor_epi32(first, right, second, half);
    let below = _mm512_mask_xor_epi32(second, !right, first, half);
    for pair in 0..8 {
        let upper = pair / HALF * 2 * HALF + pair % HALF;
        let (a, b) = (square[upper], square[upper + HALF]);
        square[upper] = _mm512_permutex2var_epi32(a, above, b);
        square[upper + HALF] = _mm512_permutex2var_epi32(a, below, b);
    }
}

/// Words of the summed axis with those that fill up the last step.
pub fn padded_words(words: usize) -> usize {
    words.next_multiple_of(STEP_WORDS)
}

/// Two products of small integers, exact in bf16 and f32, against plain sums: what a wrong layout or shape would break.
///
/// Nothing in it may ask for the kernel in use: the answer waits for this test.
///
/// # Safety
/// Tile instructions can be executed.
pub unsafe fn self_test() -> bool {
    const ROWS: usize = 37;
    const WORDS: usize = 20;
    let value = |i: usize, seed: usize| ((i * 7 + seed) % 11) as f32 - 5.0;
    // Both are exact in bf16, whose bits are the upper half of f32's.
    let word = |i: usize, seed| value(2 * i, seed).to_bits() >> 16 | value(2 * i + 1, seed).to_bits() & 0xffff_0000;
    let rows: Vec<u32> = (0..ROWS * WORDS).map(|i| word(i, 1)).collect();
    let columns: Vec<u32> = (0..padded_words(WORDS) * COLUMNS).map(|i| word(i, 4)).collect();
    let starts: Vec<*const u32> = rows.chunks_exact(WORDS).map(<[u32]>::as_ptr).collect();
    let block = WordBlock { segment: 0, segments: 1, first: 0, words: WORDS };
    let mut sums = vec![f32::NAN; ROWS.next_multiple_of(SIDE) * COLUMNS];
    // SAFETY: the caller's promise; this thread has no other.
    let tiles = unsafe { ConfiguredTiles::new() };
    for add in [false, true] {
        let (table, panel) = (RowTable { starts: &starts, rows: ROWS }, Panel { words: &columns, used: COLUMNS });
        // SAFETY: every row has `WORDS` words.
        unsafe { gathered(&tiles, table, block, &[panel], &mut Vec::new(), &mut sums, add) };
    }
    (0..ROWS * COLUMNS).all(|place| {
        let (row, column) = (place / COLUMNS, place % COLUMNS);
        let terms =
            (0..2 * WORDS).map(|k| value(row * 2 * WORDS + k, 1) * value(2 * (k / 2 * COLUMNS + column) + k % 2, 4));
        sums[place] == 2.0 * terms.sum::<f32>()
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::element::{Bf16, Element};
    use crate::emulated_amx;

    fn values(count: usize, seed: usize) -> Vec<[f32; 2]> {
        (0..count).map(|i| [((i * 5 + seed) % 11) as f32 - 5.0, ((i * 3 + seed) % 7) as f32 - 3.0]).collect()
    }

    fn words(values: &[[f32; 2]]) -> Vec<u32> {
        values.iter().map(|&pair| Bf16::word(pair)).collect()
    }

    fn dot(a: [f32; 2], b: [f32; 2]) -> f32 {
        a[0] * b[0] + a[1] * b[1]
    }

    fn tiles() -> ConfiguredTiles {
        emulated_amx::install();
        // SAFETY: emulated; each test has one at a time.
        unsafe { ConfiguredTiles::new() }
    }

    /// Small integers: every sum is exact. Words behind the rows are NaN, and must not be read; rows beyond the table are.
    #[test]
    fn gathered_rows_against_plain_sums() {
        for (rows, count, segments, panels) in
            [(1, 1, 1, 1), (31, 16, 1, 2), (32, 5, 3, 1), (33, 7, 4, 3), (70, 64, 2, 2), (5, 200, 1, 1)]
        {
            let before = emulated_amx::executed();
            let (lines, tiles) = (segments * count, tiles());
            let left_values = values(segments * rows * count, 2);
            let nan = Bf16::word([f32::NAN; 2]);
            let left: Vec<u32> = words(&left_values).chunks(count).flat_map(|row| [row, &[nan; 20]].concat()).collect();
            let starts: Vec<*const u32> = left.chunks(count + 20).map(<[u32]>::as_ptr).collect();
            let column_values: Vec<_> = (0..panels).map(|panel| values(lines * COLUMNS, panel + 1)).collect();
            let packed: Vec<Vec<u32>> =
                column_values.iter().map(|v| [words(v), vec![9; 15 * COLUMNS]].concat()).collect();
            let used = |panel| if panel == 1 { 20 } else { COLUMNS };
            let padded_rows = rows.next_multiple_of(SIDE);
            let mut sums = vec![f32::NAN; panels * padded_rows * COLUMNS];
            for add in [false, true] {
                let block = WordBlock { segment: 0, segments, first: 0, words: count };
                let panels: Vec<Panel> =
                    packed.iter().enumerate().map(|(panel, words)| Panel { words, used: used(panel) }).collect();
                let table = RowTable { starts: &starts, rows };
                // SAFETY: every row has `count` words.
                unsafe { gathered(&tiles, table, block, &panels, &mut Vec::new(), &mut sums, add) };
                let times = if add { 2.0 } else { 1.0 };
                for (panel, row, column) in (0..panels.len())
                    .flat_map(|panel| (0..rows).flat_map(move |r| (0..used(panel)).map(move |c| (panel, r, c))))
                {
                    let terms = (0..lines).map(|line| {
                        let (segment, word) = (line / count, line % count);
                        let b = column_values[panel][line * COLUMNS + column];
                        dot(left_values[(segment * rows + row) * count + word], b)
                    });
                    let got = sums[(panel * padded_rows + row) * COLUMNS + column];
                    assert_eq!(got, times * terms.sum::<f32>(), "{rows} rows, {count} words: {panel}, {row}, {column}");
                }
            }
            assert!(emulated_amx::executed() > before || crate::amx::is_native());
        }
    }

    #[test]
    fn turned_columns_against_plain_sums() {
        for (count, columns, inner) in [(16, 64, 1), (32, 128, 33), (48, 64, 70)] {
            let (tiles, left_stride, stride) = (tiles(), 112, 96);
            let (turned_values, left_values) = (values(columns * count, 3), values(count * left_stride, 4));
            let (turned, left) = (words(&turned_values), words(&left_values));
            let mut sums = vec![1.0; columns * stride];
            turned_product(&tiles, count, &turned, (&left, left_stride), inner, (&mut sums, stride));
            for (column, row) in (0..columns).flat_map(|column| (0..inner).map(move |row| (column, row))) {
                let terms = (0..count)
                    .map(|word| dot(turned_values[column * count + word], left_values[word * left_stride + row]));
                assert_eq!(sums[column * stride + row], 1.0 + terms.sum::<f32>(), "{count} {columns} {inner}");
            }
        }
    }

    #[test]
    fn turning_exchanges_rows_and_columns() {
        let (lines, columns, stride, turned_stride) = (32, 48, 80, 40);
        let words: Vec<u32> = (0..lines * stride).map(|i| i as u32).collect();
        let mut turned = vec![u32::MAX; columns * turned_stride];
        turn(&words, stride, &mut turned, turned_stride, (lines, columns));
        for (place, &word) in turned.iter().enumerate() {
            let (column, line) = (place / turned_stride, place % turned_stride);
            assert_eq!(word, if line < lines { (line * stride + column) as u32 } else { u32::MAX });
        }
    }

    /// What a processor has to pass before it is believed.
    #[test]
    fn the_self_test_notices_wrong_products() {
        emulated_amx::install();
        // SAFETY: emulated.
        let run = || unsafe { self_test() };
        assert!(run());
        if !crate::amx::is_native() {
            emulated_amx::break_products(true);
            assert!(!run());
            emulated_amx::break_products(false);
            assert!(run());
        }
    }
}
