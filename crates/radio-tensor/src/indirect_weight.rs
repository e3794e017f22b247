//! The weight gradient: a product whose summed axis runs over output pixels.
//!
//! Both sides are packed a few hundred pixels at a time, in words along the pixels: rows are the values
//! below a pixel (through the same address table as the forward pass), columns are the gradient's channels. Partitions of the
//! pixels are fixed by the shape and added in order, so results do not depend on the number of threads.
use std::cell::RefCell;

use bytemuck::Zeroable;
use rayon::prelude::*;

use crate::amx_tile::{self, ConfiguredTiles};
use crate::conv2d::Conv2d;
use crate::element::Element;
use crate::kernel::vectorised;
use crate::nhwc::{CacheLine, Map};
use crate::row_table::{Grid, RowStarts};
use crate::tile::{self, COLUMNS, Tiles};

/// Words of pixels packed at a time.
const BLOCK_WORDS: usize = 96;
/// Tasks of one gradient at least, so that two or a few threads are busy to the end.
const TASKS: usize = 32;
/// Pixel partitions at most: each has a gradient of its own.
const PARTITIONS: usize = 16;
/// Weights whose gradient one task sums at most: it stays in the second-level cache.
const TASK_WEIGHTS: usize = 150_000;
/// Panels of 64 columns that share one packing of the rows.
const PANELS: usize = 2;

thread_local! {
    static SCRATCH: RefCell<Scratch> =
        const { RefCell::new(Scratch { starts: Vec::new(), left: Vec::new(), columns: Vec::new(), turned: Vec::new() }) };
}

struct Scratch {
    starts: Vec<*const u32>,
    left: Vec<CacheLine>,
    columns: Vec<CacheLine>,
    turned: Vec<CacheLine>,
}

/// What one task sums: pixels, segments and columns.
struct Task {
    pixels: std::ops::Range<usize>,
    segments: std::ops::Range<usize>,
    panels: std::ops::Range<usize>,
}

/// Gradient with respect to the weights, written to `dw`; no map is empty.
///
/// # Panics
/// As `indirect::product`.
pub fn weight_gradient<E: Element>(tiles: Tiles, conv: &Conv2d, x: &Map<E>, dy: &Map<E>, dw: &mut [f32]) {
    tiles.assert_available::<E>();
    let (inner, out, pixels) = (conv.segment_values(), conv.out_channels, dy.pixels());
    let grid = Grid::forward(conv, dy.h, dy.w);
    let (segments, panels) = (grid.shifts.len(), out.div_ceil(COLUMNS));
    let together = if segments * inner * out.min(PANELS * COLUMNS) <= TASK_WEIGHTS { segments } else { 1 };
    let groups = segments.div_ceil(together) * panels.div_ceil(PANELS);
    let partitions = TASKS.div_ceil(groups).min(PARTITIONS);
    let share = pixels.div_ceil(partitions).next_multiple_of(2 * BLOCK_WORDS);
    let mut tasks = Vec::new();
    for first in (0..segments).step_by(together) {
        for panel in (0..panels).step_by(PANELS) {
            for from in (0..pixels).step_by(share.max(1)) {
                tasks.push(Task {
                    pixels: from..(from + share).min(pixels),
                    segments: first..(first + together).min(segments),
                    panels: panel..(panel + PANELS).min(panels),
                });
            }
        }
    }
    let partials: Vec<Vec<CacheLine>> = tasks
        .par_iter()
        .map(|task| match tiles {
            Tiles::F32 | Tiles::Bf16 => partial(x, dy, &grid, inner, task),
            Tiles::Amx => amx_partial(x, dy, &grid, inner, task),
        })
        .collect();
    dw.par_chunks_mut(inner * out).enumerate().for_each(|(segment, dw)| {
        dw.fill(0.0);
        for (task, partial) in tasks.iter().zip(&partials).filter(|(task, _)| task.segments.contains(&segment)) {
            let width = task.panels.len() * COLUMNS;
            let partial: &[f32] = bytemuck::cast_slice(partial);
            let partial = &partial[(segment - task.segments.start) * inner * width..][..inner * width];
            let column = task.panels.start * COLUMNS;
            let used = width.min(out - column);
            for (dw, partial) in dw.chunks_exact_mut(out).zip(partial.chunks_exact(width)) {
                dw[column..][..used].iter_mut().zip(partial).for_each(|(sum, value)| *sum += value);
            }
        }
    });
}

/// The gradient of one task, `[segments, inner, panels * 64]`.
fn partial<E: Element>(x: &Map<E>, dy: &Map<E>, grid: &Grid, inner: usize, task: &Task) -> Vec<CacheLine> {
    let width = task.panels.len() * COLUMNS;
    let mut sums = vec![CacheLine::zeroed(); task.segments.len() * inner * width / 16];
    let totals: &mut [f32] = bytemuck::cast_slice_mut(&mut sums);
    // An odd number of cache lines between rows: the words of one row then spread over the whole first-level cache.
    let stride = (inner.div_ceil(16) | 1) * 16;
    let grid = Grid { shifts: grid.shifts[task.segments.clone()].to_vec(), ..*grid };
    let block = BLOCK_WORDS * E::PER_WORD;
    SCRATCH.with_borrow_mut(|Scratch { starts, left, columns, .. }| {
        let (left, columns) = (words_of(left, BLOCK_WORDS * stride), words_of(columns, BLOCK_WORDS * width));
        for first in task.pixels.clone().step_by(block) {
            let count = block.min(task.pixels.end - first);
            let words = count.div_ceil(E::PER_WORD);
            for panel in 0..task.panels.len() {
                let columns = &mut columns[panel * words * COLUMNS..][..words * COLUMNS];
                pack_columns(&dy.values()[first * dy.c..][..count * dy.c], dy.c, task.panels.start + panel, columns);
            }
            let starts = grid.row_starts(x, inner, first, count, starts);
            for (segment, starts) in starts.segments().enumerate() {
                pack_left(starts, inner, stride, &mut left[..words * stride]);
                for panel in 0..task.panels.len() {
                    let columns = &columns[panel * words * COLUMNS..][..words * COLUMNS];
                    let totals = &mut totals[segment * inner * width..][..inner * width][panel * COLUMNS..];
                    // SAFETY: `left` holds `words` lines of `stride >= inner` words, `columns` `words` lines of 64, and
                    // `totals` `inner` lines of 64 sums at distance `width`, all cut above. `weight_gradient`
                    // has checked the processor's features.
                    unsafe {
                        let product = if E::PER_WORD == 1 { tile::f32_words::packed } else { tile::bf16_words::packed };
                        product(inner, words, left.as_ptr(), stride, columns.as_ptr(), totals.as_mut_ptr(), width);
                    }
                }
            }
        }
    });
    sums
}

/// As `partial`, on AMX tiles. They take one of their sides line by line, so the packed columns are turned, once for all
/// segments; then the sums are `[segments, panels * 64, inner]`, and are turned at the end.
fn amx_partial<E: Element>(x: &Map<E>, dy: &Map<E>, grid: &Grid, inner: usize, task: &Task) -> Vec<CacheLine> {
    let width = task.panels.len() * COLUMNS;
    let whole = inner.next_multiple_of(amx_tile::SIDE);
    let stride = ((whole / 16) | 1) * 16; // as in `partial`
    let channels = dy.c;
    let mut sums = vec![CacheLine::zeroed(); task.segments.len() * width * whole / 16];
    let totals: &mut [f32] = bytemuck::cast_slice_mut(&mut sums);
    let grid = Grid { shifts: grid.shifts[task.segments.clone()].to_vec(), ..*grid };
    // SAFETY: `weight_gradient` has checked the processor; this thread works on nothing else until the task is done.
    let tiles = unsafe { ConfiguredTiles::new() };
    SCRATCH.with_borrow_mut(|Scratch { starts, left, columns, turned }| {
        let left = words_of(left, BLOCK_WORDS * stride);
        let columns = words_of(columns, BLOCK_WORDS * COLUMNS);
        let turned = words_of(turned, BLOCK_WORDS * width);
        for first in task.pixels.clone().step_by(BLOCK_WORDS * E::PER_WORD) {
            let count = (BLOCK_WORDS * E::PER_WORD).min(task.pixels.end - first);
            let words = count.div_ceil(E::PER_WORD);
            let padded = amx_tile::padded_words(words);
            for panel in 0..task.panels.len() {
                let dy = &dy.values()[first * channels..][..count * channels];
                pack_columns(dy, channels, task.panels.start + panel, &mut columns[..words * COLUMNS]);
                columns[words * COLUMNS..padded * COLUMNS].fill(0);
                amx_tile::turn(columns, COLUMNS, &mut turned[panel * COLUMNS * padded..], padded, (padded, COLUMNS));
            }
            let starts = grid.row_starts(x, inner, first, count, starts);
            for (segment, starts) in starts.segments().enumerate() {
                pack_left(starts, inner, stride, &mut left[..words * stride]);
                left[words * stride..padded * stride].fill(0);
                let totals = &mut totals[segment * width * whole..][..width * whole];
                amx_tile::turned_product(&tiles, padded, turned, (left, stride), inner, (totals, whole));
            }
        }
    });
    // Turned in squares: what a segment writes beyond `inner` is overwritten by the next one, or lies at the end.
    let mut partial = vec![CacheLine::zeroed(); (task.segments.len() * inner + 15) * width / 16];
    let partial_words: &mut [u32] = bytemuck::cast_slice_mut(&mut partial);
    for (segment, sums) in bytemuck::cast_slice::<_, u32>(&sums).chunks_exact(width * whole).enumerate() {
        let target = &mut partial_words[segment * inner * width..];
        amx_tile::turn(sums, whole, target, width, (width, inner.next_multiple_of(16)));
    }
    partial
}

/// The first words of a buffer that grows as needed.
fn words_of(lines: &mut Vec<CacheLine>, words: usize) -> &mut [u32] {
    lines.resize((words / 16).max(lines.len()), CacheLine::zeroed());
    &mut bytemuck::cast_slice_mut(lines)[..words]
}

vectorised! {
    /// Words along the pixels of the values below them; a missing last pixel counts as zeros.
    fn pack_left<E>(starts: RowStarts<E>, inner: usize, stride: usize, left: &mut [u32]) {
        for ((first, second), line) in starts.word_rows().zip(left.chunks_exact_mut(stride)) {
            match second {
                Some(second) => E::pair_rows(first, second, &mut line[..inner]),
                None if E::PER_WORD == 1 => E::pair_rows(first, &[], &mut line[..inner]),
                None => pair_with_zeros(first, &mut line[..inner]),
            }
        }
    }
}

vectorised! {
    /// As `pack_left`, of 64 columns of the gradient's map.
    fn pack_columns<E>(dy: &[E], channels: usize, panel: usize, columns: &mut [u32]) {
        let first = panel * COLUMNS;
        let used = COLUMNS.min(channels - first);
        for (rows, line) in dy.chunks(E::PER_WORD * channels).zip(columns.chunks_exact_mut(COLUMNS)) {
            let (line, rest) = line.split_at_mut(used);
            rest.fill(0);
            let row = &rows[first..][..used];
            if E::PER_WORD == 1 {
                E::pair_rows(row, &[], line);
            } else if rows.len() > channels {
                E::pair_rows(row, &rows[channels + first..][..used], line);
            } else {
                pair_with_zeros(row, line);
            }
        }
    }
}

/// The last word of an odd number of pixels.
fn pair_with_zeros<E: Element>(row: &[E], words: &mut [u32]) {
    for (word, value) in words.iter_mut().zip(row) {
        *word = E::word([value.widen(), 0.0]);
    }
}
