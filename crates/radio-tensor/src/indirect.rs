//! Convolution without patches: the tiles read the map itself, through a table of row addresses (`row_table`).
//!
//! Nothing is copied, and one kernel serves every size, stride and padding, and backward-data as well ("indirect
//! convolution", Dukhan 2019, arXiv:1907.02129). Task sizes depend on the shape alone: results do not depend on the
//! number of threads.
use std::cell::RefCell;

use bytemuck::Zeroable;
use rayon::prelude::*;

use crate::amx_tile::{self, ConfiguredTiles, Panel};
use crate::batch_norm::{Affine, Moments, relu};
use crate::conv2d::Conv2d;
use crate::element::Element;
use crate::kernel::vectorised;
use crate::nhwc::{CacheLine, Map};
use crate::packed_weights::PackedWeights;
use crate::row_table::Grid;
use crate::tile::{self, COLUMNS, Tiles, WordBlock};

/// Output pixels of one task at most: their f32 sums stay in the second-level cache.
const TASK_PIXELS: usize = 192;
/// Words of the summed axis taken at a time: 64 columns of them fill two thirds of the first-level cache.
const BLOCK_WORDS: usize = 128;
/// Panels of 64 columns for which the AMX tiles gather rows once: their sums take half of a second-level cache of 512 KiB.
const AMX_PANELS: usize = 4;

thread_local! {
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch { starts: Vec::new(), left: Vec::new(), sums: Vec::new() }) };
}

/// Buffers of the task in work on a thread.
struct Scratch {
    starts: Vec<*const u32>,
    left: Vec<CacheLine>,
    sums: Vec<CacheLine>,
}

/// What becomes of the sums of a product.
#[derive(Clone, Copy)]
pub enum Output<'a, E> {
    /// Stored.
    Stored,
    /// Added to what is there.
    Added,
    /// `relu(sum * scale + shift + shortcut)`, as `batch_norm::apply_relu` of the stored sums, in full precision.
    Relu {
        /// Batch norm of the sums.
        line: &'a Affine,
        /// What is added, of the same shape.
        shortcut: Option<&'a [E]>,
        /// Batch norm of what is added.
        own: Option<&'a Affine>,
    },
}

/// `y = x * weights`, put away as `output` says; no map is empty.
///
/// # Panics
/// If the processor lacks the tiles of `E`, or on sizes that do not fit together.
pub fn product<E: Element>(x: &Map<E>, grid: &Grid, weights: &PackedWeights, y: &mut Map<E>, output: Output<E>) {
    let _: Vec<()> = product_then(x, grid, weights, y, output, |_| ());
}

/// `y = x * weights` and the moments of every channel of `y`, each task's taken while its values are in the cache.
///
/// # Panics
/// As [`product`].
pub fn product_with_moments<E: Element>(x: &Map<E>, grid: &Grid, weights: &PackedWeights, y: &mut Map<E>) -> Moments {
    let channels = y.c;
    let moments = product_then(x, grid, weights, y, Output::Stored, |y| Moments::of(y, channels));
    Moments::merged(&moments, channels)
}

/// [`product`], and what `then` makes of the finished values of every task, in order.
fn product_then<E: Element, T: Send>(
    x: &Map<E>,
    grid: &Grid,
    weights: &PackedWeights,
    y: &mut Map<E>,
    output: Output<E>,
    then: impl Fn(&[E]) -> T + Sync,
) -> Vec<T> {
    weights.tiles.assert_available::<E>();
    let channels = y.c;
    assert!(channels == weights.columns && (y.h, y.w) == (grid.rows, grid.cols) && y.n == x.n);
    let task = task_pixels(y.pixels(), weights.tiles);
    y.values_mut()
        .par_chunks_mut(task * channels)
        .enumerate()
        .map(|(index, y)| {
            let places: Vec<u32> = (0..(y.len() / channels) as u32).collect();
            let output = match output {
                Output::Relu { line, shortcut, own } => {
                    let shortcut = shortcut.map(|s| &s[index * task * channels..][..y.len()]);
                    Output::Relu { line, shortcut, own }
                }
                other => other,
            };
            rows_of_product(x, grid, weights, 0, index * task, &places, y, output);
            then(y)
        })
        .collect()
}

/// Backward-data of a strided convolution: one small product for each row and column phase of `dx`.
///
/// `phases` as from [`phases`].
///
/// # Panics
/// As [`product`].
pub fn phased_product<E: Element>(
    dy: &Map<E>,
    stride: usize,
    phases: &[Phase],
    weights: &PackedWeights,
    dx: &mut Map<E>,
    accumulate: bool,
) {
    weights.tiles.assert_available::<E>();
    let (h, w, c) = (dx.h, dx.w, dx.c);
    assert!(c == weights.columns && dx.n == dy.n);
    let images = (TASK_PIXELS * stride * stride / (h * w)).max(1);
    dx.values_mut().par_chunks_mut(images * h * w * c).enumerate().for_each(|(index, dx)| {
        let (first_image, images) = (index * images, dx.len() / (h * w * c));
        let mut places = Vec::new();
        for phase in phases {
            let plane = phase.grid.rows * phase.grid.cols;
            let pixels = images * plane;
            let task = task_pixels(pixels, weights.tiles);
            for first in (0..pixels).step_by(task) {
                places.clear();
                places.extend((first..(first + task).min(pixels)).map(|p| {
                    let (image, row, col) = (p / plane, p % plane / phase.grid.cols, p % phase.grid.cols);
                    ((image * h + phase.row + row * stride) * w + phase.col + col * stride) as u32
                }));
                if !phase.grid.shifts.is_empty() {
                    let first = first_image * plane + first;
                    let output = if accumulate { Output::Added } else { Output::Stored };
                    rows_of_product(dy, &phase.grid, weights, phase.first_tap, first, &places, dx, output);
                } else if !accumulate {
                    places.iter().for_each(|&place| dx[place as usize * c..][..c].fill(E::zeroed()));
                }
            }
        }
    });
}

/// Pixels of the input that share the remainders of row and column by the stride, and the taps that reach them.
pub struct Phase {
    row: usize,
    col: usize,
    first_tap: usize,
    grid: Grid,
}

impl Phase {
    /// The output pixels of the phase and the shifts of its taps.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }
}

/// The phases of backward-data for an input of `h x w` pixels, and the order of the taps they use.
pub fn phases(conv: &Conv2d, h: usize, w: usize) -> (Vec<Phase>, Vec<usize>) {
    let (mut phases, mut order) = (Vec::new(), Vec::new());
    let (s, pad) = (conv.stride as isize, conv.pad as isize);
    for (row, col) in (0..conv.stride).flat_map(|row| (0..conv.stride).map(move |col| (row, col))) {
        let first_tap = order.len();
        let mut shifts = Vec::new();
        for tap in 0..conv.kernel * conv.kernel {
            let down = row as isize + pad - (tap / conv.kernel) as isize;
            let right = col as isize + pad - (tap % conv.kernel) as isize;
            if down % s == 0 && right % s == 0 {
                shifts.push((down / s, right / s));
                order.push(tap);
            }
        }
        let count = |length: usize, phase: usize| length.saturating_sub(phase).div_ceil(conv.stride);
        let grid = Grid { rows: count(h, row), cols: count(w, col), step: 1, shifts };
        if grid.rows > 0 && grid.cols > 0 {
            phases.push(Phase { row, col, first_tap, grid });
        }
    }
    (phases, order)
}

/// The rows of one task: pixels of the grid from `first` on, written to pixels `places` of `y`.
///
/// The two entries above have checked the processor's features.
fn rows_of_product<E: Element>(
    x: &Map<E>,
    grid: &Grid,
    weights: &PackedWeights,
    first_segment: usize,
    first: usize,
    places: &[u32],
    y: &mut [E],
    output: Output<E>,
) {
    let (rows, segments, words) = (places.len(), grid.shifts.len(), weights.words);
    assert!(first_segment + segments <= weights.segments && words == weights.inner.div_ceil(E::PER_WORD));
    let (together, panel_rows) = match weights.tiles {
        Tiles::F32 | Tiles::Bf16 => (1, rows),
        Tiles::Amx => (AMX_PANELS.min(weights.panels()), rows.next_multiple_of(amx_tile::SIDE)),
    };
    // SAFETY: the two entries have checked the processor; this thread works on nothing else until the task is done.
    let amx = (weights.tiles == Tiles::Amx).then(|| unsafe { ConfiguredTiles::new() });
    SCRATCH.with_borrow_mut(|Scratch { starts, left, sums }| {
        let starts = grid.row_starts(x, weights.inner, first, rows, starts);
        sums.resize((together * panel_rows * COLUMNS / 16).max(sums.len()), CacheLine::zeroed());
        let sums: &mut [f32] = &mut bytemuck::cast_slice_mut(sums)[..together * panel_rows * COLUMNS];
        let table = starts.table();
        for first_panel in (0..weights.panels()).step_by(together) {
            let panels = first_panel..(first_panel + together).min(weights.panels());
            for block in word_blocks(segments, words) {
                let (segment, count) = (first_segment + block.segment, block.segments * block.words);
                let columns = |panel| weights.lines(panel, segment, block.first, count);
                let add = block.segment + block.first > 0;
                // SAFETY: `columns` and `sums` were just cut to the sizes the tiles state. From each of
                // the table's addresses on, the words of `inner` values can be read (`RowStarts`), and no block goes
                // beyond them. The processor's features were checked.
                unsafe {
                    match &amx {
                        Some(amx) => {
                            let panel = |panel| Panel { words: columns(panel), used: weights.used(panel) };
                            let panels: Vec<Panel> = panels.clone().map(panel).collect();
                            amx_tile::gathered(amx, table, block, &panels, left, sums, add);
                        }
                        None => {
                            let product =
                                if E::PER_WORD == 1 { tile::f32_words::gathered } else { tile::bf16_words::gathered };
                            product(table, block, columns(first_panel).as_ptr(), sums.as_mut_ptr(), add);
                        }
                    }
                }
            }
            for (panel, sums) in panels.zip(sums.chunks_exact(panel_rows * COLUMNS)) {
                let channel = panel * COLUMNS;
                match output {
                    Output::Stored => write_out(sums, places, y, weights.columns, channel, false),
                    Output::Added => write_out(sums, places, y, weights.columns, channel, true),
                    Output::Relu { line, shortcut, own } => write_relu(sums, y, channel, line, shortcut, own),
                }
            }
        }
    });
}

/// Cuts the summed axis into blocks of about [`BLOCK_WORDS`].
fn word_blocks(segments: usize, words: usize) -> impl Iterator<Item = WordBlock> {
    let runs = (segments * words).div_ceil(BLOCK_WORDS).max(1);
    let together = if words >= BLOCK_WORDS { 1 } else { segments.div_ceil(runs).max(1) };
    let part = words.div_ceil(words.div_ceil(BLOCK_WORDS));
    (0..segments).step_by(together).flat_map(move |segment| {
        (0..words).step_by(part).map(move |first| WordBlock {
            segment,
            segments: together.min(segments - segment),
            first,
            words: part.min(words - first),
        })
    })
}

vectorised! {
    /// Rounds the sums of up to 64 channels from `channel` on into the pixels `places` of `y`.
    fn write_out<E>(sums: &[f32], places: &[u32], y: &mut [E], channels: usize, channel: usize, accumulate: bool) {
        let used = COLUMNS.min(channels - channel);
        for (sums, &place) in sums.chunks_exact(COLUMNS).zip(places) {
            let y = &mut y[place as usize * channels + channel..][..used];
            if accumulate {
                for (y, sum) in y.iter_mut().zip(sums) {
                    *y = E::narrow(y.widen() + sum);
                }
            } else {
                for (y, sum) in y.iter_mut().zip(sums) {
                    *y = E::narrow(*sum);
                }
            }
        }
    }
}

vectorised! {
    /// Finishes the sums of up to 64 channels from `channel` on into the pixels of `y`, in order.
    fn write_relu<E>(
        sums: &[f32],
        y: &mut [E],
        channel: usize,
        line: &Affine,
        shortcut: Option<&[E]>,
        own: Option<&Affine>,
    ) {
        let channels = line.scale.len();
        let end = (channel + COLUMNS).min(channels);
        let (scale, shift) = (&line.scale[channel..end], &line.shift[channel..end]);
        for (row, (sums, y)) in sums.chunks_exact(COLUMNS).zip(y.chunks_exact_mut(channels)).enumerate() {
            let y = &mut y[channel..end];
            let lines = y.iter_mut().zip(sums).zip(scale).zip(shift);
            match (shortcut, own) {
                (None, _) => {
                    for (((y, sum), scale), shift) in lines {
                        *y = E::narrow(relu(sum * scale + shift));
                    }
                }
                (Some(other), None) => {
                    for ((((y, sum), scale), shift), other) in lines.zip(&other[row * channels + channel..]) {
                        *y = E::narrow(relu(sum * scale + shift + other.widen()));
                    }
                }
                (Some(other), Some(own)) => {
                    let own = own.scale[channel..end].iter().zip(&own.shift[channel..end]);
                    for (((((y, sum), scale), shift), other), (own_scale, own_shift)) in
                        lines.zip(&other[row * channels + channel..]).zip(own)
                    {
                        let other = other.widen() * own_scale + own_shift;
                        *y = E::narrow(relu(sum * scale + shift + other));
                    }
                }
            }
        }
    }
}

/// Pixels per task: an even number of nearly equal tasks of whole tiles, none above [`TASK_PIXELS`].
fn task_pixels(pixels: usize, tiles: Tiles) -> usize {
    let tasks = 2 * pixels.div_ceil(2 * TASK_PIXELS).max(1);
    pixels.div_ceil(tasks).next_multiple_of(tiles.rows()).max(tiles.rows())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::Bf16;
    use crate::kernel::Kernel;

    fn filled<E: Element>(n: usize, h: usize, w: usize, c: usize) -> Map<E> {
        let mut map = Map::zeros(n, h, w, c);
        map.values_mut().iter_mut().enumerate().for_each(|(i, v)| *v = E::narrow((i * 7 % 13) as f32 - 6.0));
        map
    }

    /// NaN behind the input must not reach the output, and nothing behind the output may change.
    fn stays_inside<E: Element>(tiles: Tiles) {
        for (kernel, stride, pad) in [(3, 1, 1), (3, 2, 1), (1, 2, 0), (1, 1, 0), (2, 1, 0), (5, 3, 2)] {
            let conv = Conv2d { in_channels: 6, out_channels: 70, kernel, stride, pad };
            let weight: Vec<f32> = (0..conv.weights()).map(|i| (i % 5) as f32 - 2.0).collect();
            let mut x = filled::<E>(2, 7, 5, 6);
            x.fill_tail(E::narrow(f32::NAN));
            let (h, w) = conv.output_size(7, 5);
            let mut y = filled::<E>(2, h, w, 70);
            y.fill_tail(E::narrow(77.0));
            let packed = PackedWeights::forward::<E>(tiles, &conv, &weight);
            product(&x, &Grid::forward(&conv, h, w), &packed, &mut y, Output::Stored);
            assert!(y.values().iter().all(|v| v.widen().is_finite()), "{conv:?}");
            let tail = |map: &Map<E>| map.values_and_tail()[map.len()..].iter().all(|v| v.widen() == 77.0);
            assert!(tail(&y), "{conv:?}");
            y.fill_tail(E::narrow(f32::NAN));
            x.fill_tail(E::narrow(77.0));
            let (phases, taps) = phases(&conv, 7, 5);
            let packed = PackedWeights::backward::<E>(tiles, &conv, &weight, &taps);
            phased_product(&y, stride, &phases, &packed, &mut x, false);
            assert!(x.values().iter().all(|v| v.widen().is_finite()) && tail(&x), "{conv:?}");
            x.fill_tail(E::narrow(f32::NAN));
            let mut dw = vec![0.0; conv.weights()];
            crate::indirect_weight::weight_gradient(tiles, &conv, &x, &y, &mut dw);
            assert!(dw.iter().all(|v| v.is_finite()), "{conv:?}");
        }
    }

    #[test]
    fn nothing_outside_the_maps_is_used_or_written() {
        if Kernel::Avx512.is_available() {
            stays_inside::<f32>(Tiles::F32);
        }
        if Kernel::Avx512Bf16.is_available() {
            stays_inside::<Bf16>(Tiles::Bf16);
        }
        #[cfg(target_os = "linux")]
        {
            crate::emulated_amx::install();
            // SAFETY: emulated from now on.
            unsafe { crate::amx::trust() };
            stays_inside::<Bf16>(Tiles::Amx);
        }
    }

    #[test]
    fn word_blocks_cover_the_summed_axis_once() {
        for (segments, words) in [(1, 1), (9, 32), (9, 64), (9, 128), (9, 256), (4, 300), (7, 11), (2, 129), (0, 5)] {
            let mut seen = vec![0; segments * words];
            for block in word_blocks(segments, words) {
                assert!(block.segments == 1 || (block.first == 0 && block.words == words));
                for segment in block.segment..block.segment + block.segments {
                    seen[segment * words + block.first..][..block.words].iter_mut().for_each(|n| *n += 1);
                }
            }
            assert!(seen.iter().all(|&n| n == 1), "{segments} x {words}");
        }
    }
}
