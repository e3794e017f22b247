//! The tile registers of one thread, and what the instructions do to them (Intel's Software Developer's Manual, volume 2).
//!
//! Whatever makes a processor fault ends the process with a reason.
use std::sync::atomic::{AtomicBool, Ordering};

use super::fail;

const TILES: usize = 8;
const ROWS: usize = 16;
/// 32-bit words of a row.
const WORDS: usize = 16;

/// Whether fused multiply-adds can be compiled to instructions; asked outside the handler.
static HAS_FMA: AtomicBool = AtomicBool::new(false);

/// Looks for the processor's multiply-add, to be quick where it has one (same bits either way).
pub fn choose_multiply_add() {
    HAS_FMA.store(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"), Ordering::Relaxed);
}

/// Configuration and contents.
pub struct TileRegisters {
    configured: bool,
    /// Rows in use of every tile.
    rows: [usize; TILES],
    /// Bytes in use of every row.
    row_bytes: [usize; TILES],
    words: [[[u32; WORDS]; ROWS]; TILES],
}

impl TileRegisters {
    /// As a thread starts, and after TILERELEASE.
    pub const UNCONFIGURED: Self =
        Self { configured: false, rows: [0; TILES], row_bytes: [0; TILES], words: [[[0; WORDS]; ROWS]; TILES] };

    /// LDTILECFG.
    pub fn load_config(&mut self, bytes: &[u8; 64]) {
        *self = Self::UNCONFIGURED;
        match bytes[0] {
            0 => return,
            1 => self.configured = true,
            _ => fail("LDTILECFG: unknown palette"),
        }
        if bytes[1..16].iter().chain(&bytes[32..48]).chain(&bytes[56..]).any(|&byte| byte != 0) {
            fail("LDTILECFG: a start row, or reserved bytes that are not zero");
        }
        for tile in 0..TILES {
            let row_bytes = usize::from(bytes[16 + 2 * tile]) | usize::from(bytes[17 + 2 * tile]) << 8;
            let rows = usize::from(bytes[48 + tile]);
            if row_bytes > 4 * WORDS || rows > ROWS || (rows == 0) != (row_bytes == 0) {
                fail("LDTILECFG: a tile too large, or half empty");
            }
            (self.rows[tile], self.row_bytes[tile]) = (rows, row_bytes);
        }
    }

    /// The number of a tile that has a shape.
    fn shaped(&self, tile: u8) -> usize {
        if !self.configured {
            fail("a tile instruction on a thread without configuration");
        }
        if self.rows[usize::from(tile)] == 0 {
            fail("a tile instruction on a tile without shape");
        }
        usize::from(tile)
    }

    /// TILEZERO.
    pub fn zero(&mut self, tile: u8) {
        let tile = self.shaped(tile);
        self.words[tile] = [[0; WORDS]; ROWS];
    }

    /// TILELOADD: rows `stride` bytes apart; what is not in use becomes zero.
    ///
    /// # Safety
    /// The bytes of the tile's rows can be read.
    pub unsafe fn load(&mut self, tile: u8, start: *const u8, stride: isize) {
        let tile = self.shaped(tile);
        self.words[tile] = [[0; WORDS]; ROWS];
        for row in 0..self.rows[tile] {
            let target = self.words[tile][row].as_mut_ptr().cast::<u8>();
            // SAFETY: the caller's promise; a row holds 64 bytes.
            unsafe {
                start.wrapping_offset(row as isize * stride).copy_to_nonoverlapping(target, self.row_bytes[tile])
            };
        }
    }

    /// TILESTORED.
    ///
    /// # Safety
    /// The bytes of the tile's rows can be written.
    pub unsafe fn store(&self, tile: u8, start: *mut u8, stride: isize) {
        let tile = self.shaped(tile);
        for row in 0..self.rows[tile] {
            let source = self.words[tile][row].as_ptr().cast::<u8>();
            // SAFETY: as in `load`.
            unsafe {
                source.copy_to_nonoverlapping(start.wrapping_offset(row as isize * stride), self.row_bytes[tile])
            };
        }
    }

    /// TDPBF16PS.
    pub fn dot_bf16(&mut self, sums: u8, left: u8, right: u8) {
        let (c, a, b) = (self.shaped(sums), self.shaped(left), self.shaped(right));
        if c == a || a == b || c == b {
            fail("TDPBF16PS: one tile in two places");
        }
        let whole = [a, b, c].iter().all(|&tile| self.row_bytes[tile].is_multiple_of(4));
        let fits = self.row_bytes[a] == 4 * self.rows[b] && self.rows[a] == self.rows[c];
        if !whole || !fits || self.row_bytes[b] != self.row_bytes[c] {
            fail("TDPBF16PS: shapes that do not fit");
        }
        let (rows, depth, columns) = (self.rows[c], self.rows[b], self.row_bytes[c] / 4);
        let (a, b) = (self.words[a], self.words[b]);
        let c = &mut self.words[c];
        if HAS_FMA.load(Ordering::Relaxed) {
            // SAFETY: the processor has these features.
            unsafe { dot_with_fma(c, &a, &b, depth) };
        } else {
            dot(c, &a, &b, depth);
        }
        for (row, line) in c.iter_mut().enumerate() {
            line[if row < rows { columns } else { 0 }..].fill(0);
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn dot_with_fma(c: &mut [[u32; WORDS]; ROWS], a: &[[u32; WORDS]; ROWS], b: &[[u32; WORDS]; ROWS], depth: usize) {
    dot(c, a, b, depth);
}

/// Even and odd terms are summed apart, each a fused multiply-add; then the two sums are added to each other, and to `c`.
#[inline(always)]
fn dot(c: &mut [[u32; WORDS]; ROWS], a: &[[u32; WORDS]; ROWS], b: &[[u32; WORDS]; ROWS], depth: usize) {
    let mut columns = [[[0.0f32; WORDS]; 2]; ROWS];
    for (columns, words) in columns.iter_mut().zip(b) {
        for n in 0..WORDS {
            (columns[0][n], columns[1][n]) = (flushed_bits(words[n] << 16), flushed_bits(words[n] & 0xffff_0000));
        }
    }
    for (c, a) in c.iter_mut().zip(a) {
        let (mut even, mut odd) = ([0.0f32; WORDS], [0.0f32; WORDS]);
        for (columns, word) in columns[..depth].iter().zip(a) {
            let (first, second) = (flushed_bits(word << 16), flushed_bits(word & 0xffff_0000));
            for n in 0..WORDS {
                even[n] = flushed(first.mul_add(columns[0][n], even[n]));
                odd[n] = flushed(second.mul_add(columns[1][n], odd[n]));
            }
        }
        for n in 0..WORDS {
            c[n] = flushed(flushed_bits(c[n]) + flushed(even[n] + odd[n])).to_bits();
        }
    }
}

/// Denormal numbers count as zero, and become zero.
#[inline(always)]
fn flushed(value: f32) -> f32 {
    if value.abs() < f32::MIN_POSITIVE { 0f32.copysign(value) } else { value }
}

#[inline(always)]
fn flushed_bits(bits: u32) -> f32 {
    flushed(f32::from_bits(bits))
}
