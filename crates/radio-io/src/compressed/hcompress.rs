//! HCOMPRESS_1: a two-dimensional Haar transform whose coefficients are stored bit plane by bit plane as quadtrees.
//!
//! White, Postman & Lattanzi 1992; FITS standard 4.0, section 10.4.4. The inverse transform rounds in a way that makes whole
//! numbers come back exactly; where coefficients were divided by a scale, they may be smoothed on the way, which takes the
//! blocks out of faint sky.

/// Decodes a tile of `pixels.len()` numbers in row order, of `tile_cols` columns.
///
/// # Errors
/// A stream that is none, of another size, or cut.
pub(crate) fn decode(bytes: &[u8], smooth: bool, tile_cols: usize, pixels: &mut [i64]) -> Result<(), &'static str> {
    let header = bytes.first_chunk::<25>().ok_or(CUT)?;
    if header[..2] != [0xdd, 0x99] {
        return Err("the stream does not begin with DD99");
    }
    let number = |at: usize| i32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let side = |at: usize| usize::try_from(number(at)).ok().filter(|side| *side > 0);
    let (rows, cols) = side(2).zip(side(6)).ok_or("its size is not positive")?;
    if rows.checked_mul(cols) != Some(pixels.len()) || cols != tile_cols {
        return Err("its size is not that of the tile");
    }
    let scale = i64::from(number(10));
    let sum = header[14..22].iter().fold(0_i64, |value, &byte| value << 8 | i64::from(byte));
    let planes = [header[22], header[23], header[24]].map(u32::from);
    if planes.iter().any(|&count| count > 62) {
        return Err("it announces more bit planes than numbers have");
    }
    pixels.fill(0);
    let mut bits = Bits { bytes: &bytes[25..], next: 0, buffer: 0, held: 0 };
    let (upper, left) = (rows.div_ceil(2), cols.div_ceil(2));
    // Sums, differences along columns, along rows, and both, a quarter of the map each.
    let quarters = [
        (0, upper, left, planes[0]),
        (left, upper, cols / 2, planes[1]),
        (cols * upper, rows / 2, left, planes[1]),
        (cols * upper + left, rows / 2, cols / 2, planes[2]),
    ];
    let mut codes = Vec::new();
    for (start, n_rows, n_cols, n_planes) in quarters {
        if n_rows > 0 && n_cols > 0 {
            read_quadtree(&mut bits, &mut pixels[start..], cols, (n_rows, n_cols), n_planes, &mut codes)?;
        }
    }
    if bits.take(4)? != 0 {
        return Err("the mark behind the bit planes is missing");
    }
    bits.skip_to_byte();
    for pixel in pixels.iter_mut().filter(|pixel| **pixel != 0) {
        if bits.take(1)? == 1 {
            *pixel = -*pixel;
        }
    }
    pixels[0] = sum;
    if scale > 1 {
        pixels.iter_mut().for_each(|pixel| *pixel = pixel.wrapping_mul(scale));
    }
    invert(pixels, rows, cols, smooth.then_some(scale >> 1).filter(|&most| most > 0));
    Ok(())
}

const CUT: &str = "the stream ends before the last pixel";

struct Bits<'a> {
    bytes: &'a [u8],
    next: usize,
    buffer: u32,
    held: u32,
}

impl Bits<'_> {
    /// The next `count` bits, at most 8.
    fn take(&mut self, count: u32) -> Result<u8, &'static str> {
        if self.held < count {
            let byte = self.bytes.get(self.next).ok_or(CUT)?;
            self.buffer = self.buffer << 8 | u32::from(*byte);
            self.next += 1;
            self.held += 8;
        }
        self.held -= count;
        Ok((self.buffer >> self.held) as u8 & ((1_u16 << count) - 1) as u8)
    }

    fn skip_to_byte(&mut self) {
        self.held = 0;
    }

    /// Four bits of a quadtree node, in the fixed Huffman code of the format.
    fn take_node(&mut self) -> Result<u8, &'static str> {
        let three = self.take(3)?;
        if three < 4 {
            return Ok(1 << three);
        }
        let four = three << 1 | self.take(1)?;
        Ok(match four {
            8 => 3,
            9 => 5,
            10 => 10,
            11 => 12,
            12 => 15,
            _ => match four << 1 | self.take(1)? {
                26 => 6,
                27 => 7,
                28 => 9,
                29 => 11,
                30 => 13,
                _ => {
                    if self.take(1)? == 0 {
                        0
                    } else {
                        14
                    }
                }
            },
        })
    }
}

/// How often a length must be halved, rounding up, to come to 1.
fn halvings(length: usize) -> u32 {
    length.next_power_of_two().trailing_zeros()
}

/// The bit planes of one quarter, which lies in a map of `stride` columns.
fn read_quadtree(
    bits: &mut Bits,
    quarter: &mut [i64],
    stride: usize,
    (rows, cols): (usize, usize),
    n_planes: u32,
    codes: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let depth = halvings(rows.max(cols));
    for plane in (0..n_planes).rev() {
        let n_codes = rows.div_ceil(2) * cols.div_ceil(2);
        codes.clear();
        codes.resize(n_codes.max(1), 0);
        match bits.take(4)? {
            // The nodes of the lowest level as they are.
            0 => {
                for code in codes.iter_mut() {
                    *code = bits.take(4)?;
                }
            }
            0xf => {
                codes[0] = bits.take_node()?;
                // Each level has half as many rows and columns as the next one, rounding up.
                for level in (1..depth).rev() {
                    let (n_rows, n_cols) = (rows.div_ceil(1 << level), cols.div_ceil(1 << level));
                    spread(codes, n_rows, n_cols);
                    for code in codes[..n_rows * n_cols].iter_mut().rev().filter(|code| **code != 0) {
                        *code = bits.take_node()?;
                    }
                }
            }
            _ => return Err("a bit plane has an unknown form"),
        }
        let code_cols = cols.div_ceil(2);
        for row in 0..rows {
            let line = &mut quarter[row * stride..][..cols];
            let codes = &codes[row / 2 * code_cols..];
            // The four bits of a node: upper left, upper right, lower left, lower right.
            let high = if row % 2 == 0 { 3 } else { 1 };
            for (col, pixel) in line.iter_mut().enumerate() {
                *pixel |= i64::from(codes[col / 2] >> (high - col % 2) & 1) << plane;
            }
        }
    }
    Ok(())
}

/// Gives each of `n_rows · n_cols` places its bit of the node that covers it, in place.
fn spread(codes: &mut [u8], n_rows: usize, n_cols: usize) {
    let parent_cols = n_cols.div_ceil(2);
    // From the end: a place is never before its parent.
    for row in (0..n_rows).rev() {
        for col in (0..n_cols).rev() {
            let parent = codes[row / 2 * parent_cols + col / 2];
            codes[row * n_cols + col] = parent >> (3 - 2 * (row % 2) - col % 2) & 1;
        }
    }
}

/// The inverse transform, from one coefficient to the whole map in steps of two. `smoothing` is the largest change that
/// smoothing may make.
fn invert(map: &mut [i64], rows: usize, cols: usize, smoothing: Option<i64>) {
    let depth = halvings(rows.max(cols));
    if depth == 0 {
        return;
    }
    let mut line = Vec::new();
    let bit2 = 1_i64 << (depth + 1);
    map[0] = round(map[0], bit2);
    for level in (0..depth).rev() {
        let (n_rows, n_cols) = (rows.div_ceil(1 << level), cols.div_ceil(1 << level));
        for row in 0..n_rows {
            interleave(map, row * cols, 1, n_cols, &mut line);
        }
        for col in 0..n_cols {
            interleave(map, col, cols, n_rows, &mut line);
        }
        if let Some(most) = smoothing {
            smooth(map, cols, (n_rows, n_cols), most);
        }
        let bit0 = 1_i64 << level;
        join_blocks(map, cols, (n_rows, n_cols), bit0, if level == 0 { 2 } else { 1 });
    }
}

/// To a multiple of `bit`, a power of two; halves away from zero.
fn round(value: i64, bit: i64) -> i64 {
    let half = bit >> 1;
    let add = if value >= 0 { half } else { half - 1 };
    value.wrapping_add(add) & -bit
}

/// The first half of a line to its even places, the second to its odd ones.
fn interleave(map: &mut [i64], start: usize, step: usize, count: usize, line: &mut Vec<i64>) {
    line.clear();
    line.extend((0..count).map(|at| map[start + at * step]));
    let half = count.div_ceil(2);
    for at in 0..count {
        map[start + at * step] = line[at / 2 + if at % 2 == 0 { 0 } else { half }];
    }
}

/// From the sum and differences of each block of 2 x 2 to its pixels, halved (quartered in the last step).
fn join_blocks(map: &mut [i64], cols: usize, (n_rows, n_cols): (usize, usize), bit0: i64, shift: u32) {
    let bit1 = bit0 << 1;
    // The bits below the rounding say which way odd sums were rounded; in the last step there is none for `both`.
    let rounded = |value: i64| round(value, bit1);
    let rounded_both = |value: i64| if shift == 2 { value } else { round(value, bit0) };
    for row in (0..n_rows).step_by(2) {
        for col in (0..n_cols).step_by(2) {
            let at = row * cols + col;
            let sum = map[at];
            let (below, right) = (row + 1 < n_rows, col + 1 < n_cols);
            if below && right {
                let both = rounded_both(map[at + cols + 1]);
                let low0 = both & bit0;
                let with_low =
                    |value: i64| if value >= 0 { value.wrapping_sub(low0) } else { value.wrapping_add(low0) };
                let (down, across) = (with_low(rounded(map[at + cols])), with_low(rounded(map[at + 1])));
                let low1 = (both ^ down ^ across) & bit1;
                let sum = match (sum >= 0, low0 == 0) {
                    (true, _) => sum.wrapping_add(low0).wrapping_sub(low1),
                    (false, true) => sum.wrapping_add(low1),
                    (false, false) => sum.wrapping_add(low0).wrapping_sub(low1),
                };
                let pixel = |a: i64, b: i64, c: i64| sum.wrapping_add(a).wrapping_add(b).wrapping_add(c) >> shift;
                map[at + cols + 1] = pixel(down, across, both);
                map[at + cols] = pixel(down, across.wrapping_neg(), both.wrapping_neg());
                map[at + 1] = pixel(down.wrapping_neg(), across, both.wrapping_neg());
                map[at] = pixel(down.wrapping_neg(), across.wrapping_neg(), both);
            } else if below || right {
                let other = if below { at + cols } else { at + 1 };
                let difference = rounded(map[other]);
                let low1 = difference & bit1;
                let sum = if sum >= 0 { sum.wrapping_sub(low1) } else { sum.wrapping_add(low1) };
                map[other] = sum.wrapping_add(difference) >> shift;
                map[at] = sum.wrapping_sub(difference) >> shift;
            } else {
                map[at] = sum >> shift;
            }
        }
    }
}

/// Changes each difference towards what the neighbouring sums suggest, by at most `most` and never against their order.
fn smooth(map: &mut [i64], cols: usize, (n_rows, n_cols): (usize, usize), most: i64) {
    let slope = |low: i64, middle: i64, high: i64| {
        let (up, down) = (high.wrapping_sub(middle), middle.wrapping_sub(low));
        let largest = up.min(down).max(0).wrapping_shl(2);
        let smallest = up.max(down).min(0).wrapping_shl(2);
        (smallest < largest).then(|| high.wrapping_sub(low).min(largest).max(smallest))
    };
    // Division that rounds towards zero, as a shift would not.
    let change = |wanted: i64, now: i64, shift: u32| {
        let difference = wanted.wrapping_sub(now.wrapping_shl(shift));
        let up = if difference >= 0 { 0 } else { (1 << shift) - 1 };
        (difference.wrapping_add(up) >> shift).min(most).max(-most)
    };
    let two_rows = 2 * cols;
    for row in (2..n_rows.saturating_sub(2)).step_by(2) {
        for col in (0..n_cols).step_by(2) {
            let at = row * cols + col;
            if let Some(wanted) = slope(map[at - two_rows], map[at], map[at + two_rows]) {
                map[at + cols] = map[at + cols].wrapping_add(change(wanted, map[at + cols], 3));
            }
        }
    }
    for row in (0..n_rows).step_by(2) {
        for col in (2..n_cols.saturating_sub(2)).step_by(2) {
            let at = row * cols + col;
            if let Some(wanted) = slope(map[at - 2], map[at], map[at + 2]) {
                map[at + 1] = map[at + 1].wrapping_add(change(wanted, map[at + 1], 3));
            }
        }
    }
    for row in (2..n_rows.saturating_sub(2)).step_by(2) {
        for col in (2..n_cols.saturating_sub(2)).step_by(2) {
            let at = row * cols + col;
            let middle = map[at];
            // Above and below in rows, before and behind in columns.
            let above_before = map[at - two_rows - 2].wrapping_sub(middle);
            let above_behind = map[at - two_rows + 2].wrapping_sub(middle);
            let below_before = map[at + two_rows - 2].wrapping_sub(middle);
            let below_behind = map[at + two_rows + 2].wrapping_sub(middle);
            let twist = below_behind.wrapping_add(above_before).wrapping_sub(above_behind).wrapping_sub(below_before);
            let (down, across) = (map[at + cols].wrapping_shl(1), map[at + 1].wrapping_shl(1));
            let sum = down.wrapping_add(across);
            let turn = down.wrapping_sub(across);
            // Four neighbours, each as a limit on the twist.
            let limits = |positive: fn(i64) -> i64| {
                [
                    positive(below_behind).wrapping_sub(sum),
                    positive(below_before.wrapping_neg()).wrapping_add(turn),
                    positive(above_behind.wrapping_neg()).wrapping_sub(turn),
                    positive(above_before).wrapping_add(sum),
                ]
            };
            let largest = limits(|value| value.max(0)).into_iter().fold(i64::MAX, i64::min).wrapping_shl(4);
            let smallest = limits(|value| value.min(0)).into_iter().fold(i64::MIN, i64::max).wrapping_shl(4);
            if smallest < largest {
                let wanted = twist.min(largest).max(smallest);
                let place = at + cols + 1;
                map[place] = map[place].wrapping_add(change(wanted, map[place], 6));
            }
        }
    }
}
